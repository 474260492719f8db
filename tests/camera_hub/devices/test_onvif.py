"""Probing the simulated ONVIF camera, which checks tokens as a real one does."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from camera_hub.devices.errors import (
    CameraError,
    CameraTimeoutError,
    CameraUnauthorisedError,
    CameraUnreachableError,
    MalformedAnswerError,
    NotACameraError,
    NoVideoProfileError,
)
from camera_hub.devices.probing import Prober
from camera_hub.devices.types import DeviceFacts, ProbeResult
from camera_hub.simulator.onvif import WRONG_HOST, OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from core.clock import SystemClock

USERNAME = "wächter"
PASSWORD = "p@ss:w/rd?#% +ü<&>"
CLOCK = SystemClock()


def stream(token: str, width: int, height: int, *, gop: int = 25) -> StreamProfile:
    return StreamProfile(token, f"rtsp://127.0.0.1:8554/{token}", width, height, 25, 2000, gop)


async def no_picture(token: str) -> bytes:
    raise AssertionError(f"nobody asked for the picture of {token}")


@pytest.fixture
async def device() -> AsyncIterator[OnvifDevice]:
    device = OnvifDevice(
        [stream("tiny", 320, 180), stream("big", 1920, 1080), stream("small", 704, 396)],
        username=USERNAME,
        password=PASSWORD,
        clock=CLOCK,
        snapshot=no_picture,
        identity=Identity("Acme", "Dome 5", "2.1", "A-77"),
        slow_s=2.0,
    )
    await device.start()
    yield device
    await device.close()


async def probe(
    device: OnvifDevice,
    *,
    username: str = USERNAME,
    password: str = PASSWORD,
    timeout_s: float = 20.0,
) -> ProbeResult:
    # The device runs on this test's own loop: a probe that blocked it would never end.
    return await Prober(CLOCK, timeout_s=timeout_s).probe(
        "onvif", device.address, username, password
    )


async def test_a_camera_tells_what_it_is_and_what_it_offers(device: OnvifDevice) -> None:
    found = await probe(device)

    assert found.device == DeviceFacts("Acme", "Dome 5", "2.1", "A-77")
    assert found.clock_offset_s is not None
    assert abs(found.clock_offset_s) < 5
    assert found.warnings == ()
    assert [p.token for p in found.profiles] == ["tiny", "big", "small"]
    big = found.profiles[1]
    assert (big.codec, big.width, big.height) == ("h264", 1920, 1080)
    assert (big.fps, big.bitrate_kbps, big.gop) == (25, 2000, 25)
    assert big.stream_url == "rtsp://127.0.0.1:8554/big"
    assert big.snapshot_url == f"http://{device.address}/onvif/snapshot/big.jpg"


async def test_main_is_the_largest_and_sub_the_one_nearest_to_640x360(
    device: OnvifDevice,
) -> None:
    found = await probe(device)
    assert (found.main, found.sub) == ("big", "small")


async def test_a_single_profile_is_main_and_sub(device: OnvifDevice) -> None:
    device.profiles = [stream("only", 1280, 720)]
    found = await probe(device)
    assert (found.main, found.sub) == ("only", "only")


async def test_credentials_inside_the_address_are_used(device: OnvifDevice) -> None:
    address = f"http://w%C3%A4chter:p%40ss%3Aw%2Frd%3F%23%25%20+%C3%BC%3C%26%3E@{device.address}/"
    found = await Prober(CLOCK).probe("onvif", address, "", "")
    assert found.main == "big"


@pytest.mark.parametrize(
    ("username", "password", "says"),
    [
        (USERNAME, "wrong", "does not accept"),
        ("nobody", PASSWORD, "does not accept"),
        (USERNAME, "", "does not accept"),
        ("", "", "asks for a user name"),
    ],
)
async def test_wrong_credentials_say_so(
    device: OnvifDevice, username: str, password: str, says: str
) -> None:
    with pytest.raises(CameraUnauthorisedError, match=says) as caught:
        await probe(device, username=username, password=password)
    assert caught.value.code == "camera-unauthorised"
    assert caught.value.remedy


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_skewed_clock_works_and_is_told(device: OnvifDevice, hours: int) -> None:
    device.skew = timedelta(hours=hours)
    found = await probe(device)
    assert found.clock_offset_s == pytest.approx(hours * 3600, abs=5)
    (warning,) = found.warnings
    assert warning.code == "clock-skew"
    assert "2.0 h" in warning.message
    assert ("ahead" if hours > 0 else "behind") in warning.message


async def test_a_wrong_password_is_told_although_the_clock_is_skewed(device: OnvifDevice) -> None:
    device.skew = timedelta(days=-4000)
    with pytest.raises(CameraUnauthorisedError):
        await probe(device, password="wrong")


async def test_a_long_gop_is_told_of_the_streams_that_are_used(device: OnvifDevice) -> None:
    device.profiles = [
        stream("big", 1920, 1080),
        stream("small", 640, 360, gop=100),
        stream("unused", 320, 180, gop=250),
    ]
    found = await probe(device)
    (warning,) = found.warnings
    assert warning.code == "long-gop"
    assert "'small'" in warning.message
    assert "4.0 s" in warning.message


async def test_a_stream_on_another_host_is_moved_to_the_one_entered(device: OnvifDevice) -> None:
    device.quirk = Quirk.WRONG_HOST_IN_URI
    found = await probe(device)
    assert {p.stream_url for p in found.profiles} == {
        f"rtsp://127.0.0.1:8554/{token}" for token in ("tiny", "big", "small")
    }
    assert all(p.snapshot_url.startswith(f"http://{device.address}/") for p in found.profiles)
    (warning,) = found.warnings
    assert warning.code == "stream-host-rewritten"
    assert WRONG_HOST in warning.message


@pytest.mark.parametrize(
    ("quirk", "kind", "code"),
    [
        (Quirk.MALFORMED_XML, MalformedAnswerError, "malformed-answer"),
        (Quirk.ENTITY_BOMB, MalformedAnswerError, "malformed-answer"),
        (Quirk.NOT_A_CAMERA, NotACameraError, "not-a-camera"),
        (Quirk.HTTP_500, NotACameraError, "not-a-camera"),
        (Quirk.NO_MEDIA_SERVICE, NoVideoProfileError, "no-video-profile"),
        (Quirk.NO_PROFILES, NoVideoProfileError, "no-video-profile"),
    ],
)
async def test_each_wrong_device_has_its_own_error(
    device: OnvifDevice, quirk: Quirk, kind: type[CameraError], code: str
) -> None:
    device.quirk = quirk
    with pytest.raises(kind) as caught:
        await probe(device)
    assert (caught.value.code, caught.value.status) == (code, 502)
    assert device.address in caught.value.message
    assert caught.value.remedy


async def test_a_slow_camera_is_given_up(device: OnvifDevice) -> None:
    device.quirk = Quirk.SLOW
    with pytest.raises(CameraTimeoutError) as caught:
        await probe(device, timeout_s=1.0)
    assert caught.value.code == "camera-timeout"


async def test_a_closed_port_is_unreachable(device: OnvifDevice) -> None:
    await device.close()
    with pytest.raises(CameraUnreachableError, match="Nothing listens") as caught:
        await probe(device)
    assert caught.value.code == "camera-unreachable"


async def test_an_unknown_name_is_unreachable() -> None:
    with pytest.raises(CameraUnreachableError, match="unknown"):
        await Prober(CLOCK).probe("onvif", "no-such-camera.invalid", USERNAME, PASSWORD)
