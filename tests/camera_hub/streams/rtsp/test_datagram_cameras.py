"""Cameras of the simulator that send datagrams, and networks that lose and forge them."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from camera_hub.simulator.broadcast import Broadcast
from camera_hub.simulator.clip import LoopedClip
from camera_hub.simulator.quirks import Quirk
from camera_hub.simulator.rtsp import Offer, RtspServer
from camera_hub.simulator.sound import SoundBroadcast
from camera_hub.simulator.words import MetadataBroadcast
from camera_hub.streams import receiving
from camera_hub.streams.parameters import nal_units
from camera_hub.streams.reader import ReaderOptions, StreamReader
from camera_hub.streams.types import (
    ReasonCode,
    SoundPacket,
    SoundState,
    StreamSource,
    StreamState,
    StreamStatus,
    Transport,
)
from core.clock import ManualClock, SystemClock
from core.ids import new_id
from tests.camera_hub.simulator.conftest import clip as clip  # noqa: PLC0414 - a fixture
from tests.camera_hub.simulator.conftest import hurried as hurried  # noqa: PLC0414 - a fixture
from tests.camera_hub.simulator.conftest import prepared as prepared  # noqa: PLC0414 - a fixture
from tests.camera_hub.streams.test_reader import Recorder
from tests.support.waiting import until

pytestmark = pytest.mark.faults
QUICK = ReaderOptions(read_timeout_s=0.25, backoff_first_s=0.05, backoff_max_s=0.1)


class Sink(Recorder):
    """Takes sound too."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[SoundPacket] = []

    def sound(self, packet: SoundPacket) -> None:
        self.heard.append(packet)


class Camera:
    """A camera on a network, and whoever reads it."""

    def __init__(self, clip: LoopedClip, clock: ManualClock) -> None:
        self.quirks: Collection[Quirk] = ()
        began = clock.monotonic()
        self.clip = clip
        self.server = RtspServer(
            {
                "/door": Offer((
                    Broadcast(clip, began=began, clock=clock),
                    SoundBroadcast("aac", began=began, clock=clock),
                    MetadataBroadcast(
                        began=began, clock=clock, now=clock.now, quirks=lambda: self.quirks
                    ),
                ))
            },
            username="viewer",
            password="p",
            quirks=lambda: self.quirks,
        )  # fmt: skip
        self.secured_port = 0
        self.sink = Sink()
        self.documents: list[bytes] = []
        self.states: list[StreamStatus] = []
        self.reader: StreamReader | None = None

    def read(self, transport: Transport, *quirks: Quirk, beside: bool = False) -> None:
        self.quirks = quirks
        url = self.server.url("/door")
        if self.secured_port:
            url = f"rtsps://127.0.0.1:{self.secured_port}/door"
        source = StreamSource(new_id(), "sub", url, "viewer", "p", transport, beside, beside)
        self.reader = StreamReader(
            source,
            clock=SystemClock(),
            options=QUICK,
            on_change=self.states.append,
            on_metadata=lambda document, *_: self.documents.append(document),
        )
        self.reader.add_sink(self.sink)
        self.reader.start()

    async def has(self, condition: Callable[[], Any]) -> None:
        await until(condition)

    async def pictures(self, count: int = 30, *, lost: bool = False) -> list[Any]:
        """Wait for so many pictures; each must be one that was sent.

        It must follow the one before as well, unless some get `lost`.
        """
        await until(lambda: len(self.sink.packets) >= count)
        packets = list(self.sink.packets)
        sent = [unit.nals[-1] for unit in self.clip.units]
        places: set[int] = set()
        for packet in packets:
            slices = list(nal_units(bytes(packet)))
            # Pictures of one place in a group may be alike.
            alike = {number for number, nal in enumerate(sent) if nal == slices[-1]}
            after = {number + 1 for number in places}
            places = alike if packet.is_keyframe or lost else alike & after
            assert places, "a picture without what it refers to, or one that was never sent"
        return packets


@pytest.fixture
async def camera(clip: LoopedClip, hurried: ManualClock) -> AsyncIterator[Camera]:
    made = Camera(clip, hurried)
    await made.server.start()
    yield made
    if made.reader is not None:
        await asyncio.to_thread(made.reader.stop, 5)
    await made.server.close()


@pytest.mark.parametrize("transport", ["udp", "multicast"])
async def test_pictures_sound_and_words_come(camera: Camera, transport: Transport) -> None:
    camera.read(transport, beside=True)
    await camera.pictures()
    await camera.has(lambda: camera.sink.heard and len(camera.documents) > 3)
    assert camera.reader is not None
    status = camera.reader.status()
    assert (status.state, status.reason_code) == (StreamState.ONLINE, ReasonCode.OK)
    assert status.sound is SoundState.OK
    # The camera's own reports say when its pictures were.
    reader, sink = camera.reader, camera.sink
    await camera.has(lambda: reader.camera_time(sink.packets[-1].pts))


@pytest.mark.parametrize(
    "quirk", [Quirk.DATAGRAMS_LATE, Quirk.DATAGRAMS_TWICE, Quirk.DATAGRAMS_FORGED]
)
async def test_nothing_is_lost_that_came_late_twice_or_from_a_stranger(
    camera: Camera, quirk: Quirk
) -> None:
    camera.read("multicast" if quirk is Quirk.DATAGRAMS_FORGED else "udp", quirk)
    await camera.pictures()
    assert camera.reader is not None
    connection = camera.reader._connection
    assert connection is not None
    assert (connection.lost, connection.dropped) == (0, 0)


async def test_a_stranger_on_the_viewers_own_port_changes_nothing(camera: Camera) -> None:
    camera.read("udp", Quirk.DATAGRAMS_FORGED)
    await camera.pictures()


async def test_what_gets_lost_on_the_way_is_counted_and_said(
    camera: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "_WEIGHED_S", 0.1)
    camera.read("udp", Quirk.DATAGRAMS_LOST)
    await camera.pictures(lost=True)
    assert camera.reader is not None
    connection = camera.reader._connection
    assert connection is not None
    await camera.has(lambda: connection.lost > 0 and connection.dropped > 0)
    # It is said as long as it lasts.
    await camera.has(lambda: camera.states[-1].reason_code is ReasonCode.DATAGRAMS_LOST)
    camera.quirks = ()
    await camera.has(lambda: camera.states[-1].reason_code is ReasonCode.OK)


async def test_who_refuses_tcp_is_read_over_datagrams(camera: Camera) -> None:
    camera.read("tcp", Quirk.TCP_REFUSED)
    await camera.pictures(5)
    assert camera.states[-1].reason_code is ReasonCode.OVER_UDP


async def test_who_sends_to_a_group_only_is_heard_there(camera: Camera) -> None:
    camera.read("tcp", Quirk.TCP_REFUSED, Quirk.UDP_REFUSED)
    await camera.pictures(5)
    assert camera.states[-1].reason_code is ReasonCode.OVER_UDP


async def test_datagrams_that_were_chosen_and_are_refused_are_not_replaced(camera: Camera) -> None:
    camera.read("udp", Quirk.UDP_REFUSED)
    await camera.has(lambda: camera.states)
    assert camera.states[-1].reason_code is ReasonCode.TRANSPORT_REFUSED
    assert "TCP" in camera.states[-1].reason


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_firewall_is_named_with_its_remedy(camera: Camera, transport: Transport) -> None:
    camera.read(transport, Quirk.DATAGRAMS_BLOCKED, Quirk.TCP_REFUSED, beside=True)
    await camera.has(lambda: camera.states)
    assert camera.states[0].reason_code is ReasonCode.NO_DATAGRAMS
    assert "firewall" in camera.states[0].reason
    camera.quirks = (Quirk.TCP_REFUSED,)
    await camera.pictures(5)
    # What was asked for beside the pictures was not to blame.
    await camera.has(lambda: camera.documents)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_name_in_gbk_costs_nothing(camera: Camera, transport: Transport) -> None:
    camera.read(transport, Quirk.NAME_IN_GBK)
    await camera.pictures(5)


async def test_an_encrypted_stream_is_left_to_the_library_and_says_that_it_has_no_sound(
    camera: Camera, tmp_path: Path
) -> None:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", camera.server.port)
        ways = ((reader, outer), (inner, writer))
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(*(_pass_on(*way) for way in ways))
        for end in (writer, outer):
            end.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=_certified(tmp_path))
    async with server:
        camera.secured_port = server.sockets[0].getsockname()[1]
        camera.read("tcp", beside=True)
        await camera.has(lambda: len(camera.sink.packets) >= 5)
        assert camera.reader is not None
        status = camera.reader.status()
        assert (status.reason_code, status.sound) == (
            ReasonCode.METADATA_TRANSPORT, SoundState.TRANSPORT,
        )  # fmt: skip
        await asyncio.to_thread(camera.reader.stop, 5)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def _certified(folder: Path) -> ssl.SSLContext:
    """Return a server's side of TLS with a certificate of its own making, as cameras have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "camera")])
    now = SystemClock().now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "camera.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
