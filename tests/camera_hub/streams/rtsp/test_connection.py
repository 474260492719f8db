"""A playing connection, fed by hand: any cut of the bytes, any damage to them."""

import random
import socket
import struct
from collections.abc import Iterator

import pytest

from camera_hub.simulator import rtp
from camera_hub.streams.diagnosis import Failure
from camera_hub.streams.rtsp.auth import Authorizer
from camera_hub.streams.rtsp.client import Playing
from camera_hub.streams.rtsp.connection import Connection
from camera_hub.streams.rtsp.depacketizer import AccessUnit
from camera_hub.streams.rtsp.sdp import VideoTrack
from camera_hub.streams.types import ReasonCode
from tests.support.media_footage import make_units
from tests.support.odd_camera import payloads

UNITS = make_units(frames=20, gop=10)


class Taker:
    def __init__(self) -> None:
        self.pictures: list[AccessUnit] = []
        self.failures: list[Failure] = []

    def units(self, units: list[AccessUnit], arrived_monotonic: float) -> None:
        del arrived_monotonic
        self.pictures += units

    def ended(self, failure: Failure) -> None:
        self.failures.append(failure)


class Line:
    """A connection and the camera's end of it."""

    def __init__(self) -> None:
        self.camera, own = socket.socketpair()
        own.setblocking(False)
        self.camera.settimeout(5)
        track = VideoTrack("h264", "H264", 96, 90000, "")
        playing = Playing(
            own, track, 0, 1, "rtsp://c/", "1", "GET_PARAMETER", 10.0, Authorizer("", ""), 4, b""
        )
        self.taker = Taker()
        self.connection = Connection(playing, self.taker, silence_s=4.0)
        self.connection.begin(0.0)
        self.buffer = memoryview(bytearray(1 << 16))

    def feed(self, data: bytes, now: float = 0.0) -> None:
        self.camera.sendall(data)
        self.connection.read(self.buffer, now)


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.camera.close()
    made.connection.sock.close()


def packets(extended: bool = False) -> list[bytes]:
    """Return the footage as interleaved frames, with a sender report now and then."""
    found, sequence = [], 65500
    for number, unit in enumerate(UNITS):
        packed = payloads("h264", unit)
        for position, payload in enumerate(packed):
            data = rtp.packet(
                payload, marker=position == len(packed) - 1, sequence=sequence,
                ticks=number * 3600 + 2**32 - 9000, ssrc=5,
            )  # fmt: skip
            if extended:
                # Two sources, an extension of two words, three bytes of padding.
                more = bytes(8) + struct.pack(">HH", 0xBEDE, 2) + bytes(8)
                data = bytes((0xB2,)) + data[1:12] + more + data[12:] + b"\x00\x00\x03"
            found.append(rtp.interleaved(0, data))
            sequence += 1
        if number % 7 == 3:
            report = struct.pack(">BBHIIIIII", 0x80, 200, 6, 5, 3_900_000_000, 1 << 31,
                                 (number * 3600 - 9000) % 2**32, 1, 1)  # fmt: skip
            found.append(rtp.interleaved(1, report))
    return found


@pytest.mark.parametrize("extended", [False, True])
def test_however_the_bytes_are_cut_the_pictures_are_the_same(line: Line, extended: bool) -> None:
    data, rng, at = b"".join(packets(extended)), random.Random(1), 0
    while at < len(data):
        step = rng.choice([1, 2, 3, 5, 17, 400, 3000])
        line.feed(data[at : at + step])
        at += step
    assert len(line.taker.pictures) == len(UNITS)
    assert [unit.ticks for unit in line.taker.pictures] == [
        2**32 - 9000 + n * 3600 for n in range(len(UNITS))
    ]
    assert line.connection.lost == line.connection.dropped == 0
    report = line.connection.report
    assert report is not None
    assert report.unix_s == 3_900_000_000 - 2_208_988_800 + 0.5
    assert report.ticks == 2**32 - 9000 + 17 * 3600
    assert not line.taker.failures


def test_damaged_bytes_never_raise_and_never_hold_the_stream_up() -> None:
    rng = random.Random(2)
    for _ in range(40):
        line = Line()
        for _ in range(6):
            data = bytearray(b"".join(packets()))
            for _ in range(rng.choice([1, 5, 50])):
                data[rng.randrange(len(data))] = rng.randrange(256)
            for at in range(0, len(data), 4000):
                if line.connection.alive:
                    line.feed(bytes(data[at : at + 4000]))
        assert len(line.connection._rest) < 1 << 18
        if line.connection.alive:
            # After at most one frame of the greatest length and one head it is in step again.
            clean = b"".join(packets())
            count = len(line.taker.pictures)
            for _ in range(2 + (70_000 + 16_384) // len(clean)):
                line.feed(clean)
            assert len(line.taker.pictures) > count
        line.camera.close()
        line.connection.sock.close()


def test_rubbish_without_an_end_ends_the_connection(line: Line) -> None:
    for _ in range(40):
        if line.connection.alive:
            line.feed(b"\x00" * 60_000)
    assert [f.code for f in line.taker.failures] == [ReasonCode.ERROR]


def test_a_camera_that_asks_and_does_not_read_is_left(line: Line) -> None:
    question = b"OPTIONS rtsp://x RTSP/1.0\r\nCSeq: 1\r\n\r\n" * 1000
    for _ in range(400):
        if line.connection.alive:
            line.feed(question)
    assert [f.code for f in line.taker.failures] == [ReasonCode.CLOSED_BY_CAMERA]


def test_silence_is_noticed_and_patient_with_rare_pictures(line: Line) -> None:
    frames = packets()
    line.connection.look(3.9)
    line.feed(frames[0], 3.9)
    line.connection.look(7.8)
    assert line.connection.alive
    line.feed(frames[1], 8.9)
    # Five seconds passed between two packets: four times that may pass again.
    line.connection.look(8.9 + 19)
    assert line.connection.alive
    line.connection.look(8.9 + 21)
    assert [f.code for f in line.taker.failures] == [ReasonCode.NO_DATA]


def test_a_farewell_of_the_camera_ends_the_stream(line: Line) -> None:
    line.feed(packets()[0])
    line.feed(rtp.interleaved(1, struct.pack(">BBHI", 0x81, 203, 1, 5)))
    assert [f.code for f in line.taker.failures] == [ReasonCode.CLOSED_BY_CAMERA]


def test_the_camera_is_told_that_somebody_listens(line: Line) -> None:
    data = b"".join(packets()[:40])
    line.feed(data)
    answer = line.camera.recv(1000)
    assert answer[:4] == b"$\x01\x00\x20"
    assert answer[5] == 201
    line.feed(data, 9.0)
    assert line.camera.recv(1000)[5] == 201
    line.connection.look(10.1)
    assert line.camera.recv(1000).startswith(b"GET_PARAMETER rtsp://c/ RTSP/1.0\r\n")
    line.connection.leave(11.0)
    assert line.camera.recv(1000).startswith(b"TEARDOWN rtsp://c/ RTSP/1.0\r\n")
    count = len(line.taker.pictures)
    line.feed(data)
    line.connection.look(12.5)
    assert not line.connection.alive
    assert len(line.taker.pictures) == count
    assert not line.taker.failures
