"""A playing stream of datagrams, sent by hand: by the camera, by strangers, damaged, reports."""

import itertools
import random
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_hub.simulator import rtp
from camera_hub.streams.rtsp.answers import agreed
from camera_hub.streams.rtsp.auth import Authorizer
from camera_hub.streams.rtsp.client import Playing
from camera_hub.streams.rtsp.connection import Connection
from camera_hub.streams.rtsp.datagrams import FOREIGN, REPORT_EVERY_S
from camera_hub.streams.rtsp.ports import Group, Ports, joined, neighbours
from camera_hub.streams.rtsp.sdp import VideoTrack, read_description
from camera_hub.streams.rtsp.ways import TransportRefusedError, way_of
from camera_hub.streams.types import ReasonCode
from tests.camera_hub.streams.rtsp.test_connection import Taker
from tests.support.examples import examples
from tests.support.media_footage import make_units
from tests.support.odd_camera import payloads

UNITS = make_units(frames=20, gop=10)
SSRC = 5
LOCAL = ("127.0.0.1", 0)


class Line:
    """A connection and the camera's end of it: the conversation, RTP and RTCP."""

    def __init__(self, ssrc: int | None = SSRC) -> None:
        self.control, own = socket.socketpair()
        own.setblocking(False)
        self.rtp, self.rtcp = neighbours(LOCAL, socket.AF_INET)
        ours = neighbours(LOCAL, socket.AF_INET)
        self.ports = tuple(one.getsockname() for one in ours)
        ports = Ports(0, *ours, frozenset({"127.0.0.1"}), self.rtcp.getsockname(), ssrc)
        playing = Playing(
            own, VideoTrack("h264", "H264", 96, 90000, ""), 0, 1, "rtsp://c/", "1",
            "GET_PARAMETER", 10.0, Authorizer("", ""), 4, b"", ports=(ports,), place="c:554",
        )  # fmt: skip
        self.taker = Taker()
        self.connection = Connection(playing, self.taker, silence_s=4.0)
        self.readers = self.connection.readers
        self.connection.begin(0.0)
        self.buffer = memoryview(bytearray(1 << 16))

    def send(self, *packets: bytes, by: socket.socket | None = None, now: float = 0.0) -> None:
        for data in packets:
            (by or self.rtp).sendto(data, self.ports[0])
        self.read(now)

    def report(self, *packets: bytes, by: socket.socket | None = None, now: float = 0.0) -> None:
        for data in packets:
            (by or self.rtcp).sendto(data, self.ports[1])
        self.read(now)

    def read(self, now: float) -> None:
        for read in self.readers.values():
            read(self.buffer, now)

    def heard(self) -> list[bytes]:
        """Return what the camera was told on its RTCP port."""
        found = []
        while True:
            try:
                found.append(self.rtcp.recv(2048))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self.connection.leave(0.0)
        for sock in (self.control, self.rtp, self.rtcp, self.connection.sock):
            sock.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.2", 0))
        yield sock


def pictures(loops: int = 1) -> list[list[bytes]]:
    """Return the packets of each picture."""
    found, sequence = [], itertools.count(65_500)
    for number, unit in enumerate(UNITS * loops):
        packed = payloads("h264", unit)
        found.append([
            rtp.packet(payload, marker=position == len(packed) - 1, sequence=next(sequence),
                       ticks=number * 3600, ssrc=SSRC)
            for position, payload in enumerate(packed)
        ])  # fmt: skip
    return found


def sender_report(ssrc: int = SSRC) -> bytes:
    return struct.pack(">BBHIIIIII", 0x80, 200, 6, ssrc, 3_900_000_000, 1 << 31, 0, 1, 1)


def test_a_stranger_puts_nothing_into_the_stream_and_ends_nothing(
    line: Line, stranger: socket.socket
) -> None:
    before = FOREIGN._value.get()
    for packets in pictures():
        # All is right but the address; first of all they come before the camera's own.
        line.send(*(data[:12] + bytes(len(data) - 12) for data in packets), b"", by=stranger)
        line.report(struct.pack(">BBHI", 0x81, 203, 1, SSRC), b"", by=stranger)
        line.send(*packets)
    line.connection.look(1.0)
    assert [unit.ticks for unit in line.taker.pictures] == [n * 3600 for n in range(len(UNITS))]
    assert line.connection.lost == line.connection.dropped == 0
    assert FOREIGN._value.get() > before
    assert line.connection.alive


def test_a_loss_costs_the_pictures_that_it_is_in_and_no_other(line: Line) -> None:
    sent = pictures(2)
    # Of the keyframe at 10 a part is lost, and the whole of the picture at 23.
    del sent[10][1]
    sent[23].clear()
    for number, packets in enumerate(sent):
        line.send(*packets, now=number * 0.2)
        line.connection.look(number * 0.2)
    line.connection.look(60 * 0.2)
    handed_on = [unit.ticks // 3600 for unit in line.taker.pictures]
    assert handed_on == [number for number in range(40) if number not in (10, 23)]
    assert line.connection.lost == 1 + len(pictures(2)[23])
    assert line.connection.dropped == 1


def test_truncated_and_empty_datagrams_and_malformed_reports_cost_nothing(line: Line) -> None:
    rng = random.Random(3)
    for packets in pictures():
        whole = packets[0]
        line.send(b"", whole[:5], whole[:11], bytes(1400), b"$" * 20)
        line.report(b"", b"\x80", sender_report()[:20], b"\x80\xc8\xff\xff" + bytes(8))
        line.report(rng.randbytes(rng.randrange(60)))
        line.send(*packets)
    assert len(line.taker.pictures) == len(UNITS)
    assert not line.taker.failures


@settings(max_examples=examples(20), deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=30), st.booleans())
def test_whatever_the_camera_sends_nothing_raises(rubbish: list[bytes], named: bool) -> None:
    line = Line(SSRC if named else None)
    try:
        for data in rubbish:
            line.send(data, b"\x80\x60" + data)
            line.report(data, b"\x80\xc8" + data, b"\x81\xcb" + data)
        line.connection.look(10.0)
    finally:
        line.close()


def test_the_camera_is_told_what_came_and_who_hears_it(line: Line) -> None:
    sent = pictures()
    line.connection.look(0.0)
    assert line.heard()[0][:2] == b"\x80\xc9"
    del sent[1][0]
    for packets in sent:
        line.send(*packets, now=4.0)
    line.report(sender_report(), now=4.5)
    line.connection.look(4.5)
    line.connection.look(REPORT_EVERY_S + 0.5)
    (told,) = line.heard()
    kind, of, lost, highest, _, last, delay = struct.unpack_from(">xBxxxxxxIIIIII", told)
    assert (kind, of) == (201, SSRC)
    assert lost & 0xFFFFFF == 1
    assert lost >> 24 == 256 // sum(len(p) for p in pictures())
    assert highest & 0xFFFF == int.from_bytes(sent[-1][-1][2:4], "big")
    assert last == (3_900_000_000 & 0xFFFF) << 16 | 1 << 15
    assert delay == 65536
    assert b"camera-hub" in told
    report = line.connection.report
    assert report is not None
    assert report.unix_s == 3_900_000_000 - 2_208_988_800 + 0.5
    line.connection.leave(0.0)
    assert line.heard()[-1][-8:-4] == b"\x81\xcb\x00\x01"
    assert b"TEARDOWN" in line.control.recv(4096)


def test_a_buffer_that_is_nearly_full_is_read_more_often(line: Line) -> None:
    ports = line.connection.playing.ports[0]
    ports.rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    crowded = Connection(line.connection.playing, line.taker, silence_s=4.0)
    readers = crowded.readers
    for packets in pictures():
        line.rtp.sendto(packets[0], line.ports[0])
        readers[ports.rtp.fileno()](line.buffer, 0.0)
    assert not crowded.crowded
    for packets in pictures():
        line.rtp.sendto(packets[0], line.ports[0])
    readers[ports.rtp.fileno()](line.buffer, 0.0)
    assert crowded.crowded


def test_only_the_cameras_own_farewell_ends_the_stream(line: Line) -> None:
    line.send(*pictures()[0])
    line.report(struct.pack(">BBHI", 0x81, 203, 1, SSRC + 1))
    assert line.connection.alive
    line.report(sender_report() + struct.pack(">BBHI", 0x81, 203, 1, SSRC))
    assert [failure.code for failure in line.taker.failures] == [ReasonCode.CLOSED_BY_CAMERA]
    assert len(line.taker.pictures) == 1


def test_datagrams_that_never_come_are_a_failure_with_its_remedy(line: Line) -> None:
    line.connection.look(3.0)
    line.connection.look(4.5)
    (failure,) = line.taker.failures
    assert failure.code is ReasonCode.NO_DATAGRAMS
    assert "firewall" in failure.reason


def test_a_camera_that_sends_from_another_address_is_told_from_a_firewall(
    line: Line, stranger: socket.socket
) -> None:
    line.send(*pictures()[0], by=stranger)
    line.connection.look(4.5)
    (failure,) = line.taker.failures
    assert failure.code is ReasonCode.NO_DATAGRAMS
    assert f"come from {stranger.getsockname()[0]}" in failure.reason
    assert "firewall" not in failure.reason


def test_a_camera_of_which_no_picture_is_ever_whole_says_so(line: Line) -> None:
    large = [packets for packets in pictures(15) if len(packets) > 1]
    for number, packets in enumerate(large):
        line.send(*packets[:-1], now=float(number))
        line.connection.look(float(number))
    (failure,) = line.taker.failures
    assert failure.code is ReasonCode.DATAGRAMS_LOST
    assert "TCP" in failure.reason


def test_what_comes_within_the_conversation_is_no_picture(line: Line) -> None:
    data = b"".join(rtp.interleaved(0, packet) for packets in pictures() for packet in packets)
    line.control.sendall(data)
    line.read(0.0)
    assert not line.taker.pictures
    assert line.connection.alive


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971;ssrc=4CACC3D1",
         {"server_ports": (6970, 6971), "ssrc": 0x4CACC3D1, "multicast": False}),
        ("RTP/AVP/UDP;unicast;source=192.168.1.5;client_port=5000;server_port=70000",
         {"source": "192.168.1.5", "server_ports": None, "ports": (5000, 5001)}),
        ("RTP/AVP;ssrc=no;multicast;destination=239.1.2.3;port=5000-5001;ttl=900",
         {"destination": "239.1.2.3", "ports": (5000, 5001), "ttl": 0, "ssrc": None}),
        ("RTP/AVP;multicast;destination=$(reboot);source=::;port=0-1",
         {"destination": "", "source": "::", "ports": None}),
        ("RTP/AVP/TCP;unicast;interleaved=0-1", {"interleaved": True}),
        ("", {"interleaved": False, "multicast": False}),
    ],
)  # fmt: skip
def test_what_a_camera_agrees_to_is_read(text: str, expected: dict[str, object]) -> None:
    found = agreed(text)
    assert {name: getattr(found, name) for name in expected} == expected


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["port", "client_port", "server_port", "ttl", "ssrc", "source",
                             "destination", "multicast", "x"]),
            st.text(max_size=12) | st.integers(-9, 10**9).map(str),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_whatever_a_camera_agrees_to_is_within_bounds(said: list[tuple[str, str]]) -> None:
    found = agreed("RTP/AVP;" + ";".join(f"{name}={value}" for name, value in said))
    assert 0 <= found.ttl < 256
    for ports in (found.ports, found.server_ports):
        assert ports is None or all(0 < port < 65536 for port in ports)
    assert found.ssrc is None or found.ssrc < 1 << 32


def test_the_group_of_a_description_is_known() -> None:
    described = read_description(
        b"v=0\r\nc=IN IP4 239.9.9.9/12\r\nm=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        b"m=audio 5006/2 RTP/AVP 0\r\nc=IN IP6 ff05::2/3\r\nm=application 0 RTP/AVP 98\r\n"
        b"c=IN IP4 192.168.1.1\r\na=rtpmap:98 vnd.onvif.metadata/90000\r\n"
    )
    assert described.video is not None
    groups = [described.video.group, described.sounds[0].group, described.metadata[0].group]
    found = [(group.address, group.port, group.ttl) if group else None for group in groups]
    assert found == [("239.9.9.9", 5004, 12), ("ff05::2", 5006, 0), None]


@pytest.fixture
def conversation() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as sock,
    ):
        yield sock


@pytest.mark.parametrize(
    "given",
    [
        "RTP/AVP/TCP;unicast;interleaved=0-1",
        "RTP/AVP;unicast;client_port=1-2",
        "RTP/AVP;multicast;destination=192.168.1.1;port=5000-5001",
        "RTP/AVP;multicast;destination=224.0.0.1;port=5000-5001",
        "RTP/AVP;multicast;destination=ff05::1;port=5000-5001",
        "RTP/AVP;multicast",
    ],
)
def test_a_group_that_is_none_is_not_joined(conversation: socket.socket, given: str) -> None:
    way = way_of("multicast", conversation)
    with pytest.raises(TransportRefusedError):
        way.agree(given, VideoTrack("h264", "H264", 96, 90000, ""))
    way.close()


def test_another_sender_is_let_in_only_if_the_camera_names_it(conversation: socket.socket) -> None:
    way = way_of("udp", conversation)
    track = VideoTrack("h264", "H264", 96, 90000, "")
    for answer in ("RTP/AVP;unicast", "RTP/AVP;unicast;source=192.0.2.7;server_port=9-10"):
        assert "client_port=" in way.offer()
        way.agree(answer, track)
    assert [ports.senders for ports in way.ports] == [
        {"127.0.0.1"}, {"127.0.0.1", "192.0.2.7"},
    ]  # fmt: skip
    # What goes out goes to the camera, whomever it names.
    assert way.ports[1].reports_to == ("127.0.0.1", 10)
    way.close()
    assert all(ports.rtp.fileno() < 0 for ports in way.ports)


def test_a_group_is_heard_from_its_source_alone() -> None:
    # Of IPv6 the loopback has no groups: see `tests/support/multicast_site.py`.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(LOCAL)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        group, number = "239.255.77.77", sender.getsockname()[1]
        anybody, chosen, nobody = (
            joined(Group(group, number, LOCAL, source, 1))
            for source in ("", "127.0.0.1", "192.0.2.9")
        )
        sender.sendto(b"hello", (group, number))
        assert [sock.recv(9) for sock in (anybody, chosen)] == [b"hello"] * 2
        with pytest.raises(BlockingIOError):
            nobody.recv(9)
    for sock in (anybody, chosen, nobody):
        sock.close()
