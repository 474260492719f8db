"""Reading what the boxes of a segment's file hold, and mending a file that was cut off.

A closed file is read in two short reads; of any other the boxes are walked through (format.py).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import orjson

from camera_hub.recording.format import (
    BOX,
    BROKEN_SUFFIX,
    HEADER_UUID,
    INDEX_UUID,
    LONGEST,
    MFRO,
    NTP_EPOCH_S,
    PRFT,
    SOUND_TRACK,
    TFRA,
    TFRA_ENTRY,
    TIMESCALE,
    FormatError,
    Keyframe,
    Part,
    Scan,
    SegmentHeader,
    closing,
    from_microseconds,
)

_SOUND_HEAD = struct.Struct(">I4s 4x4s8x 4x4s 4x4s4xI")
_NOT_SYNC = 0x00010000
_HEAD_BYTES = 4096
_TAIL_BYTES = 8192
_LONGEST_HEAD = 1 << 20
_LONGEST_MOOF = 1 << 22
_LONGEST_END = 1 << 24
_CLOCK_OFF = timedelta(hours=1)
"""The wall clock of a file goes on with its ticks, but for some millionths."""


def scan(path: Path) -> Scan:
    """Read what a file holds, without its pictures.

    A closed file costs two short reads; of any other the boxes are walked through.

    Raises:
        FormatError: it does not begin as a segment does.
        OSError: it cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        return _scan(file)


def scan_head(path: Path) -> tuple[SegmentHeader, bytes]:
    """Return header and init segment (`ftyp moov`) of a file.

    Raises:
        FormatError, OSError: as `scan`.
    """
    with path.open("rb", buffering=0) as file:
        header, init, _ = _head(file)
        return header, init


def repair(path: Path) -> Scan | None:
    """Make a closed file of one that was cut off: everything after the last whole part goes.

    The file keeps its name, is flushed to the disk and stays as it is when it is closed already.
    A file without a whole part is renamed to `….broken` and None is returned.

    Raises:
        OSError: the disk refuses.
    """
    try:
        found = scan(path)
    except FormatError:
        found = None
    if found is None or not found.parts:
        path.rename(path.with_name(path.name + BROKEN_SUFFIX))
        return None
    if found.closed:
        return found
    with path.open("r+b") as file:
        file.truncate(found.whole_bytes)
        file.seek(found.whole_bytes)
        file.write(
            closing(
                list(found.parts),
                list(found.keyframes),
                motion=found.motion,
                lost=found.lost_parts,
            )
        )
        file.flush()
        os.fsync(file.fileno())
    return scan(path)


def _scan(file: BinaryIO) -> Scan:
    header, init, offset = _head(file)
    size = os.fstat(file.fileno()).st_size
    indexed = _indexed(file, size)
    if indexed is not None and all(_possible(part, header) for part in indexed[0]):
        parts, keyframes, motion, lost = indexed
        return Scan(
            header, len(init), parts, keyframes, parts[-1].ends_at, size, True, motion, lost
        )
    parts, keyframes = _walked(file, offset, size, header)
    ends_at = parts[-1].ends_at if parts else header.started_at
    whole = parts[-1].offset + parts[-1].size if parts else offset
    return Scan(header, len(init), parts, keyframes, ends_at, whole, False)


def _head(file: BinaryIO) -> tuple[SegmentHeader, bytes, int]:
    """Return header, init segment and where the parts begin."""
    data = file.read(_HEAD_BYTES)
    offset, init_bytes = 0, 0
    expected = (b"ftyp", b"moov", b"uuid")
    for kind in expected:
        size, found = BOX.unpack(data[offset : offset + 8].ljust(8, b"\0"))
        if found != kind or not 8 <= size <= _LONGEST_HEAD:
            raise FormatError(f"there is no {kind.decode()} box at byte {offset}")
        if offset + size > len(data):
            data += file.read(offset + size - len(data))
        if offset + size > len(data):
            raise FormatError(f"the file ends within its {kind.decode()} box")
        if kind == b"uuid":
            body = data[offset + 8 : offset + size]
            if body[:16] != HEADER_UUID.bytes:
                raise FormatError("the header is not Camera Hub's")
            return SegmentHeader.from_json(body[16:]), data[:init_bytes], offset + size
        offset += size
        init_bytes = offset
    raise FormatError("there is no header")


def _indexed(
    file: BinaryIO, size: int
) -> tuple[tuple[Part, ...], tuple[Keyframe, ...], str, int] | None:
    """Return what the `mfra` at the end says; None where there is none that fits the file."""
    file.seek(max(0, size - _TAIL_BYTES))
    tail = file.read(_TAIL_BYTES)
    if len(tail) < MFRO.size:
        return None
    mfro_size, kind, _, mfra_size = MFRO.unpack(tail[-MFRO.size :])
    if kind != b"mfro" or mfro_size != MFRO.size or not 8 <= mfra_size < size:
        return None
    if mfra_size > len(tail):
        file.seek(size - mfra_size)
        if mfra_size > _LONGEST_END or file.read(8) != BOX.pack(mfra_size, b"mfra"):
            return None
        file.seek(size - mfra_size)
        tail = file.read(mfra_size)
    mfra = tail[-mfra_size:]
    if len(mfra) < mfra_size or mfra[:8] != BOX.pack(mfra_size, b"mfra"):
        return None
    try:
        return _read_mfra(mfra, size - mfra_size)
    except (struct.error, LookupError, TypeError, ValueError, OverflowError):
        return None


def _read_mfra(
    mfra: bytes, end: int
) -> tuple[tuple[Part, ...], tuple[Keyframe, ...], str, int] | None:
    tfra_size, kind, _, _, _, count = TFRA.unpack_from(mfra, 8)
    index_at = 8 + tfra_size
    index_size, index_kind = BOX.unpack_from(mfra, index_at)
    body = mfra[index_at + 8 : index_at + index_size]
    if kind != b"tfra" or index_kind != b"uuid" or body[:16] != INDEX_UUID.bytes:
        return None
    content = orjson.loads(body[16:])
    parts = tuple(_listed(entry) for entry in content["parts"])
    if not _joined(parts, end):
        return None
    keyframes = []
    number = 0
    for time, offset, _, _, sample in TFRA_ENTRY.iter_unpack(mfra[8 + TFRA.size : index_at]):
        while offset >= parts[number].offset + parts[number].size:
            number += 1
        part = parts[number]
        at = part.starts_at + timedelta(seconds=(time - part.decode_time) / TIMESCALE)
        keyframes.append(Keyframe(at, time, offset, sample))
    if len(keyframes) != count:
        return None
    return parts, tuple(keyframes), str(content["motion"]), int(content["lost"])


def _listed(entry: list[object]) -> Part:
    """Read one part of the list at the end of a file.

    Raises:
        ValueError: it is not six or seven whole numbers that a part can have.
    """
    # Lists of version 1 have no sound at their end.
    numbers = [int(one) for one in entry if isinstance(one, int)]
    if len(numbers) != len(entry) or not 6 <= len(numbers) <= 7 or min(numbers[:2]) < 0:
        raise ValueError("a part of the list")
    offset, size, at, decode, duration, key, *sound = numbers
    if not 0 <= sum(sound) < size:
        raise ValueError("the sound of a part")
    return Part(offset, size, from_microseconds(at), decode, duration, bool(key), *sound)


def _joined(parts: tuple[Part, ...], end: int) -> bool:
    """Say whether the parts lie one behind the other, up to `end`."""
    ends = [part.offset + part.size for part in parts]
    return bool(parts) and ends[-1] == end and ends[:-1] == [part.offset for part in parts[1:]]


def _possible(part: Part, header: SegmentHeader) -> bool:
    """Say whether the times of a part can be those of a part of this file."""
    if not 0 <= part.decode_time < part.decode_time + part.duration <= LONGEST:
        return False
    expected = header.started_at + timedelta(seconds=part.decode_time / TIMESCALE)
    return abs(part.starts_at - expected) <= _CLOCK_OFF


def _boxes(file: BinaryIO, offset: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, offset and size of each whole box from `offset` on."""
    while offset + 8 <= size:
        file.seek(offset)
        length, kind = BOX.unpack(file.read(8).ljust(8, b"\0"))
        if length < 8 or offset + length > size:
            return
        yield kind, offset, length
        offset += length


def _walked(
    file: BinaryIO, offset: int, size: int, header: SegmentHeader
) -> tuple[tuple[Part, ...], tuple[Keyframe, ...]]:
    """Read the whole parts from `offset` on, box by box, up to the first that is not whole."""
    parts: list[Part] = []
    keyframes: list[Keyframe] = []
    boxes = _boxes(file, offset, size)
    following = next(boxes, None)
    while following is not None:
        kind, start, length = following
        moof = next(boxes, None)
        mdat = next(boxes, None)
        if kind != b"prft" or length != PRFT.size or moof is None or mdat is None:
            break
        if moof[0] != b"moof" or mdat[0] != b"mdat" or moof[2] > _LONGEST_MOOF:
            break
        file.seek(start)
        data = file.read(PRFT.size + moof[2])
        try:
            part, found = _read_part(data, start, mdat[1] + mdat[2] - start, mdat[2])
        except (struct.error, FormatError, OverflowError):
            break
        if not _possible(part, header):
            break
        sound, following = _walked_sound(file, boxes)
        parts.append(replace(part, size=part.size + sound, sound=sound))
        keyframes.extend(found)
    return tuple(parts), tuple(keyframes)


def _walked_sound(
    file: BinaryIO, boxes: Iterator[tuple[bytes, int, int]]
) -> tuple[int, tuple[bytes, int, int] | None]:
    """Return how many bytes of whole sound come next, and the box after them."""
    sound = 0
    while (moof := next(boxes, None)) is not None and moof[0] == b"moof":
        mdat = next(boxes, None)
        file.seek(moof[1])
        head = file.read(_SOUND_HEAD.size) if mdat is not None and mdat[0] == b"mdat" else b""
        if mdat is None or len(head) < _SOUND_HEAD.size:
            return sound, None
        if _SOUND_HEAD.unpack(head)[1:] != (b"moof", b"mfhd", b"traf", b"tfhd", SOUND_TRACK):
            return sound, None
        sound += moof[2] + mdat[2]
    return sound, moof


def _read_part(data: bytes, offset: int, size: int, mdat_size: int) -> tuple[Part, list[Keyframe]]:
    """Read `prft moof` as `writing.py` makes them."""
    _, _, _, _, ntp, fraction, decode_time = PRFT.unpack_from(data)
    wall_us = (ntp - NTP_EPOCH_S) % (1 << 32) * 1_000_000 + ((fraction * 1_000_000) >> 32)
    # moof 8, mfhd 16, traf 8, tfhd 16, tfdt 20, then trun: 8, flags 4, count 4, data offset 4
    at = PRFT.size + 8 + 16 + 8 + 16 + 20
    length, kind, flags, count = struct.unpack_from(">I4sII", data, at)
    if kind != b"trun" or flags != 0x01000F01 or length != 20 + 16 * count or not count:
        raise FormatError("a run of samples is not as it was written")
    starts_at = from_microseconds(wall_us)
    moof_at = offset + PRFT.size
    duration = total = 0
    keyframes: list[Keyframe] = []
    samples = struct.Struct(">IIIi").iter_unpack(data[at + 20 : at + length])
    first_flags = 0
    for number, (ticks, sample_bytes, sample_flags, _) in enumerate(samples, 1):
        if number == 1:
            first_flags = sample_flags
        if not sample_flags & _NOT_SYNC:
            keyframe_at = starts_at + timedelta(seconds=duration / TIMESCALE)
            keyframes.append(Keyframe(keyframe_at, decode_time + duration, moof_at, number))
        duration += ticks
        total += sample_bytes
    if total + 8 != mdat_size:
        raise FormatError("a part has not as many bytes as its samples")
    starts_with_keyframe = not first_flags & _NOT_SYNC
    return (
        Part(offset, size, starts_at, decode_time, duration, starts_with_keyframe),
        keyframes,
    )
