"""`camera-hub alarms …` on a site of its own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from governance.alarms.codes import ALPHABET


@pytest.fixture
def site(tmp_path: Path) -> list[str]:
    where = ["--data-dir", str(tmp_path / "data")]
    made = CliRunner().invoke(app, [*where, "households", "create", "Flat 1204", "--area", "demo"])
    assert made.exit_code == 0, made.output
    return where


def test_a_test_press_shows_its_ladder_and_says_when_nobody_has_seen_it(site: list[str]) -> None:
    runner = CliRunner()
    wrong = runner.invoke(app, [*site, "alarms", "test", "--household", "Flat 9", "--wait", "0"])
    assert wrong.exit_code == 1
    assert "no household 'Flat 9'" in str(wrong.exception)
    pressed = runner.invoke(
        app,
        [*site, "alarms", "test", "--household", "Flat 1204", "--kind", "fire", "--wait", "0"],
    )
    assert pressed.exit_code == 2
    assert "nobody has seen it" in pressed.output
    listed = runner.invoke(app, [*site, "alarms", "list", "--json"])
    (alarm,) = json.loads(listed.stdout)
    assert (alarm["kind"], alarm["status"], alarm["steps"][0]["step"]) == (
        "fire", "Test", "received")  # fmt: skip


def test_a_code_is_printed_alone_for_scripts(site: list[str]) -> None:
    runner = CliRunner()
    made = runner.invoke(app, [*site, "alarms", "pair", "Flat 1204", "--kind", "tv"])
    assert made.exit_code == 0, made.output
    code = made.stdout.split()[0]
    assert len(code) == 9
    assert set(code) <= {*ALPHABET, "-"}
    assert runner.invoke(app, [*site, "alarms", "pair", "Flat 1204", "--kind", "car"]).exit_code
    assert "No alarm devices yet" in runner.invoke(app, [*site, "alarms", "devices"]).stdout
