"""A known hole fails the check; a service that is away does not, and says so."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import audit


def pip(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": list(packages), "fixes": []})


CLEAN = {"name": "orjson", "version": "3", "vulns": []}
HOLED = {
    "name": "pillow",
    "version": "1",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "av", "skip_reason": "Dependency not found on PyPI"}


def test_a_hole_in_a_package_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert "PYSEC-1, fixed in 2" in audit.judge_python(1, pip(CLEAN, HOLED, UNKNOWN), "")
    assert audit.judge_python(0, pip(CLEAN), "") == ""
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("answer", [pip(UNKNOWN, CLEAN), "", "<html>", "[]", "{}"])
def test_a_service_that_is_away_is_said_loudly(
    answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.judge_python(1, answer, "ConnectionError: no route") == ""
    assert "NOT CHECKED: advisory service away" in capsys.readouterr().out


def test_a_hole_in_the_console_fails(capsys: pytest.CaptureFixture[str]) -> None:
    holes = {"vite": {"severity": "high", "range": "<5"}, "x": {"severity": "low"}}
    assert audit.judge_npm(1, json.dumps({"vulnerabilities": holes}), "") == "vite: high (<5)"
    assert audit.judge_npm(0, json.dumps({"vulnerabilities": {}}), "") == ""
    assert capsys.readouterr().out == ""
    assert audit.judge_npm(1, json.dumps({"message": "405"}), "npm error audit 405") == ""
    assert "405" in capsys.readouterr().out


def test_a_program_that_is_missing_or_fails_is_not_taken_for_a_clean_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.python_packages([str(tmp_path / "no-such-program")]) == ""
    assert audit.python_packages([sys.executable, "-c", "raise SystemExit('broken')"]) == ""
    assert capsys.readouterr().out.count("NOT CHECKED") == 2
