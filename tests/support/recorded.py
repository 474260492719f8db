"""Recorded files that a test makes itself, as the recorder writes them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from camera_hub.live.muxer import Init, Muxer
from camera_hub.recording.format import SegmentHeader, from_microseconds, microseconds
from camera_hub.recording.index.schemas import SegmentIn
from camera_hub.recording.sound import with_codec, with_sound
from camera_hub.recording.writing import SegmentWriter
from camera_hub.streams.parameters import parameter_sets, read_info
from camera_hub.streams.types import SoundInfo, SoundPacket
from core.ids import new_id
from tests.support.media_footage import make_units, packets_of

FPS = 25
_TICKS = 90_000 // FPS


@cache
def footage_units(frames: int, gop: int, width: int, height: int) -> tuple[bytes, ...]:
    return tuple(make_units(width=width, height=height, frames=frames, gop=gop))


@cache
def init_of(unit: bytes) -> Init:
    info = read_info("h264", parameter_sets("h264", unit), unit, Fraction(1, 90000))
    return Muxer(info, unit).init


def write_segment(
    disk: Path,
    camera_id: UUID,
    started_at: datetime,
    *,
    disk_name: str = "main",
    seconds: int = 6,
    gop: int = 25,
    size: tuple[int, int] = (320, 240),
    part_frames: int = 25,
    sequence: int = 1,
    role: str = "sub",
    close: bool = True,
    slower_ppm: float = 0.0,
    sound: tuple[SoundInfo, Sequence[SoundPacket]] | None = None,
) -> SegmentIn:
    """Write one file below `disk` and return what the recorder would say of it.

    `slower_ppm` makes the wall clock run so much faster than the camera's ticks; `sound` is on a
    timeline of 90 kHz that begins with the file.
    """
    width, height = size
    units = list(footage_units(seconds * FPS, gop, width, height))
    init, heard = init_of(units[0]), sound[1] if sound else ()
    if sound:
        loud = with_sound(init.data, sound[0])
        init = replace(init, data=loud, codec=with_codec(init.codec, sound=True))
    segment_id = new_id()
    path = f"{camera_id}/{started_at:%Y-%m-%d}/{started_at:%H%M%S}-{sequence}-{role}.mp4"
    header = SegmentHeader(
        site="test", camera_id=camera_id, role=role, segment_id=segment_id, sequence=sequence,
        started_at=started_at, codec=init.codec, width=width, height=height, cause="always",
    )  # fmt: skip
    packets = packets_of(units)
    writer = SegmentWriter(init.data, Fraction(1, 90000), 0, sound[0] if sound else None)
    content = [writer.begin(header)]
    begin = microseconds(started_at)

    def wall(frames: int) -> int:
        return begin + round(frames * 1_000_000 / FPS * (1 + slower_ppm / 1e6))

    for first in range(0, len(packets), part_frames):
        some = packets[first : first + part_frames]
        end = (first + len(some)) * _TICKS
        now = [one for one in heard if first * _TICKS <= one.at < end]
        content.append(writer.part(some, end, wall(first), now))
    if close:
        content.append(writer.finish())
    data = b"".join(content)
    file = disk / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return SegmentIn(
        id=segment_id, camera_id=camera_id, role=role,
        started_at=started_at, ends_at=from_microseconds(wall(len(packets))), bytes=len(data),
        sha256=sha256(data).hexdigest(), disk=disk_name, path=path, sequence=sequence,
        codec=init.codec, width=width, height=height,
    )  # fmt: skip
