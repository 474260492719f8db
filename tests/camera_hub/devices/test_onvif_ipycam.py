"""Probing a device that nobody here wrote: the virtual camera `ipycam`."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from camera_hub.devices.address import parse_address
from camera_hub.devices.device_schemas import ClockUpdate, PtzCommand
from camera_hub.devices.errors import CameraRefusedError, CameraUnauthorisedError
from camera_hub.devices.probing import Prober
from camera_hub.devices.remote import Remote
from camera_hub.streams.reach import Reach
from core.clock import SystemClock
from core.ids import new_id

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ipycam") is None,
    reason="ipycam is not installed; run: pip install --no-deps ipycam",
)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    script = Path(__file__).with_name("ipycam_device.py")
    with subprocess.Popen(
        [sys.executable, str(script), "admin", "s3cret"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,  # it writes its presets there
    ) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


async def test_a_device_of_others_is_understood(address: str) -> None:
    found = await Prober(SystemClock()).probe("onvif", address, "admin", "s3cret")
    assert found.device is not None
    assert found.device.manufacturer == "PythonCam"
    sizes = {p.token: (p.codec, p.width, p.height) for p in found.profiles}
    assert sizes[found.main] == ("h264", 1920, 1080)
    assert sizes[found.sub] == ("h264", 640, 360)
    assert all(p.stream_url.startswith("rtsp://127.0.0.1:8554/") for p in found.profiles)
    assert [w.code for w in found.warnings] == ["stream-host-rewritten"]

    with pytest.raises(CameraUnauthorisedError):
        await Prober(SystemClock()).probe("onvif", address, "admin", "wrong")


async def test_a_device_of_others_is_turned_and_asked_for_its_settings(address: str) -> None:
    """Its PTZ answers use a prefix that they do not declare; other questions get other answers."""
    remote = Remote(SystemClock(), Reach())
    camera = replace(parse_address("onvif", address), username="admin", password="s3cret")
    camera_id = new_id()
    details = await remote.details(camera_id, camera, {"Profile_Sub": ["sub"]})
    sizes = {e.token: (e.codec, e.width, e.height, e.roles) for e in details.encoders}
    assert ("h264", 640, 360, ["sub"]) in sizes.values()
    assert details.ptz
    head = await remote.head(camera_id, camera)
    assert head.can_move
    moved = await remote.turn(camera_id, camera, PtzCommand(op="move", pan=0.2, tilt=0))
    assert moved.moving
    stopped = await remote.turn(camera_id, camera, PtzCommand(op="stop"))
    assert not stopped.moving
    saved = await remote.turn(camera_id, camera, PtzCommand(op="save_preset", name="Porch"))
    found = await remote.head(camera_id, camera)
    assert saved.preset in [preset.token for preset in found.presets]
    with pytest.raises(CameraRefusedError):
        await remote.set_clock(camera_id, camera, ClockUpdate(mode="manual"))
    await remote.close()
