"""Reading a stream for a moment: what it carries, how far its keyframes are apart."""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av.error

from camera_hub.streams.diagnosis import Failure, StreamFailure
from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.rtsp.client import Playing, RtspClient
from camera_hub.streams.rtsp.connection import Connection
from camera_hub.streams.rtsp.depacketizer import AccessUnit
from camera_hub.streams.types import StreamInfo, StreamSource, Transport
from core.clock import Clock

_BUFFER = 1 << 16
_TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    """What a stream carried; `gop` and `bitrate_kbps` None where there was no second keyframe.

    `fps` is the nominal rate, measured where the camera does not name one; 0 if neither is known.
    """

    info: StreamInfo
    fps: float
    gop: int | None
    bitrate_kbps: int | None
    metadata: bool = False
    """Whether the camera offers to say what it sees."""


def look(
    source: StreamSource,
    clock: Clock,
    *,
    timeout_s: float,
    longest_s: float,
    transport: Transport = "tcp",
) -> Seen | None:
    """Open `source` within `timeout_s`, read on to its second keyframe for `longest_s` at most.

    Blocks. None if no picture came in that time. `transport` is how the packets are to come.

    Raises:
        StreamFailure: the stream cannot be had; says why.
        TransportRefusedError, LeaveToLibraryError: another way may work.
        AddressError: it is no address of a stream.
    """
    client = RtspClient(source, clock, timeout_s=timeout_s, total_s=timeout_s, transport=transport)
    playing = client.open()
    taker = _Taker()
    now = clock.monotonic()
    # Other ways are left to try where not one datagram comes.
    silence_s = longest_s / 2 if playing.ports else timeout_s
    connection = Connection(playing, taker, silence_s=silence_s)
    try:
        connection.begin(now)
        _read(connection, taker, clock.monotonic, now + longest_s)
    finally:
        connection.leave(clock.monotonic())
        playing.close()
    return _seen(playing, taker.pictures)


class _Taker:
    def __init__(self) -> None:
        self.pictures: list[AccessUnit] = []
        self.keyframes = 0
        self.failure: Failure | None = None

    def units(self, units: list[AccessUnit], arrived_monotonic: float) -> None:  # noqa: ARG002 - as agreed
        for unit in units:
            if self.keyframes < 2 and (unit.keyframe or self.pictures):
                self.keyframes += unit.keyframe
                self.pictures.append(unit)

    def ended(self, failure: Failure) -> None:
        self.failure = failure


def _read(
    connection: Connection, taker: _Taker, monotonic: Callable[[], float], until: float
) -> None:
    """Read until there are two keyframes, it is `until`, or the camera ends it.

    Raises:
        StreamFailure: it ended before the first keyframe.
    """
    buffer, readers = memoryview(bytearray(_BUFFER)), connection.readers
    while connection.alive and taker.keyframes < 2 and monotonic() < until:
        ready, _, _ = select.select(list(readers), [], [], _TURN_S)
        for number in ready:
            if connection.alive:
                readers[number](buffer, monotonic())
        if connection.alive:
            connection.look(monotonic())
    # One that breaks off later was good enough to be read.
    if taker.failure is not None and not taker.keyframes:
        raise StreamFailure(taker.failure)


def _seen(playing: Playing, pictures: list[AccessUnit]) -> Seen | None:
    if not pictures:
        return None
    track = playing.track
    assert track.codec is not None
    sets = parameter_sets(track.codec, pictures[0].data) or track.parameter_sets
    try:
        info = read_info(track.codec, sets, pictures[0].data, Fraction(1, track.clock_rate))
    except av.error.FFmpegError:
        return None
    first, last = pictures[0], pictures[-1]
    count = len(pictures) - 1
    shown = [unit.ticks for unit in pictures]
    seconds = (max(shown) - min(shown)) / track.clock_rate
    fps = info.fps if 1 <= info.fps <= 120 else count / seconds if seconds > 0 else 0.0
    if not count or not last.keyframe:
        return Seen(info, fps, None, None, playing.offers_metadata)
    size = sum(len(unit.data) for unit in pictures[:-1])
    duration = (last.ticks - first.ticks) / track.clock_rate
    rate = size * 8 / 1000 / duration if duration > 0 else 0.0
    return Seen(info, fps, count, round(rate) or None, playing.offers_metadata)
