"""Invariant 12: secrets stay secret, at rest, in logs and in errors."""

import ast
import io
import json
import logging
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.logging import REDACTED, configure_logging, get_logger, redact, redact_text
from core.secrets import SecretBox, SecretBoxError

SECRET = "hunter2-p@ss:w/ord"


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    sealed = SecretBox.from_file(path).seal(SECRET)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SECRET not in sealed
    assert SecretBox.from_file(path).open(sealed) == SECRET


_START = """
import resource, sys
from pathlib import Path
from core.secrets import SecretBox
limit = int(sys.argv[2])
if limit >= 0:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print(SecretBox.from_file(Path(sys.argv[1])).seal("x") != "")
"""


@pytest.mark.faults
@pytest.mark.parametrize("room", [0, 10])
def test_a_first_start_cut_short_leaves_no_broken_key(tmp_path: Path, room: int) -> None:
    """The disk takes only `room` bytes of the key; the next start makes a whole one."""
    path = tmp_path / "secret.key"

    def start(limit: int) -> int:
        words = [sys.executable, "-c", _START, str(path), str(limit)]
        return subprocess.run(words, capture_output=True, check=False).returncode

    assert start(room) != 0
    assert start(-1) == 0
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_who_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    with ThreadPoolExecutor(8) as pool:
        boxes = list(pool.map(lambda _: SecretBox.from_file(path), range(8)))
    assert {box.open(boxes[0].seal(SECRET)) for box in boxes} == {SECRET}


def test_another_key_or_a_changed_text_says_what_to_do(tmp_path: Path) -> None:
    first, second = (SecretBox.from_file(tmp_path / name) for name in ("one", "two"))
    sealed = first.seal(SECRET)
    for box, text in ((second, sealed), (first, sealed[:-4] + "AAA="), (first, "")):
        with pytest.raises(SecretBoxError) as refused:
            box.open(text)
        assert "key file" in refused.value.remedy
        assert SECRET not in str(refused.value)
    (tmp_path / "broken").write_text("no key")
    with pytest.raises(SecretBoxError, match="does not hold a key"):
        SecretBox.from_file(tmp_path / "broken")


@pytest.mark.parametrize(
    "text",
    [
        f"cannot open rtsp://admin:{SECRET}@10.0.0.5:554/Streaming/101",
        "rtsp://user:pa@ss:wo@10.0.0.5/x?token=1",
        "Authorization: Bearer chub_abcdefghijklmnopqrstuvwxyz0123456789",
        "token chub_abcdefghijklmnopqrstuvwxyz0123456789 refused",
        "postgresql+asyncpg://hub:hunter2@db/hub",
        "Authorization: Basic aHVudGVyMjpodW50ZXIy",
    ],
)
def test_secrets_in_any_text_are_taken_out(text: str) -> None:
    cleaned = redact_text(text)
    assert REDACTED in cleaned
    for secret in ("hunter2", "pa@ss", "wo@", "chub_abc", "aHVudGVy"):
        assert secret not in cleaned


def test_secrets_under_any_key_are_taken_out() -> None:
    value = {
        "password": SECRET,
        "nested": [{"api_key": SECRET, "Set-Cookie": SECRET}],
        "csrf_token": SECRET,
        "key": SECRET,
        "body": SECRET.encode(),
        "monkey": "kept",
    }
    cleaned = redact(value)
    assert SECRET not in json.dumps(cleaned)
    assert cleaned["monkey"] == "kept"


_PROGRAM = """
import logging, sys
from core.logging import configure_logging, get_logger
configure_logging("debug", sys.argv[1], process="test")
log = get_logger("a.b")
log.info("opened", url="rtsp://u:hunter2@h/x", password="hunter2", token="hunter2")
try:
    raise ValueError("cannot read rtsp://u:hunter2@h/x")
except ValueError:
    log.exception("failed")
    logging.getLogger("lib").exception("also %s", "rtsp://u:hunter2@h/y")
log.info("forged", name="x\\n2030-01-01 00:00:00 [info] forged line")
logging.getLogger("lib").error("sent Authorization: Bearer %s", "hunter2hunter2")
"""


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_no_log_line_of_ours_or_of_a_library_holds_a_secret(fmt: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, fmt],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.stdout == ""
    assert "hunter2" not in done.stderr
    assert done.stderr.count(REDACTED) >= 5
    assert "Traceback" in done.stderr
    assert "a.b" in done.stderr
    if fmt == "json":
        first = json.loads(done.stderr.splitlines()[0])
        assert (first["event"], first["process"], first["level"]) == ("opened", "test", "info")
        assert first["timestamp"].endswith("Z"), "in UTC"


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_a_value_with_a_line_break_makes_no_log_line_of_its_own(fmt: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, fmt],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert "forged line" in done.stderr
    assert not [line for line in done.stderr.splitlines() if line.startswith("2030-01-01")]


def test_nothing_that_must_not_be_guessed_comes_from_a_plain_generator() -> None:
    """`random` is for waiting times only: no package that makes a secret imports it."""
    root = Path(__file__).resolve().parents[2]
    sources = [p for name in ("access", "api", "app", "core") for p in (root / name).rglob("*.py")]
    assert len(sources) > 100
    assert not [
        path
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(a.name == "random" for a in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "random")
    ]


def test_a_log_line_that_nobody_can_read_any_more_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever read standard error is gone: the loop that reports its fault must go on."""
    configure_logging("error")
    log = get_logger("a loop")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as broken, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", broken)
        log.error("the reader is gone")
        logging.getLogger("a library").error("the reader is gone")
        closed = io.StringIO()
        closed.close()
        patch.setattr(sys, "stderr", closed)
        log.error("the stream is closed")
        # What is left in its buffer must not fail at the end of the block either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), broken.fileno())
    log.error("somebody reads again")
    assert "somebody reads again" in capsys.readouterr().err
