"""Probing plain RTSP streams of a real server, directly and through a network that misbehaves."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

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
from camera_hub.devices.types import ProbeResult
from core.clock import SystemClock
from core.errors import InvalidInputError
from tests.support.media import PASSWORD, USERNAME, RtspServer, free_port
from tests.support.media_footage import make_units, write_units
from tests.support.media_proxy import FaultProxy
from tests.support.odd_camera import OddCamera, Oddities


async def probe(
    address: str, *, username: str = USERNAME, password: str = PASSWORD, timeout_s: float = 20.0
) -> ProbeResult:
    return await Prober(SystemClock(), timeout_s=timeout_s).probe(
        "rtsp", address, username, password
    )


async def test_a_stream_tells_what_it_carries(rtsp_server: RtspServer, footage: Path) -> None:
    rtsp_server.mount("/gate/3", footage)
    found = await probe(rtsp_server.url("/gate/3"))

    (profile,) = found.profiles
    assert (found.main, found.sub) == (profile.token, profile.token)
    assert (profile.codec, profile.width, profile.height, profile.fps) == ("h264", 320, 240, 25)
    assert profile.gop == 10
    assert profile.bitrate_kbps
    assert profile.stream_url == rtsp_server.url("/gate/3")
    assert profile.snapshot_url == ""
    assert found.device is None
    assert found.clock_offset_s is None
    assert found.warnings == ()


async def test_credentials_inside_the_address_are_used_and_not_shown(
    rtsp_server: RtspServer, footage: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    address = rtsp_server.url("/cam", credentials=True)
    found = await probe(address, username="", password="")
    assert found.profiles[0].stream_url == rtsp_server.url("/cam")


async def test_h265_and_a_long_gop_are_told(rtsp_server: RtspServer, tmp_path: Path) -> None:
    units = make_units(codec="hevc", frames=60, gop=60)
    rtsp_server.mount("/cam", write_units(tmp_path / "long.aus", units), codec="h265")
    found = await probe(rtsp_server.url("/cam"))
    assert found.profiles[0].codec == "hevc"
    assert [w.code for w in found.warnings] == ["long-gop", "no-h264"]


@pytest.mark.parametrize(("username", "password"), [(USERNAME, "wrong"), ("nobody", ""), ("", "")])
async def test_wrong_credentials_say_so(
    rtsp_server: RtspServer, footage: Path, username: str, password: str
) -> None:
    rtsp_server.mount("/cam", footage)
    with pytest.raises(CameraUnauthorisedError) as caught:
        await probe(rtsp_server.url("/cam"), username=username, password=password)
    assert (caught.value.code, caught.value.status) == ("camera-unauthorised", 502)
    assert caught.value.remedy


async def test_a_path_without_a_stream_says_so(rtsp_server: RtspServer, footage: Path) -> None:
    rtsp_server.mount("/cam", footage)
    with pytest.raises(NoVideoProfileError, match="no stream at this path"):
        await probe(rtsp_server.url("/other"))


@pytest.mark.parametrize(("kind", "says"), [("audio", "no video"), ("jpeg", "Motion JPEG")])
async def test_a_stream_without_usable_video_says_so(
    rtsp_server: RtspServer, kind: str, says: str
) -> None:
    rtsp_server.mount("/odd", kind=kind)
    with pytest.raises(NoVideoProfileError, match=says):
        await probe(rtsp_server.url("/odd"))


async def test_a_silent_camera_is_given_up(
    rtsp_server: RtspServer, footage: Path, fault_proxy: FaultProxy
) -> None:
    rtsp_server.mount("/cam", footage)
    fault_proxy.stall()
    with pytest.raises(CameraTimeoutError) as caught:
        await probe(rtsp_server.url("/cam", port=fault_proxy.port), timeout_s=2.0)
    # It does not try again, unlike the reader whose words it uses.
    assert "trying again" not in str(caught.value)
    fault_proxy.resume()


async def test_a_camera_that_stands_still_is_given_up(
    rtsp_server: RtspServer, footage: Path
) -> None:
    rtsp_server.mount("/cam", footage)
    rtsp_server.stall("/cam")
    with pytest.raises(CameraTimeoutError):
        await probe(rtsp_server.url("/cam"), timeout_s=3.0)


async def test_a_closed_port_is_unreachable() -> None:
    with pytest.raises(CameraUnreachableError, match="Nothing listens"):
        await probe(f"rtsp://127.0.0.1:{free_port()}/cam")


async def test_an_unknown_name_is_unreachable() -> None:
    with pytest.raises(CameraUnreachableError):
        await probe("rtsp://no-such-camera.invalid/cam")


async def test_a_name_that_leads_to_a_forbidden_address_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        await probe("rtsp://169.254.169.254/cam")


@pytest.fixture
async def web_server() -> AsyncIterator[int]:
    """Give the port of something that answers every line as a web server does."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_web_server_is_no_camera(web_server: int) -> None:
    with pytest.raises(NotACameraError, match="does not speak RTSP"):
        await probe(f"rtsp://127.0.0.1:{web_server}/cam")


async def test_secrets_stay_secret_in_errors(rtsp_server: RtspServer) -> None:
    # The media library's own errors hold the address with the password.
    for path, password in (("/missing", PASSWORD), ("/missing", "s3cret")):
        with pytest.raises(CameraError) as caught:
            await probe(rtsp_server.url(path), password=password)
        shown = "".join(traceback.format_exception(caught.value))
        assert password not in shown
        assert "s3cret" not in shown


async def test_a_camera_that_insists_on_sha_256_is_probed() -> None:
    odd = Oddities(algorithm="SHA-256")
    camera = OddCamera(make_units(), odd, username="u", password="p")
    try:
        found = await probe(camera.url, username="u", password="p")
    finally:
        camera.close()
    assert (found.profiles[0].width, found.profiles[0].gop) == (320, 10)


async def test_a_camera_behind_a_firewall_for_datagrams_is_named_so() -> None:
    def answer(camera: OddCamera, method: str) -> None:
        asked = camera.requests[-1][2].get("transport", "")
        status = "461 Unsupported Transport" if "unicast;client_port" not in asked else "200 OK"
        transport = f"Transport: {asked};server_port=9-10\r\nSession: 7\r\n"
        if method == "SETUP":
            camera.odd.answers["SETUP"] = f"RTSP/1.0 {status}\r\nCSeq: {{cseq}}\r\n{transport}\r\n"
        camera.odd.answers["PLAY"] = "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 7\r\n\r\n"

    camera = OddCamera(make_units(), Oddities(before=answer))
    try:
        with pytest.raises(CameraTimeoutError) as raised:
            await probe(camera.url, timeout_s=2.0)
    finally:
        camera.close()
    assert "firewall" in raised.value.remedy


async def test_a_camera_that_is_busy_is_asked_again_for_a_while() -> None:
    def answer(camera: OddCamera, method: str) -> None:
        asked = sum(m == "DESCRIBE" for m, _, _ in camera.requests)
        busy = method == "DESCRIBE" and asked <= free_at
        camera.odd.answers = (
            {"DESCRIBE": "RTSP/1.0 503 Busy\r\nCSeq: {cseq}\r\n\r\n"} if busy else {}
        )

    free_at = 2
    camera = OddCamera(make_units(), Oddities(before=answer))
    try:
        assert (await probe(camera.url)).profiles[0].width == 320
        free_at = 1000
        with pytest.raises(MalformedAnswerError, match=r"busy \(503\)"):
            await probe(camera.url, timeout_s=2.0)
    finally:
        camera.close()


async def test_a_camera_that_only_sends_datagrams_is_probed(rtsp_server: RtspServer) -> None:
    rtsp_server.mount("/udp", kind="datagrams")
    found = await probe(rtsp_server.url("/udp"))
    assert (found.profiles[0].codec, found.profiles[0].width) == ("h264", 160)
