"""Clips of recordings for evidence: one MP4 for each unbroken description of a camera's samples.

The samples are copied as they were recorded, part by part, each with its place and hash in the new
file; of every source the whole file and its media are hashed. Where masks have to hold, or people
must not be known, the frames are decoded, painted and encoded instead. `frames.csv` says the wall
clock (UTC) of every frame.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from camera_hub.recording import mp4
from camera_hub.recording.clip_painting import Painting, Progress, painted
from camera_hub.recording.clip_pieces import Piece, Source, copied
from camera_hub.recording.clip_sound import SoundPlacing
from camera_hub.recording.format import TIMESCALE, Part
from camera_hub.recording.reading import SegmentFile
from camera_hub.recording.sound import SoundSample

_GAP = timedelta(seconds=1.5)

Opened = Callable[[str], AbstractContextManager[mp4.Out]]
"""Opens a file of a clip by its name (`1.mp4`), to be written once, in order."""


@dataclass(slots=True)
class ClipFile:
    """One file: its frames, and the parts it was made of as the manifest has them."""

    path: Path
    frames_path: Path
    codec: str
    width: int
    height: int
    starts_at: datetime
    ends_at: datetime
    frames: int
    parts: list[dict[str, Any]]


@dataclass(slots=True)
class Clip:
    """What was made for one camera. `segments` is what the manifest says of the sources."""

    files: list[ClipFile] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    gaps: list[tuple[datetime, datetime]] = field(default_factory=list)


def make_clip(
    folder: Path,
    name: str,
    sources: Sequence[Source],
    span: tuple[datetime, datetime],
    *,
    masking: Painting | None = None,
    sound: bool = False,
    progress: Progress = lambda _: None,
    opened: Opened | None = None,
) -> Clip:
    """Write `<name>.mp4` and `<name>.frames.csv` (with a number where there are several).

    Args:
        folder: where to; it must be there.
        name: without an ending.
        sources: segments of one camera and role, by time.
        span: [from, to); the clip holds the whole parts that cover it, from a keyframe on.
        masking: None where the samples may leave as they are.
        sound: with what was heard, where samples leave as they are; painted clips are silent.
        progress: see `Progress`.
        opened: opens the MP4s; None: they lie in `folder`, as the lists of frames do.

    Raises:
        SegmentUnreadableError: a source is missing, or damaged where it is needed.
        UnavailableError: code `no-encoder`.
        OSError: the disk refuses.
    """
    clip, present = Clip(), []
    with tempfile.TemporaryFile(dir=folder) as work:
        pieces: list[Piece] = []
        for source in sources:
            with SegmentFile(source.path) as file:
                parts = file.span(*span)
                # Painting takes far longer than hashing, so it tells how far it is itself.
                hashed = progress if masking is None else lambda _: None
                clip.segments.append(_described(source, file, parts, hashed))
                if not parts:
                    continue
                present.append((parts[0].starts_at, parts[-1].ends_at))
                if masking is None:
                    pieces += copied(source, file, parts, sound=sound)
                else:
                    pieces += painted(source, file, parts, masking, work, progress=progress)
        for number, run in enumerate(_by_description(pieces)):
            title = name if number == 0 else f"{name}-{number + 1}"
            clip.files.append(_write(folder, title, run, opened))
    clip.gaps = _gaps(present, span)
    return clip


def _described(
    source: Source, file: SegmentFile, parts: Sequence[Part], progress: Progress
) -> dict[str, Any]:
    """Hash a whole source and its media, and say what it is."""
    row, whole, media = source.row, sha256(), sha256()
    position = 0
    for part in file.parts:
        samples = file.samples(part)
        begin, end = samples[0].position, part.offset + part.silent
        whole.update(file.read(position, begin - position))
        data = file.read(begin, end - begin)
        whole.update(data)
        media.update(data)
        progress(end - position)
        position = end
    size = source.path.stat().st_size
    whole.update(file.read(position, size - position))
    return {
        "id": str(row.id),
        "file": row.path,
        "role": row.role,
        "sequence": row.sequence,
        "clock": row.clock,
        "started_at": row.started_at.astimezone(UTC).isoformat(),
        "ends_at": row.ends_at.astimezone(UTC).isoformat(),
        "sha256_when_recorded": row.sha256,
        "sha256_now": whole.hexdigest(),
        "unchanged": row.sha256 == whole.hexdigest() if row.sha256 else None,
        "media_sha256": media.hexdigest(),
        "whole_in_clip": bool(parts) and len(parts) == len(file.parts),
    }


def _by_description(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Group neighbours that one sample description fits."""
    run: list[Piece] = []
    for piece in pieces:
        if run and _description(piece) != _description(run[0]):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _description(piece: Piece) -> tuple[bytes, tuple[bytes, int] | None]:
    return mp4.sample_description(piece.init), piece.sound


def _write(folder: Path, title: str, run: Sequence[Piece], opened: Opened | None) -> ClipFile:
    """Write one file and its list of frames."""
    first, base = run[0], run[0].times[0]
    chunks, last = [], -1
    sound = first.sound
    placing = None if sound is None else SoundPlacing(base, sound[1])
    for piece in run:
        frames = []
        for at, frame in zip(piece.times, piece.frames, strict=True):
            # Where the clock was set back the frames follow on; the list says what it was.
            last = max(round((at - base).total_seconds() * TIMESCALE), last + 1)
            frames.append(replace(frame, time=last))
        heard, chosen = placing.place(piece.heard) if placing is not None else ([], [])
        both = partial(_both, piece, chosen) if chosen else piece.read
        chunks.append(mp4.Chunk(frames, both, heard))
    parts: list[dict[str, Any]] = []

    def copied(number: int, position: int, data: bytes) -> None:
        piece = run[number]
        parts.append(
            {
                "segment_id": piece.segment_id,
                "starts_at": piece.times[0].astimezone(UTC).isoformat(),
                "frames": len(piece.frames),
                "offset": position,
                "length": len(data),
                "sha256": sha256(data).hexdigest(),
            }
        )
        if chunks[number].heard:
            # What was heard lies behind the pictures.
            parts[-1]["pictures"] = sum(frame.size for frame in piece.frames)

    path, listed = folder / f"{title}.mp4", folder / f"{title}.frames.csv"
    look = mp4.Look(mp4.sample_description(first.init), first.width, first.height, base, sound)
    with path.open("wb") if opened is None else opened(path.name) as out:
        mp4.write(out, look, chunks, run[-1].last_duration, copied)
    with listed.open("w", encoding="utf-8", newline="") as out_text:
        count = _list_frames(out_text, run, chunks)
    end = run[-1].times[-1] + timedelta(seconds=run[-1].last_duration / TIMESCALE)
    return ClipFile(path, listed, first.codec, first.width, first.height, base, end, count, parts)


def _both(piece: Piece, chosen: Sequence[SoundSample]) -> bytes:
    return piece.read() + piece.read_heard(chosen)


def _list_frames(out: TextIO, run: Sequence[Piece], chunks: Sequence[mp4.Chunk]) -> int:
    """Write one line for each frame, in the order in which they lie in the file."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("index", "pts", "utc", "keyframe", "segment_id"))
    index = 0
    for piece, chunk in zip(run, chunks, strict=True):
        for at, frame in zip(piece.times, chunk.frames, strict=True):
            shown = at + timedelta(seconds=frame.later / TIMESCALE)
            utc = shown.astimezone(UTC).isoformat(timespec="microseconds")
            writer.writerow(
                (index, frame.time + frame.later, utc, int(frame.keyframe), piece.segment_id)
            )
            index += 1
    return index


def _gaps(
    present: Sequence[tuple[datetime, datetime]], span: tuple[datetime, datetime]
) -> list[tuple[datetime, datetime]]:
    """Return what of the span is missing, in pieces longer than a second and a half."""
    found, at = [], span[0]
    for start, end in sorted(present):
        if start - at > _GAP:
            found.append((at, start))
        at = max(at, end)
    if span[1] - at > _GAP:
        found.append((at, span[1]))
    return found
