"""The simulated ONVIF device, asked by the client that the product uses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from onvif import ONVIFCamera
from zeep.exceptions import Fault
from zeep.wsse.username import UsernameToken

from camera_hub.simulator import snapshot
from camera_hub.simulator.clip import LoopedClip
from camera_hub.simulator.onvif import WRONG_HOST, OnvifDevice, Quirk
from camera_hub.simulator.onvif_xml import Identity, StreamProfile
from core.clock import ManualClock, SystemClock

_USER = "viewer"
_PASSWORD = "geheim & <Wort>"
_PROFILES = [
    StreamProfile("main", "rtsp://127.0.0.1:9/door/main", 1280, 720, 25.0, 2000, 25),
    StreamProfile("sub", "rtsp://127.0.0.1:9/door/sub", 640, 360, 12.5, 500, 12),
]
_SETUP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}

Connect = Callable[..., Awaitable[ONVIFCamera]]


@pytest.fixture
async def device(clip: LoopedClip) -> AsyncIterator[OnvifDevice]:
    """Give a running device with the footage's pictures as snapshots."""

    async def picture(_token: str) -> bytes:
        return await asyncio.to_thread(snapshot.jpeg, clip, 30)

    device = OnvifDevice(
        _PROFILES,
        username=_USER,
        password=_PASSWORD,
        clock=SystemClock(),
        snapshot=picture,
        identity=Identity(manufacturer="Fish & Chips", serial="7"),
    )
    await device.start()
    yield device
    await device.close()


@pytest.fixture
async def connect(device: OnvifDevice) -> AsyncIterator[Connect]:
    """Make clients of the device; they know its services already unless told otherwise."""
    clients: list[ONVIFCamera] = []

    async def make(password: str = _PASSWORD, *, adjust_time: bool = True) -> ONVIFCamera:
        client = ONVIFCamera("127.0.0.1", device.port, _USER, password, adjust_time=adjust_time)
        clients.append(client)
        await client.update_xaddrs()
        return client

    yield make
    for client in clients:
        await client.close()


async def test_a_client_reads_everything(connect: Connect) -> None:
    client = await connect()
    management = await client.create_devicemgmt_service()
    information = await management.GetDeviceInformation()
    assert (information.Manufacturer, information.SerialNumber) == ("Fish & Chips", "7")
    capabilities = await client.get_capabilities()
    assert capabilities is not None
    assert capabilities["Media"]["XAddr"].endswith("/onvif/media_service")
    media = await client.create_media_service()
    profiles = await media.GetProfiles()
    assert [profile.token for profile in profiles] == ["main", "sub"]
    encoder = profiles[1].VideoEncoderConfiguration
    assert encoder.Encoding == "H264"
    assert (encoder.Resolution.Width, encoder.Resolution.Height) == (640, 360)
    assert (encoder.RateControl.FrameRateLimit, encoder.RateControl.BitrateLimit) == (12, 500)
    assert encoder.H264.GovLength == 12
    assert profiles[0].VideoSourceConfiguration.Bounds.width == 1280
    one = await media.GetProfile({"ProfileToken": "sub"})
    assert one.token == "sub"
    uri = await media.GetStreamUri({"StreamSetup": _SETUP, "ProfileToken": "sub"})
    assert uri.Uri == _PROFILES[1].url


async def test_a_snapshot_is_a_jpeg_and_needs_the_password(
    device: OnvifDevice, connect: Connect
) -> None:
    client = await connect()
    picture = await client.get_snapshot("main")
    assert picture is not None
    assert picture.startswith(b"\xff\xd8\xff")
    uri = await client.get_snapshot_uri("main")
    async with aiohttp.ClientSession() as session, session.get(uri) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Digest ")


async def test_an_unknown_profile_is_a_fault(connect: Connect) -> None:
    media = await (await connect()).create_media_service()
    with pytest.raises(Fault, match="no profile none"):
        await media.GetStreamUri({"StreamSetup": _SETUP, "ProfileToken": "none"})


async def test_an_unknown_operation_is_a_fault(connect: Connect) -> None:
    management = await (await connect()).create_devicemgmt_service()
    with pytest.raises(Fault, match="GetHostname is not supported"):
        await management.GetHostname()


async def test_a_wrong_password_is_refused(connect: Connect) -> None:
    with pytest.raises(Fault, match="not authorized"):
        await connect("wrong")


async def test_the_clock_can_be_read_without_a_password(device: OnvifDevice) -> None:
    device.skew = timedelta(days=-1000)
    client = ONVIFCamera("127.0.0.1", device.port, "", "")
    management = await client.create_devicemgmt_service()
    answer = (await management.authless_GetSystemDateAndTime()).UTCDateTime
    told = datetime(answer.Date.Year, answer.Date.Month, answer.Date.Day, tzinfo=UTC)
    told += timedelta(hours=answer.Time.Hour, minutes=answer.Time.Minute)
    assert abs(told - (SystemClock().now() + device.skew)) < timedelta(minutes=10)
    await client.close()


async def test_a_skewed_device_admits_only_who_signs_with_its_time(
    device: OnvifDevice, connect: Connect
) -> None:
    device.skew = timedelta(hours=-3)
    with pytest.raises(Fault, match="not authorized"):
        await connect(adjust_time=False)
    client = await connect(adjust_time=True)
    management = await client.create_devicemgmt_service()
    assert (await management.GetDeviceInformation()).SerialNumber == "7"


async def _signed(device: OnvifDevice, token: UsernameToken) -> int:
    """Post GetDeviceInformation with `token`; returns the HTTP status."""
    from lxml import etree

    soap = "http://www.w3.org/2003/05/soap-envelope"
    envelope = etree.fromstring(
        f'<s:Envelope xmlns:s="{soap}"><s:Header/><s:Body><GetDeviceInformation '
        'xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>'
    )
    envelope, _ = token.apply(envelope, {})
    url = f"http://{device.address}/onvif/device_service"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=etree.tostring(envelope)) as answer,
    ):
        return answer.status


def _token(**changed: Any) -> UsernameToken:
    created = SystemClock().now().replace(tzinfo=None, microsecond=0)
    fields = {"use_digest": True, "nonce": "once", "created": created, "zulu_timestamp": True}
    return UsernameToken(_USER, _PASSWORD, **{**fields, **changed})


async def test_a_replayed_nonce_is_refused(device: OnvifDevice) -> None:
    token = _token()
    assert await _signed(device, token) == 200
    assert await _signed(device, token) == 400
    assert await _signed(device, _token(nonce="twice")) == 200


async def test_an_old_or_future_signature_is_refused(device: OnvifDevice) -> None:
    created = SystemClock().now().replace(tzinfo=None, microsecond=0)
    for minutes in (-5, 5):
        late = _token(created=created + timedelta(minutes=minutes), nonce=str(minutes))
        assert await _signed(device, late) == 400


async def test_a_plain_password_is_refused(device: OnvifDevice) -> None:
    assert await _signed(device, UsernameToken(_USER, _PASSWORD)) == 400


async def _post(device: OnvifDevice) -> tuple[int, str, str]:
    """Ask for the time; returns (status, content type, text)."""
    body = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        '<GetSystemDateAndTime xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body>'
        "</s:Envelope>"
    )
    url = f"http://{device.address}/onvif/device_service"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        return answer.status, answer.content_type, await answer.text()


async def test_quirk_malformed_xml(device: OnvifDevice) -> None:
    device.quirk = Quirk.MALFORMED_XML
    status, content_type, text = await _post(device)
    assert (status, content_type) == (200, "application/soap+xml")
    assert text.startswith("<?xml")
    assert "</s:Envelope>" not in text


async def test_quirk_not_a_camera(device: OnvifDevice) -> None:
    device.quirk = Quirk.NOT_A_CAMERA
    status, content_type, text = await _post(device)
    assert (status, content_type) == (200, "text/html")
    assert "<html>" in text


async def test_quirk_http_500(device: OnvifDevice) -> None:
    device.quirk = Quirk.HTTP_500
    assert (await _post(device))[0] == 500


async def test_quirk_entity_bomb(device: OnvifDevice) -> None:
    device.quirk = Quirk.ENTITY_BOMB
    status, _, text = await _post(device)
    assert status == 200
    assert "<!DOCTYPE" in text
    assert len(text) < 10_000
    # Ten entities, each ten times the one before: fully grown it is 10**9 words.
    assert text.count("<!ENTITY") == 10
    assert text.count("&e3;") == 10


async def test_quirk_no_media_service(device: OnvifDevice, connect: Connect) -> None:
    device.quirk = Quirk.NO_MEDIA_SERVICE
    client = await connect()
    assert not any("media" in namespace for namespace in client.xaddrs)
    capabilities = await client.get_capabilities()
    assert capabilities is not None
    assert capabilities["Media"] is None


async def test_quirk_no_profiles(device: OnvifDevice, connect: Connect) -> None:
    device.quirk = Quirk.NO_PROFILES
    media = await (await connect()).create_media_service()
    assert not await media.GetProfiles()


async def test_quirk_wrong_host_in_uri(device: OnvifDevice, connect: Connect) -> None:
    device.quirk = Quirk.WRONG_HOST_IN_URI
    client = await connect()
    media = await client.create_media_service()
    uri = await media.GetStreamUri({"StreamSetup": _SETUP, "ProfileToken": "main"})
    assert uri.Uri == f"rtsp://{WRONG_HOST}:9/door/main"
    assert str(await client.get_snapshot_uri("main")).startswith(f"http://{WRONG_HOST}:")


async def test_quirk_slow() -> None:
    clock = ManualClock()
    device = OnvifDevice(
        _PROFILES, username="u", password="p", clock=clock, quirk=Quirk.SLOW, slow_s=20.0
    )
    await device.start()
    asking = asyncio.create_task(_post(device))
    done, _ = await asyncio.wait([asking], timeout=0.2)
    assert not done
    clock.advance(20.0)
    assert (await asking)[0] == 200
    await device.close()


@pytest.mark.faults
async def test_a_closed_device_refuses_and_comes_back_on_its_port(device: OnvifDevice) -> None:
    port = device.port
    await device.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await _post(device)
    await device.start()
    assert device.port == port
    assert (await _post(device))[0] == 200


async def test_nonsense_is_answered_with_a_fault(device: OnvifDevice) -> None:
    url = f"http://{device.address}/onvif/device_service"
    empty = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>'
    async with aiohttp.ClientSession() as session:
        for body in ("", "no xml", "<a>", empty):
            async with session.post(url, data=body) as answer:
                assert answer.status == 400
                assert "Fault" in await answer.text()
        async with session.get(f"http://{device.address}/") as answer:
            assert answer.status == 404
