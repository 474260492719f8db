"""Having cameras say what they see: asked for, read back, and refused where they do not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from camera_hub.devices.errors import CameraError
from camera_hub.devices.probing import Prober
from camera_hub.simulator.onvif import OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import StreamProfile
from core.clock import SystemClock

PASSWORD = "p@ss:w/rd?#%"


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    async with asyncio.timeout(60):
        device = OnvifDevice(
            [
                StreamProfile("main", "rtsp://127.0.0.1:9/main", 1280, 720, 25.0, 2000, 25),
                StreamProfile("sub", "rtsp://127.0.0.1:9/sub", 640, 360, 12.0, 500, 12),
            ],
            username="viewer",
            password=PASSWORD,
            clock=SystemClock(),
        )
        await device.start()
        yield device
        await device.close()


def prober() -> Prober:
    return Prober(SystemClock(), timeout_s=4.0)


async def let_tell(device: OnvifDevice, profile: str = "sub") -> None:
    await prober().let_tell(device.address, "viewer", PASSWORD, profile)


@pytest.mark.parametrize(
    "quirk",
    [None, Quirk.NO_MEDIA2, Quirk.MEDIA2_ONLY, Quirk.NAMESPACES_WRONG, Quirk.MISSING_FIELDS],
)
async def test_a_profile_is_made_to_tell_over_either_media_service(
    device: OnvifDevice, quirk: Quirk | None
) -> None:
    device.quirk = quirk
    await let_tell(device)
    main, sub = device.profiles
    assert (sub.metadata, sub.analytics, device.sends_analytics) == (True, True, True)
    # What nobody asked for stays as it was.
    assert (main.metadata, main.analytics) == (False, False)
    asked = len(device.asked)
    await let_tell(device)
    again = device.asked[asked:]
    assert not [name for name in again if name.startswith(("Add", "Set", "Remove"))]


async def test_only_what_is_missing_is_added(device: OnvifDevice) -> None:
    device.profiles = [replace(one, analytics=True) for one in device.profiles]
    device.quirk = Quirk.NO_MEDIA2
    await let_tell(device)
    added = [name for name in device.asked if name.startswith("Add")]
    assert added == ["AddMetadataConfiguration"]


async def test_a_probe_says_which_profiles_can_tell(device: OnvifDevice) -> None:
    found = await prober().probe("onvif", device.address, "viewer", PASSWORD)
    assert [profile.metadata for profile in found.profiles] == [True, True]
    assert not [name for name in device.asked if name.startswith(("Add", "Set"))]


async def test_a_probe_says_that_a_camera_cannot_tell(device: OnvifDevice) -> None:
    device.quirk = Quirk.NO_METADATA
    found = await prober().probe("onvif", device.address, "viewer", PASSWORD)
    assert [profile.metadata for profile in found.profiles] == [False, False]
    with pytest.raises(CameraError) as raised:
        await let_tell(device)
    assert raised.value.code == "no-metadata"
    assert "no analytics" in str(raised.value)
    assert raised.value.remedy


async def test_what_was_not_taken_is_noticed(device: OnvifDevice) -> None:
    device.quirk = Quirk.METADATA_NOT_TAKEN
    with pytest.raises(CameraError) as raised:
        await let_tell(device)
    assert raised.value.code == "no-metadata"
    assert "did not keep it" in str(raised.value)


@pytest.mark.parametrize(
    ("profile", "password", "code"),
    [("gone", PASSWORD, "no-metadata"), ("sub", "wrong", "camera-unauthorised")],
)
async def test_what_else_goes_wrong_is_named(
    device: OnvifDevice, profile: str, password: str, code: str
) -> None:
    with pytest.raises(CameraError) as raised:
        await prober().let_tell(device.address, "viewer", password, profile)
    assert raised.value.code == code
    assert PASSWORD not in f"{raised.value}{raised.value.remedy}"


@pytest.mark.parametrize(
    "quirk", [Quirk.MALFORMED_XML, Quirk.ENTITY_BOMB, Quirk.NO_PROFILES, Quirk.HTTP_500]
)
async def test_a_broken_device_is_an_error_and_no_surprise(
    device: OnvifDevice, quirk: Quirk
) -> None:
    device.quirk = quirk
    with pytest.raises(CameraError):
        await let_tell(device)
    assert not device.sends_analytics
