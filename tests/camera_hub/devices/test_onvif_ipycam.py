"""Probing a device that nobody here wrote: the virtual camera `ipycam`."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_hub.devices.errors import CameraUnauthorisedError
from camera_hub.devices.probing import Prober
from core.clock import SystemClock

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ipycam") is None,
    reason="ipycam is not installed; run: pip install --no-deps ipycam",
)


@pytest.fixture
def address() -> Iterator[str]:
    script = Path(__file__).with_name("ipycam_device.py")
    with subprocess.Popen(
        [sys.executable, str(script), "admin", "s3cret"], stdout=subprocess.PIPE, text=True
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
