"""A plain MP4 file (ISO/IEC 14496-12) around samples that exist already; nothing is re-encoded.

`ftyp moov mdat`: the tables come first, so that a player needs not look for them, and the samples
follow in one run. The same samples and times give the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Protocol

from camera_hub.recording.format import SOUND_TRACK, TIMESCALE, box

_MAC_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_DREF = box(b"dref", struct.pack(">II", 0, 1), box(b"url ", struct.pack(">I", 1)))
_DINF = box(b"dinf", _DREF)
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Out(Protocol):
    """Where a file is written to, from its first byte to its last."""

    def write(self, data: bytes, /) -> int:
        """Write bytes; return how many."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """A sample: decode time in ticks from the first, bytes, ticks until it is shown."""

    time: int
    size: int
    later: int
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """A sample of sound: when it begins and how long it is, in samples of its rate; bytes."""

    time: int
    duration: int
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring samples and who gives their bytes, all at once: the pictures', then the sound's.

    Times of sound rise by their durations at least, from chunk to chunk too.
    """

    frames: Sequence[Frame]
    read: Callable[[], bytes]
    heard: Sequence[Heard] = ()

    @property
    def seen(self) -> int:
        """Bytes of its pictures."""
        return sum(frame.size for frame in self.frames)

    @property
    def size(self) -> int:
        """Bytes of its samples."""
        return self.seen + sum(sample.size for sample in self.heard)


@dataclass(frozen=True, slots=True)
class Look:
    """How to show them: `stsd` is the sample description box; pixels; when they were taken.

    `sound`: the sample description and the rate of the sound, if there may be any.
    """

    stsd: bytes
    width: int
    height: int
    at: datetime
    sound: tuple[bytes, int] | None = None


def sample_description(init: bytes) -> bytes:
    """Return the `stsd` box of an init segment.

    Raises:
        ValueError: there is none.
    """
    content = init
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        content = next((inner for kind, inner in _boxes(content) if kind == name), b"")
    for kind, inner in _boxes(content):
        if kind == b"stsd":
            return box(b"stsd", inner)
    raise ValueError("the init segment describes no samples")


def write(
    out: Out,
    look: Look,
    chunks: Sequence[Chunk],
    last_duration: int,
    copied: Callable[[int, int, bytes], None],
) -> None:
    """Write the file.

    Args:
        out: where to.
        look: of all samples.
        chunks: at least one, with at least one sample each; times rise strictly.
        last_duration: how long the last sample is shown, in ticks.
        copied: told number, position in the file and bytes of each chunk.

    Raises:
        ValueError: a chunk gives other bytes than its samples say.
        OSError: the disk refuses.
    """
    size = sum(chunk.size for chunk in chunks)
    head = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
    begin = len(head) + len(_moov(look, chunks, last_duration, 0)) + 16
    head += _moov(look, chunks, last_duration, begin)
    out.write(head + struct.pack(">I4sQ", 1, b"mdat", size + 16))
    position = begin
    for number, chunk in enumerate(chunks):
        data = chunk.read()
        if len(data) != chunk.size:
            raise ValueError("a chunk has not as many bytes as its samples")
        out.write(data)
        copied(number, position, data)
        position += len(data)


def _moov(look: Look, chunks: Sequence[Chunk], last_duration: int, begin: int) -> bytes:
    frames = [frame for chunk in chunks for frame in chunk.frames]
    total = frames[-1].time + last_duration
    sound, longest = b"", total
    if look.sound is not None and any(chunk.heard for chunk in chunks):
        sound, end = _sound(look.sound, chunks, begin)
        longest = max(total, end)
    at = int((look.at - _MAC_EPOCH).total_seconds()) & 0xFFFFFFFF
    mvhd = struct.pack(">5I", 0, at, at, TIMESCALE, longest)
    mvhd += struct.pack(">IH", 0x10000, 0x100) + bytes(10) + _MATRIX + bytes(24)
    tkhd = struct.pack(">6I", 3, at, at, 1, 0, total) + bytes(16) + _MATRIX
    tkhd += struct.pack(">II", look.width << 16, look.height << 16)
    mdhd = struct.pack(">5IHH", 0, at, at, TIMESCALE, total, 0x55C4, 0)
    hdlr = struct.pack(">II4s", 0, 0, b"vide") + bytes(12) + b"video\0"
    stbl = box(b"stbl", look.stsd, *_tables(chunks, frames, last_duration, begin))
    vmhd = box(b"vmhd", struct.pack(">IQ", 1, 0))
    minf = box(b"minf", vmhd, _DINF, stbl)
    mdia = box(b"mdia", box(b"mdhd", mdhd), box(b"hdlr", hdlr), minf)
    trak = box(b"trak", box(b"tkhd", tkhd), mdia)
    following = struct.pack(">I", 3 if sound else 2)
    return box(b"moov", box(b"mvhd", mvhd + following), trak, sound)


def _sound(look: tuple[bytes, int], chunks: Sequence[Chunk], begin: int) -> tuple[bytes, int]:
    """Return the track of the sound, and when it ends in ticks."""
    stsd, rate = look
    samples = [sample for chunk in chunks for sample in chunk.heard]
    start, end = samples[0].time, samples[-1].time + samples[-1].duration
    times = [sample.time for sample in samples] + [end]
    entries, first, offsets, position = [], 1, [], begin
    for count, group in groupby(len(chunk.heard) for chunk in chunks if chunk.heard):
        entries.append(struct.pack(">III", first, count, 1))
        first += len(list(group))
    for chunk in chunks:
        if chunk.heard:
            offsets.append(position + chunk.seen)
        position += chunk.size
    sizes = [sample.size for sample in samples]
    stbl = box(
        b"stbl",
        stsd,
        _counted(b"stts", _runs(b - a for a, b in pairwise(times))),
        box(b"stsc", struct.pack(">II", 0, len(entries)), *entries),
        box(b"stsz", struct.pack(f">III{len(sizes)}I", 0, 0, len(sizes), *sizes)),
        box(b"co64", struct.pack(f">II{len(offsets)}Q", 0, len(offsets), *offsets)),
    )
    wait, length = start * TIMESCALE // rate, (end - start) * TIMESCALE // rate
    # What is heard later than the first picture is seen: an empty edit before it.
    edits = [(wait, -1)] if wait else []
    edits.append((length, 0))
    elst = struct.pack(">II", 0x01000000, len(edits))
    elst += b"".join(struct.pack(">QqI", *edit, 0x10000) for edit in edits)
    tkhd = struct.pack(">6I", 3, 0, 0, SOUND_TRACK, 0, wait + length)
    tkhd += bytes(8) + struct.pack(">HHHH", 0, 0, 0x100, 0) + _MATRIX + bytes(8)
    mdhd = struct.pack(">5IHH", 0, 0, 0, rate, end - start, 0x55C4, 0)
    hdlr = struct.pack(">II4s", 0, 0, b"soun") + bytes(12) + b"sound\0"
    minf = box(b"minf", box(b"smhd", bytes(8)), _DINF, stbl)
    mdia = box(b"mdia", box(b"mdhd", mdhd), box(b"hdlr", hdlr), minf)
    return box(b"trak", box(b"tkhd", tkhd), box(b"edts", box(b"elst", elst)), mdia), wait + length


def _tables(
    chunks: Sequence[Chunk], frames: Sequence[Frame], last_duration: int, begin: int
) -> Iterator[bytes]:
    times = [frame.time for frame in frames] + [frames[-1].time + last_duration]
    yield _counted(b"stts", _runs(b - a for a, b in pairwise(times)))
    if any(frame.later for frame in frames):
        later = _runs(frame.later for frame in frames)
        # Version 1: offsets may be negative.
        yield box(
            b"ctts", struct.pack(">II", 0x01000000, len(later)),
            b"".join(struct.pack(">Ii", count, value) for value, count in later),
        )  # fmt: skip
    keys = [number for number, frame in enumerate(frames, 1) if frame.keyframe]
    yield box(b"stss", struct.pack(f">II{len(keys)}I", 0, len(keys), *keys))
    entries, first = [], 1
    for count, group in groupby(len(chunk.frames) for chunk in chunks):
        entries.append(struct.pack(">III", first, count, 1))
        first += len(list(group))
    yield box(b"stsc", struct.pack(">II", 0, len(entries)), *entries)
    sizes = [frame.size for frame in frames]
    yield box(b"stsz", struct.pack(f">III{len(sizes)}I", 0, 0, len(sizes), *sizes))
    offsets, position = [], begin
    for chunk in chunks:
        offsets.append(position)
        position += chunk.size
    yield box(b"co64", struct.pack(f">II{len(offsets)}Q", 0, len(offsets), *offsets))


def _runs(values: Iterator[int]) -> list[tuple[int, int]]:
    return [(value, len(list(group))) for value, group in groupby(values)]


def _counted(kind: bytes, runs: Sequence[tuple[int, int]]) -> bytes:
    entries = (struct.pack(">II", count, value) for value, count in runs)
    return box(kind, struct.pack(">II", 0, len(runs)), *entries)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if size < 8 or position + size > len(data):
            return
        yield kind, data[position + 8 : position + size]
        position += size
