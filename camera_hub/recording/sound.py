"""The sound of a recording: its track in the init segment, its boxes in a part, and without it.

AAC-LC (ISO/IEC 14496-3) lies as track 2 beside the video (ISO/IEC 14496-12 and -14), in a `moof`
and `mdat` of its own after those of the video, so that leaving sound out is leaving bytes out.
Its times are in samples of its own rate, counted from the file's first picture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from camera_hub.recording.format import SOUND_TRACK, FormatError, box

if TYPE_CHECKING:
    from fractions import Fraction

    from camera_hub.streams.types import SoundInfo, SoundPacket

CODEC = "mp4a.40.2"
"""AAC-LC after RFC 6381."""
TOLERANCE_S = 0.02
"""A frame that begins so near to the end of the one before it follows on from there."""
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_MOOF = struct.Struct(">I4s I4sII I4s I4sII I4sIQ I4sIII")
_TREX = struct.Struct(">I4s6I")
_AFTER_SOUND = struct.pack(">I", SOUND_TRACK + 1)  # the number of the next track
_ID_IN_TKHD = {0: 12, 1: 20}
_CHANNELS_AT = 40


@dataclass(frozen=True, slots=True)
class SoundSample:
    """One AAC frame of a part: when it begins and how long it is (samples), and where it lies."""

    time: int
    duration: int
    position: int
    size: int


def with_codec(codec: str, *, sound: bool) -> str:
    """Return a file's codec string with or without that of its sound."""
    video = codec.partition(",")[0]
    return f"{video},{CODEC}" if sound else video


def has_sound(codec: str) -> bool:
    """Say whether a file with this codec string has a track of sound."""
    return "," in codec


def with_sound(init: bytes, sound: SoundInfo) -> bytes:
    """Return an init segment with a track of sound beside that of the video.

    Raises:
        ValueError: it is no init segment, or its parameters cannot be written.
    """
    if not (0 < sound.rate < 1 << 16 and 0 < sound.channels < 9 and 0 < len(sound.config) < 64):
        raise ValueError("the sound's parameters cannot be written")
    trex = _TREX.pack(_TREX.size, b"trex", 0, SOUND_TRACK, 1, 0, 0, 0)
    content: list[bytes] = []
    for kind, inner in _moov_of(init):
        if kind == b"mvhd":
            content.append(box(kind, inner[:-4], _AFTER_SOUND))
        else:
            content.append(box(kind, inner, trex if kind == b"mvex" else b""))
        if kind == b"trak":
            content.append(_trak(sound))
    return _with_moov(init, content)


def without_sound(init: bytes) -> bytes:
    """Return an init segment without its track of sound, if it has one.

    Raises:
        ValueError: it is no init segment.
    """
    content = []
    for kind, inner in _moov_of(init):
        if kind == b"trak" and _track_of(inner) == SOUND_TRACK:
            continue
        if kind == b"mvhd" and inner.endswith(_AFTER_SOUND):
            content.append(box(kind, inner[:-4], struct.pack(">I", SOUND_TRACK)))
        elif kind == b"mvex":
            kept = (box(k, i) for k, i in _boxes(inner) if not _is_trex_of_sound(k, i))
            content.append(box(kind, *kept))
        else:
            content.append(box(kind, inner))
    return _with_moov(init, content)


def sound_of(init: bytes) -> tuple[bytes, int] | None:
    """Return sample description (`stsd`) and rate of the sound in an init segment, if there is any.

    Raises:
        ValueError: it is no init segment, or describes no sound that `with_sound` writes.
    """
    for kind, inner in _moov_of(init):
        if kind == b"trak" and _track_of(inner) == SOUND_TRACK:
            mdia = _inside(inner, b"mdia")
            stbl = _inside(_inside(mdia, b"minf"), b"stbl")
            stsd = box(b"stsd", _inside(stbl, b"stsd"))
            mdhd = _inside(mdia, b"mdhd")
            rate = int.from_bytes(mdhd[12:16], "big")
            if channels_of(stsd) not in (1, 2) or not 0 < rate < 1 << 16:
                raise ValueError("the sound is described wrongly")
            return stsd, rate
    return None


def channels_of(stsd: bytes) -> int:
    """Return how many channels a sample description (`stsd` with one `mp4a`) says; 0 of none."""
    return int.from_bytes(stsd[_CHANNELS_AT : _CHANNELS_AT + 2], "big")


class SoundTimes:
    """Places frames of one file one after the other; what comes too late is left out."""

    def __init__(self, sound: SoundInfo, time_base: Fraction, origin: int) -> None:
        """Begin a file whose first picture has the dts `origin`, in `time_base`."""
        self._scale = time_base * sound.rate
        self._origin = origin
        self._slack = round(TOLERANCE_S * sound.rate)
        self._next = 0

    def place(self, packets: Sequence[SoundPacket]) -> list[tuple[int, SoundPacket]]:
        """Return those of `packets` that have a place, with their times in samples."""
        placed = []
        top, bottom = self._scale.numerator, self._scale.denominator
        for packet in packets:
            at = (packet.at - self._origin) * top // bottom
            if at < self._next - self._slack:
                continue  # it lies before the file, or where there is sound already
            time = at if at > self._next + self._slack else self._next
            placed.append((time, packet))
            self._next = time + packet.samples
        return placed


def sound_boxes(placed: Sequence[tuple[int, SoundPacket]], sequence: int) -> bytes:
    """Return `moof mdat` of frames with their times; b"" of none."""
    if not placed:
        return b""
    times = [time for time, _ in placed] + [placed[-1][0] + placed[-1][1].samples]
    run = []
    for number, (time, packet) in enumerate(placed):
        run += [times[number + 1] - time, len(packet.data)]
    count = len(placed)
    trun = 20 + 8 * count
    traf = 8 + 16 + 20 + trun
    moof = 8 + 16 + traf
    # Of each sample duration and size; all of them are sync samples, as `trex` says.
    head = _MOOF.pack(
        *(moof, b"moof"),
        *(16, b"mfhd", 0, sequence),
        *(traf, b"traf"),
        *(16, b"tfhd", 0x020000, SOUND_TRACK),
        *(20, b"tfdt", 0x01000000, times[0]),
        *(trun, b"trun", 0x00000301, count, moof + 8),
    )
    run_bytes = struct.pack(f">{2 * count}I", *run)
    return head + run_bytes + box(b"mdat", *(packet.data for _, packet in placed))


def read_sound(data: bytes, position: int) -> Iterator[SoundSample]:
    """Read the sound of a part: `moof mdat` pairs that begin at `position` in the file.

    Raises:
        FormatError: they are not as `sound_boxes` makes them.
    """
    at = 0
    try:
        while at < len(data):
            fields = _MOOF.unpack_from(data, at)
            moof, moof_kind, track = fields[0], fields[1], fields[11]
            time, trun, trun_kind, flags, count = fields[15:20]
            mdat, mdat_kind = struct.unpack_from(">I4s", data, at + moof)
            known = (moof_kind, trun_kind, mdat_kind) == (b"moof", b"trun", b"mdat")
            if not known or track != SOUND_TRACK or flags != 0x301 or trun != 20 + 8 * count:
                raise FormatError("the sound of a part is not as it was written")
            run = struct.unpack_from(f">{2 * count}I", data, at + _MOOF.size)
            begin = at + moof + 8
            if sum(run[1::2]) + 8 != mdat or begin - 8 + mdat > len(data):
                raise FormatError("the sound of a part has not as many bytes as its samples")
            for duration, size in zip(run[::2], run[1::2], strict=True):
                yield SoundSample(time, duration, position + begin, size)
                time, begin = time + duration, begin + size
            at += moof + mdat
    except struct.error:
        raise FormatError("the sound of a part is cut off") from None


def _trak(sound: SoundInfo) -> bytes:
    tkhd = struct.pack(">6I", 3, 0, 0, SOUND_TRACK, 0, 0)
    tkhd += bytes(8) + struct.pack(">HHHH", 0, 0, 0x100, 0) + _MATRIX + bytes(8)
    mdhd = struct.pack(">5IHH", 0, 0, 0, sound.rate, 0, 0x55C4, 0)
    hdlr = struct.pack(">II4s", 0, 0, b"soun") + bytes(12) + b"sound\0"
    dref = box(b"dref", struct.pack(">II", 0, 1), box(b"url ", struct.pack(">I", 1)))
    stsd = box(b"stsd", struct.pack(">II", 0, 1), _sample_entry(sound))
    empty = [box(kind, bytes(8)) for kind in (b"stts", b"stsc", b"stco")]
    stbl = box(b"stbl", stsd, *empty, box(b"stsz", bytes(12)))
    minf = box(b"minf", box(b"smhd", bytes(8)), box(b"dinf", dref), stbl)
    mdia = box(b"mdia", box(b"mdhd", mdhd), box(b"hdlr", hdlr), minf)
    return box(b"trak", box(b"tkhd", tkhd), mdia)


def _sample_entry(sound: SoundInfo) -> bytes:
    """Return `mp4a` with its `esds` (ISO/IEC 14496-14, 5.6 and ISO/IEC 14496-1, 7.2.6)."""
    specific = b"\x05" + bytes([len(sound.config)]) + sound.config
    # Audio (0x40), an audio stream (0x15), bit rates unknown.
    decoder = b"\x40\x15" + bytes(3) + bytes(8) + specific
    stream = struct.pack(">HB", SOUND_TRACK, 0)
    stream += b"\x04" + bytes([len(decoder)]) + decoder + b"\x06\x01\x02"
    esds = box(b"esds", bytes(4), b"\x03" + bytes([len(stream)]) + stream)
    entry = bytes(6) + struct.pack(">HIIHHHHI", 1, 0, 0, sound.channels, 16, 0, 0, sound.rate << 16)
    return box(b"mp4a", entry, esds)


def _moov_of(init: bytes) -> list[tuple[bytes, bytes]]:
    for kind, inner in _boxes(init):
        if kind == b"moov":
            return list(_boxes(inner))
    raise ValueError("there is no moov box")


def _with_moov(init: bytes, content: Sequence[bytes]) -> bytes:
    return b"".join(
        box(kind, *content) if kind == b"moov" else box(kind, inner) for kind, inner in _boxes(init)
    )


def _track_of(trak: bytes) -> int:
    tkhd = _inside(trak, b"tkhd")
    at = _ID_IN_TKHD.get(tkhd[0] if tkhd else -1)
    if at is None or len(tkhd) < at + 4:
        raise ValueError("a track has no number")
    return int(struct.unpack_from(">I", tkhd, at)[0])


def _is_trex_of_sound(kind: bytes, inner: bytes) -> bool:
    return kind == b"trex" and int.from_bytes(inner[4:8], "big") == SOUND_TRACK


def _inside(content: bytes, wanted: bytes) -> bytes:
    found = next((inner for kind, inner in _boxes(content) if kind == wanted), None)
    if found is None:
        raise ValueError(f"there is no {wanted.decode()} box")
    return found


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < 8 or position + size > len(data):
            raise ValueError("a box is longer than what it lies in")
        yield kind, data[position + 8 : position + size]
        position += size
