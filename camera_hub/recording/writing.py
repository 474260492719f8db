"""Packets into the bytes of a segment's file; no disk is touched here (see format.py)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from camera_hub.recording.format import (
    HEADER_UUID,
    OTHER_SAMPLE,
    PRFT_BYTES,
    SYNC_SAMPLE,
    TIMESCALE,
    Keyframe,
    Part,
    SegmentHeader,
    box,
    closing,
    from_microseconds,
    prft,
)
from camera_hub.recording.sound import SoundTimes, sound_boxes

if TYPE_CHECKING:
    from fractions import Fraction

    from camera_hub.streams.types import Packet, SoundInfo, SoundPacket

_TRACK = 1
_MOOF = struct.Struct(">I4s I4sII I4s I4sII I4sIQ I4sIII")
_MDAT = struct.Struct(">I4s")
_START = b"\x00\x00\x01"


@lru_cache(maxsize=1024)
def _run(samples: int) -> struct.Struct:
    return struct.Struct(">" + "IIIi" * samples)


def length_prefixed(data: bytes, out: list[bytes]) -> int:
    """Append an access unit to `out`, lengths in place of start codes; return its bytes."""
    start = data.find(_START)
    total = 0
    while start >= 0:
        start += 3
        end = data.find(_START, start)
        unit = data[start:] if end < 0 else data[start:end]
        if unit.endswith(b"\x00"):
            # A NAL unit never ends in zero: what is there belongs to the next start code.
            unit = unit.rstrip(b"\x00")
        if unit:
            out.append(len(unit).to_bytes(4, "big"))
            out.append(unit)
            total += 4 + len(unit)
        start = end
    return total


class SegmentWriter:
    """Makes the bytes of one file, in order: `begin`, any number of `part`, `finish`."""

    def __init__(
        self, init: bytes, time_base: Fraction, origin: int, sound: SoundInfo | None = None
    ) -> None:
        """Begin a file.

        Args:
            init: `ftyp moov`, as `live.muxer` makes them, with a track of sound where there is one.
            time_base: of the packets.
            origin: dts of the first sample, in `time_base`.
            sound: of the track of sound.
        """
        self._sound = None if sound is None else SoundTimes(sound, time_base, origin)
        self._init = init
        scale = time_base * TIMESCALE
        self._numerator, self._denominator = scale.numerator, scale.denominator
        self._origin = origin
        self._written = 0
        self._sequence = 0
        self._parts: list[Part] = []
        self._keyframes: list[Keyframe] = []
        self._before: Part | None = None

    @property
    def written(self) -> int:
        """Bytes up to the last part."""
        return self._written

    @property
    def parts(self) -> Sequence[Part]:
        """The parts so far."""
        return self._parts

    def begin(self, header: SegmentHeader) -> bytes:
        """Return the bytes before the first part."""
        data = self._init + box(b"uuid", HEADER_UUID.bytes, header.to_json())
        self._written = len(data)
        return data

    def part(
        self,
        packets: Sequence[Packet],
        end_dts: int,
        wall_us: int,
        sound: Sequence[SoundPacket] = (),
    ) -> bytes:
        """Return a part.

        Args:
            packets: at least one, dts strictly rising.
            end_dts: dts of the packet that comes after, or where the last one ends.
            wall_us: wall clock of the first, microseconds since 1970.
            sound: what is heard meanwhile; left out in a file without a track for it.
        """
        top, bottom, origin = self._numerator, self._denominator, self._origin
        times = [((packet.dts or 0) - origin) * top // bottom for packet in packets]
        times.append(max((end_dts - origin) * top // bottom, times[-1] + 1))
        pieces: list[bytes] = [b"", b""]
        run: list[int] = []
        keyframes: list[tuple[int, int]] = []
        mdat = 8
        for number, packet in enumerate(packets):
            size = length_prefixed(bytes(packet), pieces)
            mdat += size
            dts = times[number]
            later = ((packet.pts or 0) - (packet.dts or 0)) * top // bottom
            sync = packet.is_keyframe
            run += (times[number + 1] - dts, size, SYNC_SAMPLE if sync else OTHER_SAMPLE, later)
            if sync:
                keyframes.append((dts, number + 1))
        pieces[0] = prft(wall_us, times[0]) + self._moof(times[0], run, len(packets))
        pieces[1] = _MDAT.pack(mdat, b"mdat")
        heard = self._heard(sound)
        pieces.append(heard)
        data = b"".join(pieces)
        self._note(len(data), times, wall_us, keyframes)
        self._before = None
        if heard:
            self._parts[-1] = replace(self._parts[-1], sound=len(heard))
        return data

    def more_sound(self, sound: Sequence[SoundPacket]) -> bytes:
        """Return what is to follow the last part: sound that came after it was written."""
        data = self._heard(sound) if self._parts else b""
        if data:
            last = self._before = self._parts[-1]
            size, heard = last.size + len(data), last.sound + len(data)
            self._parts[-1] = replace(last, size=size, sound=heard)
            self._written += len(data)
        return data

    def forget_last(self) -> None:
        """Take back what came last, a part or more sound for it: it could not be written."""
        part = self._parts.pop()
        before, self._before = self._before, None
        if before is not None:
            self._parts.append(before)
            self._written = before.offset + before.size
            return
        self._written = part.offset
        while self._keyframes and self._keyframes[-1].offset > part.offset:
            self._keyframes.pop()

    def finish(self, *, motion: str = "", lost: int = 0) -> bytes:
        """Return what ends the file; `motion` and `lost` as in `Scan`."""
        return closing(self._parts, self._keyframes, motion=motion, lost=lost)

    def _heard(self, sound: Sequence[SoundPacket]) -> bytes:
        placed = self._sound.place(sound) if self._sound is not None else []
        if placed:
            self._sequence += 1
        return sound_boxes(placed, self._sequence)

    def _moof(self, decode_time: int, run: list[int], samples: int) -> bytes:
        self._sequence += 1
        trun = 20 + 16 * samples
        traf = 8 + 16 + 20 + trun
        moof = 8 + 16 + traf
        return _MOOF.pack(
            *(moof, b"moof"),
            *(16, b"mfhd", 0, self._sequence),
            *(traf, b"traf"),
            *(16, b"tfhd", 0x020000, _TRACK),
            *(20, b"tfdt", 0x01000000, decode_time),
            *(trun, b"trun", 0x01000F01, samples, moof + 8),
        ) + _run(samples).pack(*run)

    def _note(
        self, size: int, times: list[int], wall_us: int, keyframes: list[tuple[int, int]]
    ) -> None:
        starts_at = from_microseconds(wall_us)
        begins = bool(keyframes) and keyframes[0][1] == 1
        part = Part(self._written, size, starts_at, times[0], times[-1] - times[0], begins)
        self._parts.append(part)
        moof_at = self._written + PRFT_BYTES
        for dts, number in keyframes:
            at = starts_at + timedelta(seconds=(dts - times[0]) / TIMESCALE)
            self._keyframes.append(Keyframe(at, dts, moof_at, number))
        self._written += size
