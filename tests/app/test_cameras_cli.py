"""`cameras discover | import | set | device` and `apply`, as a person and a script use them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from camera_hub.simulator.onvif import OnvifDevice
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from core.clock import SystemClock
from tests.app.test_one_door_commands import ROOT

# Each command opens the database of its own site; on a busy machine that takes its time.
pytestmark = pytest.mark.timeout(300)
PASSWORD = "s3cret-of-the-file"


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    device = OnvifDevice(
        [
            StreamProfile("big", "rtsp://127.0.0.1:8554/big", 1920, 1080, 25, 4000, 100),
            StreamProfile("small", "rtsp://127.0.0.1:8554/small", 1280, 720, 25, 2000, 50),
        ],
        username="viewer", password=PASSWORD, clock=SystemClock(),
        identity=Identity("Acme", "Dome 5", "2.1", "A-77"),
    )  # fmt: skip
    await device.start()
    yield device
    await device.close()


async def hub(folder: Path, *commands: list[str]) -> list[dict[str, object]]:
    """Run commands one after another on the site in `folder`; the device answers meanwhile."""

    def work() -> list[dict[str, object]]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.app.cli_stranger"],
            input=json.dumps([["--data-dir", str(folder / "data"), *c] for c in commands]),
            text=True, capture_output=True, check=True, cwd=ROOT, timeout=300,
            env={**os.environ, "CAMERA_PASSWORD": PASSWORD, "COLUMNS": "300"},
        )  # fmt: skip
        found: list[dict[str, object]] = json.loads(done.stdout)
        return found

    return await asyncio.to_thread(work)


async def test_cameras_are_found_imported_set_and_turned(
    tmp_path: Path, device: OnvifDevice
) -> None:
    device.skew = timedelta(hours=-9)
    table = tmp_path / "cameras.csv"
    table.write_text(
        "name;area;address;username;password\n"
        f"Gate;demo/a;{device.address};viewer;{PASSWORD}\n"
        "Moon;demo/a;8.8.8.8.8;viewer;x\n"
    )
    search = ["cameras", "discover", "--no-multicast", "--range", "127.0.0.1"]
    done = await hub(
        tmp_path,
        ["cameras", "import", str(table), "--dry-run"],
        ["cameras", "list", "--json"],
        ["cameras", "import", str(table), "--json"],
        [*search, "--port", str(device.port), "--json"],
        ["cameras", "set", "Gate", "--recording", "event sub", "--latitude", "31.2"],
        ["cameras", "encoder", "Gate", "encoder_small", "--fit-sub"],
        ["cameras", "device", "Gate", "--json"],
        ["cameras", "ptz", "Gate", "--pan", "0.5", "--tilt", "0", "--seconds", "0.2", "--json"],
        ["cameras", "clock", "--all"],
        ["cameras", "list", "--json"],
        ["cameras", "set", "Gate", "--recording", "sometimes"],
        ["cameras", "set", "Nowhere", "--area", "demo/b"],
        ["cameras", "clock", "Gate", "--all"],
        ["cameras", "set", "Gate", "--address", "127.0.0.1:9"],
        ["cameras", "set", "Gate", "Moon", "--address", "127.0.0.1:9", "--no-check"],
        ["cameras", "set", "Gate", "--username", "someone"],
    )
    assert [d["status"] for d in done] == [1, 0, 1, *[0] * 7, *[1] * 6], done
    whys = ("Enter the password together with", "One address is of one camera", "password")
    for refused, why in zip(done[13:], whys, strict=True):
        assert why in str(refused["err"])
    assert "1 invalid, 1 ok" in str(done[0]["out"])
    assert json.loads(str(done[1]["out"])) == [], "a dry run adds nothing"
    imported = json.loads(str(done[2]["out"]))
    assert [row["state"] for row in imported["rows"]] == ["created", "invalid"]
    (found,) = json.loads(str(done[3]["out"]))["found"]
    assert found["known_camera_id"] == imported["rows"][0]["camera_id"]
    assert "h264 640x360" in str(done[5]["out"])
    told = json.loads(str(done[6]["out"]))
    assert {e["token"]: (e["width"], e["roles"]) for e in told["encoders"]} == {
        "encoder_big": (1920, ["main"]), "encoder_small": (640, ["sub"]),
    }  # fmt: skip
    assert device.ptz.commands[0] == "ContinuousMove"
    assert device.ptz.commands[-1] == "Stop"
    assert done[8]["out"] == "'Gate': its clock is right\n"
    assert abs(device.skew) < timedelta(seconds=2)
    (camera,) = json.loads(str(done[9]["out"]))
    assert (camera["recording"]["mode"], camera["recording"]["role"]) == ("event", "sub")
    assert camera["latitude"] == 31.2
    assert "write off, always, event" in str(done[10]["err"])
    assert not any(PASSWORD in f"{d['out']}{d['err']}" for d in done)


SITE = """
defaults: {{area: demo/a, username: viewer, password_env: CAMERA_PASSWORD}}
plans:
  - {{name: Ground floor, area: demo, file: drawings/ground.png, north: {north}}}
cameras:
  - name: Gate
    address: {address}
    recording: {mode}
    plan: Ground floor
    plan_x: 0.25
    plan_y: {north_y}
    zones:
      - {{name: Pavement, polygon: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}}
  - name: Yard
    address: rtsp://127.0.0.1:9/yard
    password_file: yard.txt
    probe: false
"""


async def test_a_file_is_applied_once_and_changes_nothing_the_second_time(
    tmp_path: Path, device: OnvifDevice
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    (tmp_path / "yard.txt").write_text("of-the-yard\n")
    (tmp_path / "drawings").mkdir()
    Image.new("RGB", (400, 300), "white").save(tmp_path / "drawings" / "ground.png")
    first.write_text(SITE.format(address=device.address, mode="always", north=0, north_y=0.5))
    changed = {"mode": "{mode: event, role: sub}", "north": 90, "north_y": 0.75}
    second.write_text(SITE.format(address=device.address, **changed))
    done = await hub(
        tmp_path,
        ["apply", str(first), "--dry-run"],
        ["cameras", "list", "--json"],
        ["apply", str(first)],
        ["apply", str(first)],
        ["apply", str(second), "--dry-run"],
        ["apply", str(second)],
        ["cameras", "list", "--json"],
        ["ledger", "verify"],
        ["plans", "list", "--json"],
        ["cameras", "set", "Yard", "--plan", "Ground floor", "--at", "0.1,0.9", "--heading", "90"],
        ["cameras", "set", "Yard", "--plan", "Ground floor"],
        ["plans", "set", "Ground floor", "--file", str(first)],
        ["plans", "remove", "Ground floor"],
        ["cameras", "list", "--json"],
    )
    assert [d["status"] for d in done] == [0] * 10 + [1, 1, 0, 0], done
    assert "+ 1 zones" in str(done[0]["out"])
    assert "+ on the plan Ground floor" in str(done[0]["out"])
    assert json.loads(str(done[1]["out"])) == []
    assert str(done[3]["out"]).strip() == "Everything is as the file says."
    changes = [line for line in str(done[4]["out"]).splitlines() if line.startswith("  ")]
    assert sorted(line.partition(":")[0].strip() for line in changes) == [
        "~ north", "~ plan", "~ recording",
    ]  # fmt: skip
    (plan,) = json.loads(str(done[8]["out"]))
    assert (plan["north"], plan["cameras"], plan["width"]) == (90, 1, 400)
    assert "--at 0.42,0.61" in str(done[10]["err"])
    assert "no picture" in str(done[11]["err"])
    assert "2 cameras stood on it" in str(done[12]["out"])
    left = {one["name"]: one for one in json.loads(str(done[13]["out"]))}
    assert (left["Yard"]["plan_id"], left["Yard"]["heading"]) == (None, 90)
    there = {camera["name"]: camera for camera in json.loads(str(done[6]["out"]))}
    assert there["Gate"]["recording"]["mode"] == "event"
    assert there["Yard"]["has_password"]
    assert (there["Gate"]["plan_id"], there["Gate"]["plan_y"]) == (plan["id"], 0.75)
    assert not any(PASSWORD in f"{d['out']}{d['err']}" for d in done)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cameras: [", "no YAML"),
        ("cameras: [{name: A, address: 10.0.0.1, password: x}]", "a password stands in the file"),
        ("cameras: [{name: A, address: 10.0.0.1, colour: red}]", "camera 1 (A): colour"),
        ("cameras: [{name: A, address: 10.0.0.1, password_env: NOT_THERE}]", "NOT_THERE"),
        ("cameras: [{name: A, address: 10.0.0.1}, {name: A, address: 10.0.0.2}]", "twice"),
        ("{cameras: [], houses: []}", "houses"),
        ("{plans: [{name: A, file: no.png}]}", "no.png cannot be read"),
        ("cameras: [{name: A, address: 10.0.0.1, plan: B}]", "the place on it go together"),
        ("cameras: [{name: A, address: 10.0.0.1, plan: B, plan_x: 2, plan_y: 0}]", "from 0 to 1"),
        ("- !!python/object/apply:os.system [id]", "no YAML"),
    ],
)
async def test_a_file_that_cannot_be_says_where(tmp_path: Path, text: str, says: str) -> None:
    from app.site_file import read_file
    from core.errors import InvalidInputError

    file = tmp_path / "site.yaml"
    file.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        read_file(file)
    assert says in str(caught.value)
