"""Devices that are old, broken, sloppy or hostile: each says what is wrong, and harms nobody."""

import asyncio
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from camera_hub.devices.background import MOST_AT_ONCE
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
from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.digest import DigestGuard
from camera_hub.simulator.wsse import TokenGuard
from core.clock import SystemClock
from core.errors import InvalidInputError, UnavailableError
from tests.camera_hub.devices.scripted import ScriptedDevice

PASSWORD = "s3cret-Pa%ss"
REFUSED = xml.fault("NotAuthorized", f"Sender not authorized with {PASSWORD}.")
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


@pytest.fixture
async def device() -> AsyncIterator[ScriptedDevice]:
    device = ScriptedDevice()
    await device.start()
    yield device
    await device.close()


@pytest.fixture
def certificate(tmp_path: Path) -> ssl.SSLContext:
    """Give what a TLS server with a self-signed certificate for another name needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "factory")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2015, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2016, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "camera.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def probe(address: str, *, username: str = "admin", timeout_s: float = 20.0) -> ProbeResult:
    return await Prober(SystemClock(), timeout_s=timeout_s).probe(
        "onvif", address, username, PASSWORD if username else ""
    )


def soap(status: int, body: bytes) -> Callable[[web.Request], web.Response]:
    return lambda _: web.Response(status=status, body=body, content_type="application/soap+xml")


def page(status: int, **headers: str) -> Callable[[web.Request], web.Response]:
    return lambda _: web.Response(
        status=status, text="<html></html>", content_type="text/html", headers=headers
    )


# Old and sloppy devices that work


async def test_a_device_without_get_services_is_asked_for_its_capabilities(
    device: ScriptedDevice,
) -> None:
    del device.answers["GetServices"]
    found = await probe(device.address)
    assert found.main == "one"


async def test_a_device_that_needs_no_password_is_asked_unsigned(device: ScriptedDevice) -> None:
    await probe(device.address, username="")
    assert not any(signed for _, signed in device.asked)


async def test_the_clock_is_read_before_anything_is_signed(device: ScriptedDevice) -> None:
    await probe(device.address)
    assert device.asked[0] == ("GetSystemDateAndTime", False)
    assert all(signed for _, signed in device.asked[1:])


async def test_a_clock_that_needs_the_password_is_read_with_it(device: ScriptedDevice) -> None:
    def clock(request: web.Request) -> web.Response:
        signed = device.asked[-1][1]
        text = xml.system_date_and_time(SystemClock().now()) if signed else REFUSED
        return web.Response(
            status=200 if signed else 400, text=text, content_type="application/soap+xml"
        )

    device.answers["GetSystemDateAndTime"] = clock
    found = await probe(device.address)
    assert found.clock_offset_s is not None


@pytest.mark.parametrize(
    "answer",
    [
        xml.fault("ActionNotSupported", "No clock."),
        xml.envelope("<tds:GetSystemDateAndTimeResponse/>"),
        xml.system_date_and_time(SystemClock().now()).replace("<tt:Month>", "<tt:Month>9"),
    ],
    ids=["fault", "empty", "month 90"],
)
async def test_a_camera_without_a_clock_works_and_is_told(
    device: ScriptedDevice, answer: str
) -> None:
    device.answers["GetSystemDateAndTime"] = answer
    found = await probe(device.address)
    assert found.clock_offset_s is None
    assert [w.code for w in found.warnings] == ["clock-unreadable"]


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_a_clock_in_local_time_that_is_called_utc_is_seen_through(
    device: ScriptedDevice, password: str
) -> None:
    # It shows eight hours more than UTC, and checks signatures against UTC all the same.
    guard = TokenGuard("admin", password)

    def guarded(answer: str) -> Callable[[web.Request], web.Response]:
        def check(_: web.Request) -> web.Response:
            good = guard.admits(ElementTree.fromstring(device.bodies[-1]), SystemClock().now())
            return web.Response(
                status=200 if good else 400,
                text=answer if good else REFUSED,
                content_type="application/soap+xml",
            )

        return check

    for operation, answer in list(device.answers.items()):
        assert isinstance(answer, str)
        device.answers[operation] = guarded(answer)
    local = SystemClock().now() + timedelta(hours=8)
    device.answers["GetSystemDateAndTime"] = xml.system_date_and_time(local)
    if password == PASSWORD:
        found = await probe(device.address)
        assert found.clock_offset_s == pytest.approx(8 * 3600, abs=5)
        assert [w.code for w in found.warnings] == ["clock-skew"]
    else:
        with pytest.raises(CameraUnauthorisedError):
            await probe(device.address)
        assert [signed for _, signed in device.asked].count(True) == 2


@pytest.mark.parametrize(
    "said",
    [
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ],
)
async def test_a_clock_at_the_end_of_all_dates_is_none(
    device: ScriptedDevice, said: datetime
) -> None:
    device.answers["GetSystemDateAndTime"] = xml.system_date_and_time(said)
    found = await probe(device.address)
    assert found.clock_offset_s is None
    assert [one.code for one in found.warnings] == ["clock-unreadable"]


async def test_http_digest_is_answered(device: ScriptedDevice) -> None:
    guard = DigestGuard("admin", PASSWORD, realm="camera")
    good = device.answers["GetDeviceInformation"]
    assert isinstance(good, str)

    def information(request: web.Request) -> web.Response:
        if guard.admits("POST", request.headers.get("Authorization", "")):
            return web.Response(text=good, content_type="application/soap+xml")
        return web.Response(status=401, headers={"WWW-Authenticate": guard.challenge()})

    device.answers["GetDeviceInformation"] = information
    assert (await probe(device.address)).device is not None


async def test_a_profile_without_an_address_is_skipped_and_told(device: ScriptedDevice) -> None:
    profiles = [xml.StreamProfile(t, "", 640, 360, 25, 500, 25) for t in ("one", "two")]
    device.answers["GetProfiles"] = xml.profiles(profiles)
    stream = device.answers["GetStreamUri"]
    assert isinstance(stream, str)
    answers = iter([xml.media_uri("GetStreamUri", "file:///etc/passwd"), stream])
    device.answers["GetStreamUri"] = lambda request: web.Response(
        text=next(answers), content_type="application/soap+xml"
    )
    found = await probe(device.address)
    assert [p.token for p in found.profiles] == ["two"]
    assert [w.code for w in found.warnings] == ["profile-skipped"]


async def test_a_camera_without_snapshots_works(device: ScriptedDevice) -> None:
    del device.answers["GetSnapshotUri"]
    found = await probe(device.address)
    assert found.profiles[0].snapshot_url == ""


async def test_h265_only_is_told(device: ScriptedDevice) -> None:
    profiles = device.answers["GetProfiles"]
    assert isinstance(profiles, str)
    device.answers["GetProfiles"] = profiles.replace(">H264<", ">H265<")
    found = await probe(device.address)
    assert found.profiles[0].codec == "hevc"
    assert [w.code for w in found.warnings] == ["no-h264"]


async def test_jpeg_only_is_no_video(device: ScriptedDevice) -> None:
    profiles = device.answers["GetProfiles"]
    assert isinstance(profiles, str)
    device.answers["GetProfiles"] = profiles.replace(">H264<", ">JPEG<")
    with pytest.raises(NoVideoProfileError, match="jpeg only"):
        await probe(device.address)


async def test_several_cameras_are_asked_at_once(device: ScriptedDevice) -> None:
    found = await asyncio.gather(*(probe(device.address) for _ in range(MOST_AT_ONCE)))
    assert {result.main for result in found} == {"one"}


async def test_a_camera_with_a_certificate_of_its_own_works(
    device: ScriptedDevice, certificate: ssl.SSLContext
) -> None:
    await device.close()
    await device.start(certificate)
    found = await probe(f"https://{device.address}/onvif/device_service")
    assert found.main == "one"

    with pytest.raises(NotACameraError):
        await probe(device.address)


# What a device names is never trusted


async def test_services_on_another_host_are_asked_on_the_one_entered(
    device: ScriptedDevice,
) -> None:
    device.answers["GetServices"] = xml.services("http://10.9.9.9/d", "http://10.9.9.9:81/my/media")
    found = await probe(device.address)
    assert found.main == "one"
    assert "/my/media" in device.paths


async def test_redirects_are_not_followed(device: ScriptedDevice) -> None:
    device.answers["GetSystemDateAndTime"] = page(307, Location=device.url("/elsewhere"))
    with pytest.raises(NotACameraError, match="elsewhere"):
        await probe(device.address)
    assert "/elsewhere" not in device.paths


@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("rtsp://admin:hunter2@127.0.0.1:8554/one", "rtsp://127.0.0.1:8554/one"),
        ("rtsp://127.0.0.1/one?user=admin&password=hunter2&c=1", "rtsp://127.0.0.1/one?c=1"),
        ("rtsp://0.0.0.0:554/one", "rtsp://127.0.0.1/one"),
        ("rtsp://camera.lan:8554/one", "rtsp://127.0.0.1:8554/one"),
        ("rtsp://[fe80::1]/one", "rtsp://127.0.0.1/one"),
    ],
)
async def test_a_stream_has_no_credentials_and_the_host_entered(
    device: ScriptedDevice, named: str, used: str
) -> None:
    device.answers["GetStreamUri"] = xml.media_uri("GetStreamUri", named)
    found = await probe(device.address)
    assert found.profiles[0].stream_url == used


async def test_another_spelling_of_the_same_host_is_no_warning(device: ScriptedDevice) -> None:
    found = await probe(f"localhost:{device.port}")
    assert found.profiles[0].stream_url == "rtsp://localhost:8554/one"
    assert found.warnings == ()


async def test_texts_of_a_device_are_shortened_and_cleaned(device: ScriptedDevice) -> None:
    odd = xml.Identity("Ac\x85me\u202e", "M" * 5000)
    device.answers["GetDeviceInformation"] = xml.device_information(odd)
    found = await probe(device.address)
    assert found.device is not None
    assert found.device.manufacturer == "Acme"
    assert len(found.device.model) <= 120


async def test_a_name_that_leads_to_a_forbidden_address_is_refused() -> None:
    # A resolver takes this for 169.254.169.254; it is refused before anything is sent.
    with pytest.raises(InvalidInputError):
        await probe("169.16689662")


# Answers that cannot be used


BOMB_16 = xml.entity_bomb().replace("UTF-8", "UTF-16").encode("utf-16")
GOOD = xml.device_information(xml.Identity())


@pytest.mark.parametrize(
    "body",
    [
        BOMB_16,
        GOOD[:-20].encode(),
        GOOD.replace("Response>", "Reply>").encode(),
        GOOD.replace("tds:GetDeviceInformationResponse>", "tds:GetServicesResponse>").encode(),
        xml.envelope("").encode(),
        b"",
        b"<?xml version='1.0'?><other/>",
        b"\x00\xff" * 50,
        (GOOD[:-20] + "<a>" * 100_000).encode(),
        GOOD.encode() + b" " * 3_000_000,
    ],
    ids=[
        "bomb in UTF-16",
        "cut off",
        "wrong element",
        "other answer",
        "empty body",
        "nothing",
        "no SOAP",
        "noise",
        "deep",
        "huge",
    ],
)
async def test_a_camera_that_answers_nonsense_later_on_is_malformed(
    device: ScriptedDevice, body: bytes
) -> None:
    device.answers["GetDeviceInformation"] = soap(200, body)
    with pytest.raises(MalformedAnswerError) as caught:
        await probe(device.address)
    assert caught.value.code == "malformed-answer"


@pytest.mark.parametrize("operation", ["GetServices", "GetProfiles", "GetStreamUri"])
async def test_nonsense_in_any_answer_is_malformed(device: ScriptedDevice, operation: str) -> None:
    device.answers[operation] = soap(200, b"<?xml version='1.0'?><Envelope><oops></Envelope>")
    with pytest.raises(MalformedAnswerError):
        await probe(device.address)


@pytest.mark.parametrize("status", [404, 405, 501, 302])
async def test_a_web_server_is_no_camera(device: ScriptedDevice, status: int) -> None:
    device.answers["GetSystemDateAndTime"] = page(status)
    with pytest.raises(NotACameraError) as caught:
        await probe(device.address)
    assert "ONVIF" in caught.value.remedy


# The password


@pytest.mark.parametrize("answer", [REFUSED, soap(401, b""), soap(403, b"")])
async def test_a_wrong_password_is_sent_once(
    device: ScriptedDevice, answer: str | Callable[[web.Request], web.Response]
) -> None:
    # Repeating it locks the accounts of many cameras.
    device.answers["GetDeviceInformation"] = answer
    with pytest.raises(CameraUnauthorisedError):
        await probe(device.address)
    assert [signed for _, signed in device.asked].count(True) == 1


@pytest.mark.parametrize(
    "answer",
    [
        REFUSED,
        soap(200, f"<{PASSWORD}".encode()),
        soap(200, xml.envelope(f"<x>{PASSWORD}</x>").encode()),
        soap(500, xml.fault("Other", PASSWORD).encode()),
    ],
)
async def test_secrets_stay_secret_in_errors_and_logs(
    device: ScriptedDevice,
    caplog: pytest.LogCaptureFixture,
    answer: str | Callable[[web.Request], web.Response],
) -> None:
    # The device sends the password back, as one does that shows the request in its error.
    caplog.set_level(logging.DEBUG)
    for operation in ("GetDeviceInformation", "GetServices", "GetCapabilities"):
        device.answers[operation] = answer
    with pytest.raises(CameraError) as caught:
        await probe(device.address)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in caplog.text


# What listens there is no web server at all


@pytest.fixture
async def listener() -> AsyncIterator[Callable[[Raw], "asyncio.Future[int]"]]:
    servers: list[asyncio.Server] = []

    async def listen(talk: Raw) -> int:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield lambda talk: asyncio.ensure_future(listen(talk))
    for server in servers:
        server.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_port_that_speaks_something_else_is_no_camera(
    listener: Callable[[Raw], "asyncio.Future[int]"], scheme: str
) -> None:
    def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        writer.close()

    port = await listener(greet)
    with pytest.raises(NotACameraError):
        await probe(f"{scheme}://127.0.0.1:{port}/")


async def test_a_port_that_hangs_up_is_no_camera(
    listener: Callable[[Raw], "asyncio.Future[int]"],
) -> None:
    port = await listener(lambda _, writer: writer.transport.abort())
    with pytest.raises((NotACameraError, CameraUnreachableError)):
        await probe(f"127.0.0.1:{port}")


async def test_a_camera_that_drips_its_answer_is_given_up(
    listener: Callable[[Raw], "asyncio.Future[int]"],
) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b"<")
            await asyncio.sleep(0.1)

    port = await listener(drip)  # type: ignore[arg-type]  # a coroutine function is one too
    with pytest.raises(CameraTimeoutError):
        await probe(f"127.0.0.1:{port}", timeout_s=1.0)


async def test_only_so_many_cameras_are_asked_at_once(
    listener: Callable[[Raw], "asyncio.Future[int]"],
) -> None:
    connected = asyncio.Semaphore(0)
    port = await listener(lambda _reader, _writer: connected.release())
    waiting = [
        asyncio.create_task(probe(f"127.0.0.1:{port}", timeout_s=2.0)) for _ in range(MOST_AT_ONCE)
    ]
    for _ in waiting:
        await connected.acquire()
    with pytest.raises(UnavailableError, match="already"):
        await probe(f"127.0.0.1:{port}")
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {CameraTimeoutError}
