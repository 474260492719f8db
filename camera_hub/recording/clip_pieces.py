"""Pieces of clips: neighbouring samples as they were recorded, each with its wall clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from camera_hub.recording import mp4
from camera_hub.recording.format import TIMESCALE, Part
from camera_hub.recording.reading import SegmentFile, wall
from camera_hub.recording.sound import SoundSample, sound_of, with_codec

if TYPE_CHECKING:
    from camera_hub.recording.index.schemas import SegmentRow


@dataclass(frozen=True, slots=True)
class Source:
    """A segment that a clip is made of, and where its file lies."""

    row: SegmentRow
    path: Path


def _nothing(_: Sequence[SoundSample]) -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring samples with one description, and the wall clock of each.

    `sound`: sample description and rate of what was heard, where it leaves too.
    """

    segment_id: str
    init: bytes
    width: int
    height: int
    codec: str
    times: Sequence[datetime]
    frames: Sequence[mp4.Frame]
    last_duration: int
    read: Callable[[], bytes]
    heard: Sequence[tuple[datetime, SoundSample]] = ()
    read_heard: Callable[[Sequence[SoundSample]], bytes] = _nothing
    sound: tuple[bytes, int] | None = None


def copied(
    source: Source, file: SegmentFile, parts: Sequence[Part], *, sound: bool
) -> Iterator[Piece]:
    """Yield the parts of a file as they were recorded, with their sound where it is asked for.

    Raises:
        SegmentUnreadableError: a part is not as it was written.
    """
    row, header = source.row, file.header
    described = sound_of(file.init) if sound and file.sounds else None

    def read_heard(chosen: Sequence[SoundSample], path: Path = source.path) -> bytes:
        with path.open("rb", buffering=0) as again:
            return b"".join(os.pread(again.fileno(), one.size, one.position) for one in chosen)

    for part in parts:
        samples = file.samples(part)
        begin, size = samples[0].position, sum(s.size for s in samples)

        def read(path: Path = source.path, begin: int = begin, size: int = size) -> bytes:
            with path.open("rb", buffering=0) as again:
                again.seek(begin)
                return again.read(size)

        yield Piece(
            segment_id=str(row.id),
            init=file.init if described else file.silent_init,
            width=header.width,
            height=header.height,
            codec=with_codec(header.codec, sound=described is not None),
            times=[wall(part, s.time) for s in samples],
            frames=[mp4.Frame(0, s.size, s.later, s.keyframe) for s in samples],
            last_duration=samples[-1].duration,
            read=read,
            heard=[
                (wall(part, one.time * TIMESCALE // described[1]), one) for one in file.heard(part)
            ]
            if described
            else (),
            read_heard=read_heard,
            sound=described,
        )
