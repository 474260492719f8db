"""Clips of recordings for evidence: one MP4 for each unbroken description of a camera's samples.

The samples are copied as they were recorded, part by part, each with its place and hash in the new
file; of every source the whole file and its media are hashed. Where masks have to hold, or people
must not be known, the frames are decoded, painted and encoded instead. `frames.csv` says the wall
clock (UTC) of every frame.
"""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TextIO

import av.error
import numpy as np

from camera_hub.live.encoder import Encoder, info_of
from camera_hub.live.muxer import Muxer
from camera_hub.live.rendering import Pace
from camera_hub.recording import mp4
from camera_hub.recording.clip_sound import SoundPlacing
from camera_hub.recording.format import TIMESCALE, Part
from camera_hub.recording.reading import SegmentFile, SegmentUnreadableError, wall
from camera_hub.recording.sound import SoundSample, sound_of, with_codec
from camera_hub.recording.writing import length_prefixed
from camera_hub.streams.painting import Polygon, Shot

if TYPE_CHECKING:
    from camera_hub.recording.index.schemas import SegmentRow
    from camera_hub.recording.playback.masked import Paint

_FPS = 25.0
_GAP = timedelta(seconds=1.5)
_CHUNK_FRAMES = 50

Progress = Callable[[int], None]
"""Told how many bytes of the sources are done."""

Opened = Callable[[str], AbstractContextManager[mp4.Out]]
"""Opens a file of a clip by its name (`1.mp4`), to be written once, in order."""


@dataclass(frozen=True, slots=True)
class Source:
    """A segment that a clip is made of, and where its file lies."""

    row: SegmentRow
    path: Path


class Painting(Protocol):
    """Makes the pictures of a clip fit to leave. One for each camera, used by one thread."""

    @property
    def longest_side(self) -> int:
        """Pictures that are larger are made so small, in pixels."""
        ...

    def through(self, shots: Iterator[Shot]) -> Iterator[Shot]:
        """Yield the pictures of a segment painted, in order, as many as came. May look ahead."""
        ...


@dataclass(frozen=True, slots=True)
class Masking:
    """The masks that have to hold, and who fills them (a `Painting`)."""

    masks: tuple[Polygon, ...]
    paint: Paint
    longest_side: int = 8192

    def through(self, shots: Iterator[Shot]) -> Iterator[Shot]:
        """Yield the pictures with the masks filled."""
        for shot in shots:
            self.paint(shot.picture, self.masks)
            yield shot


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


def _nothing(_: Sequence[SoundSample]) -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Neighbouring samples with one description, and the wall clock of each."""

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
    with tempfile.TemporaryFile(dir=folder) as painted:
        pieces: list[_Piece] = []
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
                    pieces += _copied(source, file, parts, sound=sound)
                else:
                    pieces += _painted(source, file, parts, masking, painted, progress=progress)
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


def _copied(
    source: Source, file: SegmentFile, parts: Sequence[Part], *, sound: bool
) -> Iterator[_Piece]:
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

        yield _Piece(
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
        )


def _shots(
    source: Source,
    file: SegmentFile,
    parts: Sequence[Part],
    size: tuple[int, int],
    progress: Progress,
) -> Iterator[Shot]:
    """Yield the decoded pictures of `parts`, at most 25 a second, scaled to `size`."""
    width, height = size
    begin, length = parts[0].starts_at, parts[-1].ends_at - parts[0].starts_at
    pace, told = Pace(_FPS), 0
    for picture in file.decoded(parts):
        seconds = (picture.frame.pts or 0) / TIMESCALE
        if not pace.takes(seconds):
            continue
        small = picture.frame.reformat(width=width, height=height, format="rgb24")
        yield Shot(np.asarray(small.to_ndarray(), np.uint8), seconds, picture.at)
        done = int(source.row.bytes * min(1.0, max(0.0, (picture.at - begin) / length)))
        progress(max(0, done - told))
        told = max(told, done)
    progress(source.row.bytes - told)


def _painted(
    source: Source,
    file: SegmentFile,
    parts: Sequence[Part],
    painting: Painting,
    out: IO[bytes],
    *,
    progress: Progress,
) -> Iterator[_Piece]:
    """Decode, paint and encode; what comes out waits in `out`."""
    width, height = _painted_size(file.header.width, file.header.height, painting.longest_side)
    encoder, init, codec = Encoder(width, height, _FPS), b"", ""
    times: list[datetime] = []
    frames: list[mp4.Frame] = []
    begin = out.seek(0, 2)

    def piece() -> _Piece:
        place, size = begin, sum(frame.size for frame in frames)

        def read() -> bytes:
            out.seek(place)
            return out.read(size)

        return _Piece(
            str(source.row.id), init, width, height, codec, list(times), list(frames),
            round(TIMESCALE / _FPS), read,
        )  # fmt: skip

    try:
        for shot in painting.through(_shots(source, file, parts, (width, height), progress)):
            for packet in encoder.encode(shot):
                if not init:
                    made = Muxer(info_of(packet), bytes(packet)).init
                    init, codec = made.data, made.codec
                units: list[bytes] = []
                size = length_prefixed(bytes(packet), units)
                if packet.is_keyframe and len(frames) >= _CHUNK_FRAMES:
                    yield piece()
                    begin += sum(frame.size for frame in frames)
                    times.clear()
                    frames.clear()
                out.seek(0, 2)
                out.write(b"".join(units))
                times.append(shot.at)
                frames.append(mp4.Frame(0, size, 0, packet.is_keyframe))
    except av.error.FFmpegError as error:
        raise SegmentUnreadableError("The recorded pictures cannot be painted.") from error
    if frames:
        yield piece()


def _painted_size(width: int, height: int, longest_side: int) -> tuple[int, int]:
    scale = min(1.0, longest_side / max(width, height))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def _by_description(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Group neighbours that one sample description fits."""
    run: list[_Piece] = []
    for piece in pieces:
        if run and _description(piece.init) != _description(run[0].init):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _description(init: bytes) -> tuple[bytes, tuple[bytes, int] | None]:
    return mp4.sample_description(init), sound_of(init)


def _write(folder: Path, title: str, run: Sequence[_Piece], opened: Opened | None) -> ClipFile:
    """Write one file and its list of frames."""
    first, base = run[0], run[0].times[0]
    chunks, last = [], -1
    sound = sound_of(first.init)
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


def _both(piece: _Piece, chosen: Sequence[SoundSample]) -> bytes:
    return piece.read() + piece.read_heard(chosen)


def _list_frames(out: TextIO, run: Sequence[_Piece], chunks: Sequence[mp4.Chunk]) -> int:
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
