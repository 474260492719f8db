"""What a command and a process of a node import: what they need, and nothing heavy beside.

docs/design/app.md has the same list in words. Each case is a process of its own, forked from one.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import app.doctor
from app.libraries import API_LATER, check_api, missing_packages
from core.errors import HubError
from core.settings import Settings

ROOT = Path(__file__).resolve().parents[2]

PIXELS = {"cv2", "numpy", "av", "PIL.Image", "shapely"}
DETECTORS = {"openvino", "onnxruntime", "trackers", "ultralytics"}
WEB = {"fastapi", "starlette", "uvicorn"}
CLIENTS = {"aiohttp", "httpx", "requests", "apprise", "pywebpush", "webauthn", "aiomqtt", "redis"}
STORE = {"sqlalchemy", "aiosqlite", "alembic"}
TEXT = {"pydantic", "structlog", "yaml"}

HOUSE = {"access", "camera_hub", "analytics", "governance", "api"}
"""The floors below `app`: help needs none of them."""

FORBIDDEN: dict[str, set[str]] = {
    "help": PIXELS | DETECTORS | WEB | CLIENTS | STORE | TEXT | HOUSE,
    "cameras list": DETECTORS | WEB | CLIENTS | PIXELS - {"numpy"} | {"alembic", "governance"},
    "recordings list": DETECTORS | WEB | CLIENTS | {"cv2", "PIL.Image", "shapely", "alembic"},
    "incidents list": DETECTORS | WEB | CLIENTS | PIXELS | {"alembic"},
    "supervisor": DETECTORS | WEB | STORE | PIXELS | CLIENTS - {"httpx"},
    "media": {"openvino", "onnxruntime", "access.accounts", "governance"} | WEB | STORE
    | CLIENTS - {"httpx"},
    "inference": WEB | STORE | CLIENTS | {"av", "governance"},
    "api": DETECTORS | set(API_LATER),
}  # fmt: skip


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """The modules of each case."""
    data = ["command", "--data-dir", str(tmp_path_factory.mktemp("data"))]
    asked = {
        "first": [*data, "db", "upgrade"],  # with Alembic: whoever comes after it needs none
        "help": ["command", "--help"],
        "cameras list": [*data, "cameras", "list"],
        "recordings list": [*data, "recordings", "list"],
        "incidents list": [*data, "incidents", "list"],
        **{role: ["role", role] for role in ("supervisor", "media", "inference", "api")},
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("loading.py"))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path_factory.getbasetemp()),
        },
    )
    found = json.loads(done.stdout)
    assert {name: each["status"] for name, each in found.items()} == dict.fromkeys(asked, 0), done
    return {name: set(each["modules"]) for name, each in found.items()}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_nothing_heavy_is_imported_that_is_not_needed(
    case: str, modules: Mapping[str, set[str]]
) -> None:
    """One careless `import` at the head of a module makes every command slower."""
    assert FORBIDDEN[case] & modules[case] == set()


def test_the_cases_are_told_apart(modules: Mapping[str, set[str]]) -> None:
    """What is forbidden elsewhere is there where it belongs: the names are spelled right."""
    assert "alembic" in modules["first"]
    assert {"fastapi", "uvicorn", "av", "aiohttp", "sqlalchemy", "governance"} <= modules["api"]
    assert {"cv2", "av", "shapely", "httpx"} <= modules["media"]
    assert {"cv2", "numpy"} <= modules["inference"]


def test_a_library_that_is_missing_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the api before it serves, though it imports it later; and by `doctor`."""
    check_api()
    assert missing_packages() == []
    monkeypatch.setattr("app.libraries.API_LATER", (*API_LATER, "no_such_library"))
    with pytest.raises(HubError, match="no_such_library"):
        check_api()
    monkeypatch.setattr(
        "app.libraries.requires", lambda _: ["no-such-package[x]>=1", 'extra; extra == "y"']
    )
    finding = next(
        each
        for each in app.doctor.examine(Settings(data_dir=Path("/nonexistent")))
        if each.name == "libraries"
    )
    assert finding.verdict == "missing"
    assert "no-such-package" in finding.detail
    assert finding.remedy
