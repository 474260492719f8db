"""A prepared clip in memory, as access units ready for RTP, and its place on the wall clock."""

import bisect
from dataclasses import dataclass
from pathlib import Path

import av

from core.errors import InvalidInputError

CLOCK_RATE = 90_000
"""Ticks a second of RTP timestamps for video (RFC 6184)."""


@dataclass(frozen=True)
class AccessUnit:
    """One picture: NAL units without start codes, and when it is due from the clip's start."""

    nals: tuple[bytes, ...]
    ticks: int
    keyframe: bool


@dataclass(frozen=True)
class LoopedClip:
    """An H.264 clip without B-frames, repeated for ever.

    Frames are counted through the loops: number n is frame n modulo the clip's length, in
    loop n divided by it. So every viewer sees the same picture at the same moment, and
    timestamps go on over the seam.
    """

    units: tuple[AccessUnit, ...]
    duration_ticks: int
    sps: bytes
    pps: bytes
    width: int
    height: int
    bitrate: int
    keyframe_interval: int

    @property
    def duration_s(self) -> float:
        """Length of one loop in seconds."""
        return self.duration_ticks / CLOCK_RATE

    @property
    def fps(self) -> float:
        """Average rate in frames a second."""
        return len(self.units) / self.duration_s

    def unit(self, number: int) -> AccessUnit:
        """Return frame `number`, counted through the loops."""
        return self.units[number % len(self.units)]

    def due_ticks(self, number: int) -> int:
        """Return when frame `number` is due, in ticks since the first loop began."""
        loop, index = divmod(number, len(self.units))
        return loop * self.duration_ticks + self.units[index].ticks

    def first_due(self, ticks: int) -> int:
        """Return the number of the first frame that is due at `ticks` or later."""
        loop, within = divmod(ticks, self.duration_ticks)
        index = bisect.bisect_left(self.units, within, key=lambda unit: unit.ticks)
        return loop * len(self.units) + index


def load(path: Path) -> LoopedClip:
    """Read a clip made by `transcode.prepare`.

    Raises:
        InvalidInputError: the file is not such a clip.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            length_size, sps, pps = _parameter_sets(bytes(context.extradata or b""))
            packets = [packet for packet in container.demux(stream) if packet.size]
            scale = CLOCK_RATE * (stream.time_base or 0)
            start = packets[0].dts or 0
            units = tuple(
                AccessUnit(
                    _split(bytes(packet), length_size),
                    round(((packet.dts or 0) - start) * scale),
                    packet.is_keyframe,
                )
                for packet in packets
            )
            width, height = context.width, context.height
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise InvalidInputError(
            f"The prepared clip {path.name} cannot be read.",
            remedy=f"Delete it in {path.parent} and start again: it is made anew.",
            code="footage",
        ) from error
    span = units[-1].ticks
    duration = span + (round(span / (len(units) - 1)) if len(units) > 1 else CLOCK_RATE)
    keyframes = [index for index, unit in enumerate(units) if unit.keyframe]
    size = sum(len(nal) for unit in units for nal in unit.nals)
    return LoopedClip(
        units=units,
        duration_ticks=duration,
        sps=sps,
        pps=pps,
        width=width,
        height=height,
        bitrate=round(size * 8 * CLOCK_RATE / duration),
        keyframe_interval=keyframes[1] - keyframes[0] if len(keyframes) > 1 else len(units),
    )


def _parameter_sets(avcc: bytes) -> tuple[int, bytes, bytes]:
    """Return (bytes of a NAL's length, SPS, PPS) of an AVCDecoderConfigurationRecord.

    The layout is that of ISO/IEC 14496-15, section 5.3.3; the first set of each is taken.
    """
    if len(avcc) < 8 or avcc[0] != 1:
        raise ValueError("no H.264 configuration record")
    sps_end = 8 + int.from_bytes(avcc[6:8], "big")
    pps_start = sps_end + 3  # a count byte and a length
    pps_end = pps_start + int.from_bytes(avcc[sps_end + 1 : pps_start], "big")
    return (avcc[4] & 3) + 1, avcc[8:sps_end], avcc[pps_start:pps_end]


def _split(data: bytes, length_size: int) -> tuple[bytes, ...]:
    nals = []
    at = 0
    while at + length_size < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        nals.append(data[at : at + size])
        at += size
    return tuple(nals)
