"""`areas`, `duty` and `policies` as a person and a script meet them."""

import json
from pathlib import Path

import pytest

from tests.app.test_one_door_commands import ROOT, run_all

# Each command opens the database of its own site; on a busy machine that takes its time.
pytestmark = pytest.mark.timeout(300)

GARDEN = "demo/riverside/jade-garden"
SHIPPED = ROOT / "configs" / "policies" / "dispatch.yaml"


def hub(folder: Path, *commands: list[str]) -> list[dict[str, object]]:
    """Run commands one after another on the site in `folder`."""
    return run_all([["--data-dir", str(folder / "data"), *words] for words in commands])


def test_a_tree_a_rota_and_a_dry_run_on_the_command_line(tmp_path: Path) -> None:
    explain = ["policies", "explain", "--kind", "alarm_medical", "--area", GARDEN, "--json"]
    done = hub(
        tmp_path,
        ["areas", "add", "demo", "--name", "Demo"],
        ["areas", "add", "demo/riverside"],
        ["areas", "add", GARDEN, "--name", "Jade Garden"],
        ["areas", "list"],
        ["users", "add", "wang-mei", "--role", f"duty_staff@{GARDEN}"],
        ["users", "add", "li-na", "--role", "patrol@demo/riversid"],
        ["areas", "close", GARDEN],
        ["duty", "show", "--area", GARDEN, "--json"],
        [*explain, "--at", "2026-11-22T03:00"],
        ["policies", "explain", "--kind", "alarm_fire", "--area", GARDEN],
    )
    assert [d["status"] for d in done] == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0], done
    tree, misspelt, used = done[3], done[5], done[6]
    assert str(tree["out"]).splitlines() == [
        "demo  Demo  (county)",
        "  riverside  (township)",
        "    jade-garden  Jade Garden  (community)",
    ]
    assert "Did you mean 'demo/riverside'?" in str(misspelt["err"])
    assert "1 × account (wang-mei)" in str(used["err"])
    duty = {item["post"]: item for item in json.loads(str(done[7]["out"]))["items"]}
    assert duty["duty_staff"]["accounts"][0]["display_name"] == "wang-mei"
    assert duty["patrol"]["by"] == "nobody"
    forecast = json.loads(str(done[8]["out"]))
    assert forecast["policy"]["id"] == "alarms"
    assert [step["after_s"] for step in forecast["steps"]] == [0, 30, 60, 90, 150]
    assert forecast["steps"][0]["told"][0]["name"] == "wang-mei"
    assert "wang-mei (account): console only" in str(done[9]["out"])


def test_policies_are_checked_applied_and_shown_as_they_were_written(tmp_path: Path) -> None:
    own, bad = tmp_path / "own.yaml", tmp_path / "bad.yaml"
    own.write_text(SHIPPED.read_text() + "# mine\n")
    bad.write_text(SHIPPED.read_text().replace("patrol, supervisor]", "patrol, supervisr]"))
    done = hub(
        tmp_path,
        ["policies", "check", str(bad)],
        ["policies", "apply", str(bad)],
        ["policies", "check", str(own)],
        ["policies", "apply", str(own)],
        ["policies", "apply", str(own), "--version", "0"],
        ["policies", "show"],
    )
    assert [d["status"] for d in done] == [1, 1, 0, 0, 1, 0], done
    line = next(n for n, text in enumerate(bad.read_text().split("\n"), 1) if "supervisr" in text)
    first = str(done[0]["out"]).splitlines()[0]
    assert first == (
        f"{bad}:{line}: policies.alarms.steps.1.targets: unknown target 'supervisr'; "
        "did you mean 'supervisor'?"
    )
    assert "they are now version 1" in str(done[4]["err"])
    assert done[5]["out"] == own.read_text()
