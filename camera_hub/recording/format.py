"""The file of a segment: what its boxes hold. Reading and mending it is in scanning.py.

Fragmented MP4 (ISO/IEC 14496-12): `ftyp moov`, a `uuid` box with the JSON header, then for each
part `prft moof mdat`, and where there is sound `moof mdat` of it (`sound.py`); a closed file ends
in `mfra`, which besides the keyframes (`tfra`) holds a `uuid` box with a JSON list of the parts,
so that a closed file is read in two short reads. Files of version 1 know of no sound.
All times of pictures are in ticks of 90 kHz from the segment's first sample.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

VERSION = 2
TIMESCALE = 90_000
HEADER_UUID = UUID("63616d65-7261-6875-6276-303100000001")
INDEX_UUID = UUID("63616d65-7261-6875-6276-303100000002")
SOUND_TRACK = 2
PART_SUFFIX = ".part"
"""Of a file that is being written."""
CLOSED_SUFFIX = ".mp4"
BROKEN_SUFFIX = ".broken"
"""Of a file without one whole part: set aside, never erased."""

SYNC_SAMPLE = 0x02000000
OTHER_SAMPLE = 0x01010000

LONGEST = (1 << 32) - 1
"""Ticks that a file may last, 13 hours; what says more is damaged."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2999
_LONGEST_SIDE = 16384
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NTP_EPOCH_S = 2_208_988_800
BOX = struct.Struct(">I4s")
PRFT = struct.Struct(">I4sIIIIQ")
PRFT_BYTES = PRFT.size
TFRA = struct.Struct(">I4sIIII")
TFRA_ENTRY = struct.Struct(">QQIII")
MFRO = struct.Struct(">I4sII")


class FormatError(ValueError):
    """A file is not a segment, or not a whole one; the text says where it stops being one."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself. `started_at` is the wall clock of its first sample (UTC).

    `cause` is `always`, `schedule` or `event`; `clock` is `jumped` where the wall clock does not
    follow on from the segment before. `width` and `height` in pixels; `codec` after RFC 6381.
    """

    site: str
    camera_id: UUID
    role: str
    segment_id: UUID
    sequence: int
    started_at: datetime
    codec: str
    width: int
    height: int
    cause: str
    clock: str = "steady"

    def to_json(self) -> bytes:
        """Return the header as it lies in the file."""
        return orjson.dumps(
            {
                "v": VERSION,
                "site": self.site,
                "camera_id": str(self.camera_id),
                "role": self.role,
                "segment_id": str(self.segment_id),
                "sequence": self.sequence,
                "started_at": self.started_at.isoformat(),
                "codec": self.codec,
                "width": self.width,
                "height": self.height,
                "cause": self.cause,
                "clock": self.clock,
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> SegmentHeader:
        """Read a header; fields of a later version are left aside.

        Raises:
            FormatError: it is none.
        """
        try:
            fields: dict[str, Any] = orjson.loads(data)
            started_at = datetime.fromisoformat(fields["started_at"])
            if started_at.tzinfo is None:
                raise FormatError("the header's time has no zone")
            # Near the ends of all dates nothing could be added to it.
            if not _FIRST_YEAR <= started_at.year <= _LAST_YEAR:
                raise FormatError("the header's time cannot be")
            header = cls(
                site=str(fields["site"]),
                camera_id=UUID(fields["camera_id"]),
                role=str(fields["role"]),
                segment_id=UUID(fields["segment_id"]),
                sequence=int(fields["sequence"]),
                started_at=started_at,
                codec=str(fields["codec"]),
                width=int(fields["width"]),
                height=int(fields["height"]),
                cause=str(fields["cause"]),
                clock=str(fields.get("clock", "steady")),
            )
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise FormatError(f"the header cannot be read ({error})") from None
        if not (0 < header.width <= _LONGEST_SIDE and 0 < header.height <= _LONGEST_SIDE):
            raise FormatError("the header's size of the pictures cannot be")
        return header


@dataclass(frozen=True, slots=True)
class Part:
    """A part: where its bytes are, and when its first sample was (`starts_at`, UTC).

    `offset` and `size` cover all of it; the last `sound` bytes are those of the sound.
    `decode_time` and `duration` in ticks of 90 kHz. `keyframe`: it begins with one.
    """

    offset: int
    size: int
    starts_at: datetime
    decode_time: int
    duration: int
    keyframe: bool
    sound: int = 0

    @property
    def silent(self) -> int:
        """Bytes of it without the sound."""
        return self.size - self.sound

    @property
    def ends_at(self) -> datetime:
        """When its last sample ends (UTC)."""
        return self.starts_at + timedelta(seconds=self.duration / TIMESCALE)


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A picture that needs no other. `offset` is that of its part's `moof`; `sample` from 1."""

    at: datetime
    decode_time: int
    offset: int
    sample: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment's file holds.

    `init_bytes` is the length of `ftyp moov`; `whole_bytes` ends with the last whole part, in a
    closed file with the file. `motion` is hex of 64 bits: bit n is second n since `started_at`.
    `lost_parts` were left out because the disk did not keep up.
    """

    header: SegmentHeader
    init_bytes: int
    parts: tuple[Part, ...]
    keyframes: tuple[Keyframe, ...]
    ends_at: datetime
    whole_bytes: int
    closed: bool
    motion: str = ""
    lost_parts: int = 0


def microseconds(at: datetime) -> int:
    """Return microseconds since 1970 of an aware datetime."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(at: int) -> datetime:
    """Return the datetime (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)


def box(kind: bytes, *content: bytes) -> bytes:
    """Return a box."""
    return b"".join((BOX.pack(8 + sum(map(len, content)), kind), *content))


def prft(wall_us: int, decode_time: int) -> bytes:
    """Return the box that says which wall clock (microseconds since 1970) a part begins at."""
    seconds, rest = divmod(wall_us, 1_000_000)
    fraction = (rest << 32) // 1_000_000 + 1 if rest else 0
    ntp = (seconds + NTP_EPOCH_S) & 0xFFFFFFFF
    return PRFT.pack(PRFT.size, b"prft", 0x01000000, 1, ntp, fraction, decode_time)


def closing(parts: list[Part], keyframes: list[Keyframe], *, motion: str, lost: int) -> bytes:
    """Return the `mfra` box that ends a closed file."""
    entries = b"".join(TFRA_ENTRY.pack(k.decode_time, k.offset, 1, 1, k.sample) for k in keyframes)
    tfra_size = TFRA.size + len(entries)
    # The low six bits say that the numbers of fragment, run and sample take four bytes each.
    tfra = TFRA.pack(tfra_size, b"tfra", 0x01000000, 1, 0x3F, len(keyframes)) + entries
    listed = [
        [
            *(p.offset, p.size, microseconds(p.starts_at), p.decode_time, p.duration),
            *(int(p.keyframe), p.sound),
        ]
        for p in parts
    ]
    index = box(
        b"uuid",
        INDEX_UUID.bytes,
        orjson.dumps({"v": VERSION, "motion": motion, "lost": lost, "parts": listed}),
    )
    size = 8 + len(tfra) + len(index) + MFRO.size
    return BOX.pack(size, b"mfra") + tfra + index + MFRO.pack(MFRO.size, b"mfro", 0, size)
