"""One door, the commands: on the node the data directory's permissions are the door.

Whoever may write it is the site's administrator; anybody else gets one line that says so, and
learns nothing of the site. A new command without a line here fails.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from app.cli.main import app

pytestmark = pytest.mark.door

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(sys.executable).with_name("camera-hub")
NOBODY = 65534
AN_ID = "00000000-0000-7000-8000-000000000000"

# Commands that read or change the site: arguments that would do something if one were let in.
SITE = {
    "access check": "",
    "access explain": "wang-mei camera.list area:demo/garden",
    "access roles": "",
    "areas add": "demo/garden --name Garden",
    "areas close": "demo/garden",
    "areas list": "",
    "alarms devices": "",
    "alarms list": "--json",
    "alarms pair": f"{AN_ID} --kind tv",
    "alarms test": f"--household {AN_ID} --wait 0",
    "cameras add": "Gate rtsp://192.0.2.9/ --area demo --no-check",
    "apply": str(ROOT / "configs" / "site.yaml"),
    "cameras clock": "Gate",
    "cameras device": "Gate",
    "cameras discover": "--no-multicast --range 192.0.2.1",
    "cameras encoder": "Gate main --fit-sub",
    "cameras health": "Gate",
    "cameras import": str(ROOT / "configs" / "cameras.csv"),
    "cameras list": "--json",
    "cameras ptz": "Gate --stop",
    "cameras reboot": "Gate",
    "cameras remove": AN_ID,
    "cameras set": "Gate --area demo",
    "db upgrade": "",
    "drill": "--alarms 1",
    "duty show": "--area demo/garden",
    "deliveries list": "",
    "exports list": "",
    "gateways add": "Mail --channel email",
    "gateways list": "",
    "gateways remove": AN_ID,
    "gateways test": AN_ID,
    "exports show": AN_ID,
    "grants list": "",
    "grants withdraw": AN_ID,
    "households add-member": f"{AN_ID} wang-mei",
    "households close": f"{AN_ID} --yes",
    "households create": "Flat --area demo",
    "households list": "",
    "incidents list": "",
    "incidents show": "2026-000001",
    "incidents watch": "",
    "law check": "",
    "ledger accept-loss": "--reason restored --yes",
    "ledger checkpoint": "--output /tmp/never.json",
    "ledger head": "",
    "ledger keys list": "",
    "ledger keys rotate": "",
    "ledger list": "",
    "ledger verify": "",
    "plans add": "plan.png",
    "plans list": "--json",
    "plans remove": AN_ID,
    "plans set": f"{AN_ID} --name Ground",
    "policies apply": str(ROOT / "configs" / "policies" / "dispatch.yaml"),
    "policies explain": "--kind alarm_fire --area demo/garden",
    "policies show": "",
    "recordings check": "",
    "recordings extend-lock": f"{AN_ID} --until 2027-01-01T00:00:00Z --reason court",
    "recordings list": "Gate",
    "recordings locks": "",
    "residents digest": "",
    "seals list": "",
    "secrets rotate": "",
    "serve": "",
    "tokens add": "sensor --scope signal.post",
    "transparency": "",
    "users activate": "wang-mei",
    "users add": "somebody",
    "users deactivate": "wang-mei",
    "users list": "",
    "users passwd": "wang-mei",
    "users reset-factors": "wang-mei",
    "users roles": "wang-mei",
    "users sessions": "wang-mei",
}
# Commands that know nothing of a site, or make one of their own.
ELSEWHERE = {
    "analyse": "reads a video file of the caller",
    "cameras probe": "asks a device; nothing is stored",
    "db revise": "writes a migration into the source",
    "demo": "makes a site of its own",
    "doctor": "looks at the machine; has a test below",
    "evidence verify": "checks a file that somebody was given",
    "exports verify": "checks a file that somebody was given",
    "law show": "prints a jurisdiction that came with the hub",
    "models export": "converts a file of the caller",
    "models list": "lists models that are not part of a site",
    "models optimize": "converts a file of the caller",
    "models pull": "fetches a model",
    "asyncapi": "prints the description of the events",
    "recordings export": "signs in over HTTP with an account's own password",
    "policies check": "checks a file of the caller",
    "openapi": "prints the description of the API",
}
SECRETS = ("wang-mei", "Wang Mei", "demo/garden")


def commands() -> set[str]:
    """Return every command of the program, however deep."""

    def below(command: object, path: tuple[str, ...]) -> Iterator[str]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield " ".join(path)
            return
        for name, each in inner.items():
            yield from below(each, (*path, name))

    return set(below(typer.main.get_command(app), ()))


def test_every_command_has_its_line_and_every_line_its_command() -> None:
    assert commands() - SITE.keys() - ELSEWHERE.keys() == set(), "commands without a line"
    assert (SITE.keys() | ELSEWHERE.keys()) - commands() == set(), "lines without a command"
    assert not SITE.keys() & ELSEWHERE.keys()


@pytest.fixture(scope="module")
def site() -> Iterator[Path]:
    """A data directory with an account in it, closed to others, below an open directory."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can ask as another Unix user")
    if shutil.which("setpriv") is None:
        pytest.skip("NOT TESTED: `setpriv` (util-linux) is not installed")
    folder = Path(tempfile.mkdtemp(prefix="camera-hub-door-"))
    folder.chmod(0o755)
    try:
        data = folder / "data"
        subprocess.run(
            [
                *(str(SCRIPT), "--data-dir", str(data), "users", "add", "wang-mei"),
                *("--name", "Wang Mei", "--role", "patrol@demo/garden", "--password-stdin"),
            ],
            input="sesame-open-77-please\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=120,
        )
        # As an installation has it: the settings can be read, the data directory cannot.
        (folder / "hub.yaml").write_text(f"data_dir: {data}\n")
        yield data
    finally:
        shutil.rmtree(folder)


AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def run_all(words: list[list[str]], user: tuple[str, ...] = ()) -> list[dict[str, object]]:
    """Run commands one after another, each in a process of its own, as another user if named."""
    done = subprocess.run(
        [*user, sys.executable, "-m", "tests.app.cli_stranger"],
        input=json.dumps(words),
        text=True,
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=300,
    )
    if user and done.returncode != 0 and "ermission" in done.stderr:
        pytest.skip(f"NOT TESTED: `nobody` cannot run the program from {ROOT}")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


def test_whoever_may_not_read_the_data_directory_learns_nothing_by_any_command(site: Path) -> None:
    assert site.stat().st_mode & 0o777 == 0o700
    names = sorted(SITE)
    config = ["--config", str(site.with_name("hub.yaml"))]
    answers = run_all([[*config, *n.split(), *SITE[n].split()] for n in names], AS_NOBODY)
    wrong = []
    for name, answer in zip(names, answers, strict=True):
        told = f"{answer['out']}{answer['err']}"
        clear = (
            str(answer["err"]).startswith("camera-hub: ") and str(answer["err"]).count("\n") == 1
        )
        given_away = [s for s in SECRETS if s in told and s not in SITE[name]]
        if answer["status"] == 0 or answer["out"] or not clear or given_away:
            wrong.append(f"{name}: {answer}")
    assert wrong == []


def test_the_doctor_tells_a_stranger_nothing_of_the_site(site: Path) -> None:
    (answer,) = run_all(
        [["--config", str(site.with_name("hub.yaml")), "doctor", "--json"]], AS_NOBODY
    )
    assert answer["status"] != 0
    assert not any(secret in f"{answer['out']}{answer['err']}" for secret in SECRETS)


def test_an_explanation_is_printed_with_the_policy_its_line_and_what_is_missing(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own.cedar"
    own.write_text("permit (principal, action, resource")
    yes = ["explain", "wang-mei", "incident.list", "area:demo/garden"]
    no = ["explain", "wang-mei", "incident.close", "area:demo/garden", "--json"]
    made, permitted, denied, bad = run_all(
        [
            ["--data-dir", str(tmp_path / "data"), *words]
            for words in (
                ["users", "add", "wang-mei", "--role", "patrol@demo"],
                ["access", *yes],
                ["access", *no],
                ["access", "check", str(own)],
            )
        ]
    )
    assert made["status"] == permitted["status"] == 0, (made, permitted)
    told = str(permitted["out"])
    assert told.startswith("permitted: wang-mei incident.list area demo/garden")
    assert 'permit by "field-work" (access.cedar, line ' in told
    assert denied["status"] == 1
    found = json.loads(str(denied["out"]))
    assert (found["allowed"], found["policies"]) == (False, [])
    assert {tuple(m["policies"]) for m in found["missing"]} == {
        ("duty-staff-work",),
        ("supervisor-work",),
    }
    assert bad["status"] == 1
    assert str(own) in str(bad["err"])
