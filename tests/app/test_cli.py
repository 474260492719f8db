"""The console script as a person and a script meet it: a process, its output, its exit status.

Where a test needs many commands they run inside of this process, through the same entry.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from camera_hub.simulator.footage import packaged
from tests.support.media_footage import write_mp4

# Each command is a process that starts anew; on a busy machine several of them take their time.
pytestmark = pytest.mark.timeout(300)

Run = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = Path(sys.executable).with_name("camera-hub")
PASSWORD = "sesame-open-77-please"


def hub(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run `camera-hub` on a data directory in `folder`, with `typed` on standard input."""
    return subprocess.run(
        [str(SCRIPT), "--data-dir", str(folder / "data"), *words],
        input=typed,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=folder,
    )


def inside(folder: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Do the same without a process: what the console script calls, with its words and streams."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    command = ["camera-hub", "--data-dir", str(folder / "data"), *words]
    umask = os.umask(0o077)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command)
        patch.setattr(sys, "stdin", io.StringIO(typed))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as stop:
                status = stop.code if isinstance(stop.code, int) else 0
            finally:
                os.umask(umask)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def refused(folder: Path, *words: str, typed: str = "", run: Run = hub) -> str:
    """Run a command that must fail; return the one line that says why."""
    done = run(folder, *words, typed=typed)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert done.stderr.startswith("camera-hub: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_doctor_finds_everything_or_says_what_to_do(tmp_path: Path) -> None:
    """Every finding has a verdict; what is missing has a remedy and decides the exit status."""
    done = hub(tmp_path, "doctor", "--json")
    findings = json.loads(done.stdout)
    verdicts = {f["name"]: f["verdict"] for f in findings}
    assert {"database", "detection model", "inference", "port", "video libraries"} <= set(verdicts)
    assert verdicts["database"] == verdicts["video libraries"] == "ok"
    assert all(f["remedy"] for f in findings if f["verdict"] != "ok")
    assert done.returncode == int("missing" in verdicts.values())


def test_doctor_says_what_is_wrong_with_the_database_without_its_password(tmp_path: Path) -> None:
    """The password of the database's address is in no output."""
    config = tmp_path / "hub.yaml"
    address = f"postgresql+asyncpg://hub:{PASSWORD}@127.0.0.1:9/hub"
    config.write_text(f"database:\n  url: {address}\n")
    done = hub(tmp_path, "--config", str(config), "doctor", "--json")
    assert done.returncode == 1
    (finding,) = (f for f in json.loads(done.stdout) if f["name"] == "database")
    assert finding["verdict"] == "missing"
    assert "database.url" in finding["remedy"]
    assert PASSWORD not in done.stdout + done.stderr


def test_analyse_refuses_what_is_no_video_and_what_is_no_model(tmp_path: Path) -> None:
    """Each is named in one line."""
    text = tmp_path / "notes.txt"
    text.write_text("nothing to see here\n" * 100)
    assert "'notes.txt' is not a video file" in refused(tmp_path, "analyse", str(text))
    clip = write_mp4(tmp_path / "clip.mp4", seconds=0.4)
    told = refused(tmp_path, "analyse", str(clip), "--model", str(text))
    assert f"{text} is not a detection model" in told
    told = refused(tmp_path, "analyse", str(clip), "--zones", str(text))
    assert f"{text} cannot be read as JSON" in told


def test_analyse_prints_one_object_a_line(tmp_path: Path) -> None:
    """Real footage with people gives signals in order, each a CloudEvent without its picture."""
    street = packaged()
    if street is None:
        pytest.skip("The street clip is not installed: run `make setup`")
    done = hub(tmp_path, "analyse", str(street.path), "--json")
    assert done.returncode == 0, done.stderr
    signals = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"started", "ended"} <= {s["data"]["phase"] for s in signals}
    assert {s["type"] for s in signals} == {"org.camerahub.detection.intrusion"}
    assert all("attachments" not in s["data"] for s in signals)
    observed = [s["data"]["observed_at"] for s in signals]
    assert observed == sorted(observed)


def test_accounts_and_tokens_are_made_without_showing_a_password(tmp_path: Path) -> None:
    """A password that was typed is never printed; a token is, once, alone on its line."""
    command = ("users", "add", "anna", "--role", "duty_staff@town/garden", "--password-stdin")
    made = hub(tmp_path, *command, typed=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    assert "'anna'" in made.stdout
    again = refused(tmp_path, *command, typed=f"{PASSWORD}\n")
    assert "anna" in again
    listed = hub(tmp_path, "users", "list")
    assert "anna" in listed.stdout
    assert "duty_staff@town/garden" in listed.stdout
    token = hub(tmp_path, "tokens", "add", "gate", "--scope", "signal.post")
    assert token.returncode == 0, token.stderr
    assert token.stdout.startswith("chub_")
    assert len(token.stdout.split()) == 1
    assert "There is no scope 'fly'" in refused(tmp_path, "tokens", "add", "x", "--scope", "fly")
    seen = "".join(d.stdout + d.stderr for d in (made, listed, token)) + again
    assert PASSWORD not in seen
    secret = token.stdout.strip().encode()
    stored = b"".join(p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file())
    assert b"anna" in stored
    assert secret not in stored
    assert PASSWORD.encode() not in stored


def test_cameras_are_added_listed_and_removed_without_showing_a_password(tmp_path: Path) -> None:
    """A camera that is away is refused by name, or taken on trust; its password stays inside."""
    address = f"rtsp://viewer:{PASSWORD}@127.0.0.1:9/live"
    away = refused(tmp_path, "cameras", "add", "Gate", address, run=inside)
    assert "127.0.0.1:9" in away
    wrong_place = ("cameras", "add", "Gate", address, "--place", "moon")
    assert "--place-kind" in refused(tmp_path, *wrong_place, run=inside)
    plain = ("cameras", "add", "Gate", "rtsp://127.0.0.1:9/live", "--username", "viewer")
    added = hub(tmp_path, *plain, "--password-stdin", "--no-check", "--json", typed=f"{PASSWORD}\n")
    assert added.returncode == 0, added.stderr
    listed = inside(tmp_path, "cameras", "list", "--json")
    assert listed.returncode == 0
    (camera,) = json.loads(listed.stdout)
    assert camera == json.loads(added.stdout)
    assert (camera["name"], camera["username"], camera["has_password"]) == ("Gate", "viewer", True)
    moved = ("cameras", "set", "Gate", "--address", "rtsp://127.0.0.1:7/live", "--username", "new")
    typed = f"{PASSWORD}\n"
    done = inside(tmp_path, *moved, "--password-stdin", "--no-check", typed=typed)
    assert done.returncode == 0, done.stderr
    (camera,) = json.loads(inside(tmp_path, "cameras", "list", "--json").stdout)
    assert (camera["address"], camera["username"]) == ("rtsp://127.0.0.1:7/live", "new")
    removed = inside(tmp_path, "cameras", "remove", camera["id"])
    assert removed.returncode == 0
    assert json.loads(inside(tmp_path, "cameras", "list", "--json").stdout) == []
    seen = "".join(d.stdout + d.stderr for d in (added, listed, removed)) + away
    assert PASSWORD not in seen
    stored = b"".join(p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file())
    assert PASSWORD.encode() not in stored


def test_the_device_of_a_home_is_no_camera_of_another_place_here_either(tmp_path: Path) -> None:
    made = inside(tmp_path, "users", "add", "li.wei", "--password-stdin", typed=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    flat = inside(tmp_path, "households", "create", "Flat 1204").stdout.split()[-1]
    assert inside(tmp_path, "households", "add-member", flat, "li.wei").returncode == 0
    add = ("cameras", "add", "Room", "rtsp://127.0.0.1:9/live", "--no-check")
    added = inside(tmp_path, *add, "--place", "home", "--household", flat, "--json")
    assert added.returncode == 0, added.stderr
    assert "looks into a home" in refused(tmp_path, *add, run=inside)
    assert inside(tmp_path, "cameras", "remove", json.loads(added.stdout)["id"]).returncode == 0
    assert "looks into a home" in refused(tmp_path, *add, run=inside)


def test_serve_names_the_nearest_setting(tmp_path: Path) -> None:
    """A typing mistake is never a silent default."""
    config = tmp_path / "hub.yaml"
    config.write_text("server:\n  prot: 80\n")
    told = refused(tmp_path, "--config", str(config), "serve")
    assert f"{config}: unknown key 'server.prot'; did you mean 'port'?" in told


def test_what_the_hub_stores_is_for_its_own_account_only(tmp_path: Path) -> None:
    """Also in a directory that somebody else made, open to all, as package managers do."""
    (tmp_path / "data").mkdir(mode=0o755)
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    assert hub(tmp_path, "users", "add", "boss", "--password-stdin", typed=typed).returncode == 0
    camera = ("cameras", "add", "Gate", "rtsp://127.0.0.1:9/", "--username", "viewer", "--no-check")
    assert hub(tmp_path, *camera, "--password-stdin", typed=typed).returncode == 0
    stored = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert {"camera-hub.db", "secret.key"} <= {path.name for path in stored}
    assert [path.name for path in stored if path.stat().st_mode & 0o077] == []
