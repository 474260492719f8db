"""Clips whose pictures must not leave as they are: decoded, painted and encoded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Protocol

import av.error
import numpy as np
from av.video.reformatter import VideoReformatter

from camera_hub.live.encoder import Encoder, info_of
from camera_hub.live.muxer import Muxer
from camera_hub.live.rendering import Pace
from camera_hub.recording import mp4
from camera_hub.recording.clip_pieces import Piece, Source
from camera_hub.recording.format import TIMESCALE, Part
from camera_hub.recording.reading import SegmentFile, SegmentUnreadableError
from camera_hub.recording.writing import length_prefixed
from camera_hub.streams.painting import FilmShot, Polygon

_FPS = 25.0
_CHUNK_FRAMES = 50

Progress = Callable[[int], None]
"""Told how many bytes of the sources are done."""

PaintFilm = Callable[[FilmShot, tuple[Polygon, ...]], object]
"""Fills masks in a picture of a recording, in place."""


class Painting(Protocol):
    """Makes the pictures of a clip fit to leave. One for each camera, used by one thread."""

    @property
    def longest_side(self) -> int:
        """Pictures that are larger are made so small, in pixels."""
        ...

    def through(self, shots: Iterator[FilmShot]) -> Iterator[FilmShot]:
        """Yield the pictures of a segment painted, in order, as many as came. May look ahead."""
        ...


@dataclass(frozen=True, slots=True)
class Masking:
    """The masks that have to hold, and who fills them (a `Painting`)."""

    masks: tuple[Polygon, ...]
    paint: PaintFilm
    longest_side: int = 8192

    def through(self, shots: Iterator[FilmShot]) -> Iterator[FilmShot]:
        """Yield the pictures with the masks filled."""
        for shot in shots:
            self.paint(shot, self.masks)
            yield shot


def _shots(
    source: Source,
    file: SegmentFile,
    parts: Sequence[Part],
    size: tuple[int, int],
    progress: Progress,
) -> Iterator[FilmShot]:
    """Yield the decoded pictures of `parts`, at most 25 a second, scaled to `size`."""
    width, height = size
    begin, length = parts[0].starts_at, parts[-1].ends_at - parts[0].starts_at
    pace, told, scaler = Pace(_FPS), 0, VideoReformatter()
    for picture in file.decoded(parts):
        seconds = (picture.frame.pts or 0) / TIMESCALE
        if not pace.takes(seconds):
            continue
        small = scaler.reformat(picture.frame, width, height, "yuv420p")
        # This copies: what the decoder still refers to is not to be painted.
        yield FilmShot(np.asarray(small.to_ndarray(), np.uint8), seconds, picture.at)
        done = int(source.row.bytes * min(1.0, max(0.0, (picture.at - begin) / length)))
        progress(max(0, done - told))
        told = max(told, done)
    progress(source.row.bytes - told)


def painted(
    source: Source,
    file: SegmentFile,
    parts: Sequence[Part],
    painting: Painting,
    out: IO[bytes],
    *,
    progress: Progress,
) -> Iterator[Piece]:
    """Decode, paint and encode; what comes out waits in `out`.

    Raises:
        SegmentUnreadableError: the pictures cannot be decoded or encoded.
        UnavailableError: code `no-encoder`, or what the painting raises.
    """
    width, height = _painted_size(file.header.width, file.header.height, painting.longest_side)
    encoder, init, codec = Encoder(width, height, _FPS), b"", ""
    times: list[datetime] = []
    frames: list[mp4.Frame] = []
    begin = out.seek(0, 2)

    def piece() -> Piece:
        place, size = begin, sum(frame.size for frame in frames)

        def read() -> bytes:
            out.seek(place)
            return out.read(size)

        return Piece(
            str(source.row.id), init, width, height, codec, list(times), list(frames),
            round(TIMESCALE / _FPS), read,
        )  # fmt: skip

    try:
        for shot in painting.through(_shots(source, file, parts, (width, height), progress)):
            for packet in encoder.encode_film(shot):
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
