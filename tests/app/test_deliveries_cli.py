"""Gateways and deliveries on the command line; secrets come by standard input, never as words."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli.main import app
from core.errors import InvalidInputError

MAIL = "mailtos://user:pass-word@smtp.example.org:465?from=hub@example.org&mode=ssl\n"


@pytest.fixture
def command(tmp_path: Path):  # type: ignore[no-untyped-def]  # a function of words
    def call(*words: str, typed: str = "") -> Result:
        return CliRunner().invoke(app, ["--data-dir", str(tmp_path / "data"), *words], input=typed)

    return call


def test_gateways_are_added_listed_and_removed(command) -> None:  # type: ignore[no-untyped-def]
    added = command("gateways", "add", "Mail", "--channel", "email", typed=MAIL)
    assert added.exit_code == 0, added.output
    assert "pass-word" not in added.output
    wrong = command("gateways", "add", "Run", "--channel", "email", typed="exec://id\n")
    assert isinstance(wrong.exception, InvalidInputError)
    shared = command("gateways", "add", "SMS", "--channel", "sms", "--kind", "http",
                     typed="https://sms.example.org/\n")  # fmt: skip
    assert "whsec_" in shared.output
    listed = command("gateways", "list", "--json")
    found = json.loads(listed.output)
    assert [(g["name"], g["place"]) for g in found] == [
        ("Mail", "mailtos://"),
        ("SMS", "sms.example.org"),
    ]
    removed = command("gateways", "remove", found[0]["id"])
    assert removed.exit_code == 0, removed.output
    assert len(json.loads(command("gateways", "list", "--json").output)) == 1
    assert json.loads(command("deliveries", "list", "--json").output) == []
    assert "Nobody was told" in command("deliveries", "list", "--state", "given_up").output
