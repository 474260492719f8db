"""Recordings of cameras with privacy masks: decoded, painted, encoded anew, a span at a time.

Files hold what the camera sent. Every span that leaves is painted with the masks that hold now,
with the same encoder and parameters, so that one init segment serves all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import av.error
import numpy as np

from camera_hub.live.encoder import TIME_BASE, Encoder, info_of
from camera_hub.live.muxer import Init, Muxer
from camera_hub.live.rendering import FPS, Pace, output_size
from camera_hub.recording.format import TIMESCALE, microseconds
from camera_hub.recording.reading import SegmentUnreadableError
from camera_hub.recording.writing import SegmentWriter
from camera_hub.streams.painting import Polygon, Shot

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from camera_hub.recording.reading import SegmentFile
    from camera_hub.streams.types import Packet

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Paint = Callable[["NDArray[np.uint8]", tuple[Polygon, ...]], object]
"""Fills masks in a picture (RGB, uint8, (height, width, 3)), in place."""


@dataclass(frozen=True, slots=True)
class Media:
    """Media of a span: parts as they lie in a file, and the wall clock and ticks of their frames.

    `starts_at` is that of the first frame, `media_time` the same in seconds of the media's own
    time; `ends_at` is where the last frame ends.
    """

    data: bytes
    starts_at: datetime
    ends_at: datetime
    media_time: float


@lru_cache(maxsize=32)
def masked_init(width: int, height: int) -> Init:
    """Return the init segment of painted recordings that were `width` by `height` pixels.

    Raises:
        UnavailableError: code `no-encoder`.
    """
    wide, high = output_size(width, height)
    grey = np.full((high, wide, 3), 96, np.uint8)
    (packet,) = _encoder(wide, high).encode(Shot(grey, 0.0, _NEVER))
    return Muxer(info_of(packet), bytes(packet)).init


def masked_media(
    file: SegmentFile,
    span: tuple[datetime, datetime],
    masks: tuple[Polygon, ...],
    paint: Paint,
    wanted: Callable[[], bool] = lambda: True,
) -> Media | None:
    """Return the pictures of `span`, at most 12 a second, painted; None if there are none.

    It begins with a keyframe at the first picture of the span, and breaks off as
    soon as `wanted` says that nobody waits for it.

    Raises:
        SegmentUnreadableError: they cannot be decoded or encoded.
        UnavailableError: code `no-encoder`.
    """
    start, end = span
    wide, high = output_size(file.header.width, file.header.height)
    encoder, pace = _encoder(wide, high), Pace(FPS)
    packets: list[Packet] = []
    first: tuple[int, datetime] | None = None
    parts = file.span(start, end)
    try:
        for picture in file.decoded(parts):
            ticks = picture.frame.pts or 0
            if picture.at >= end or not wanted():
                break
            if picture.at < start or not pace.takes(ticks / TIMESCALE):
                continue
            if first is None:
                first = ticks, picture.at
            small = picture.frame.reformat(width=wide, height=high, format="rgb24")
            pixels = np.asarray(small.to_ndarray(), np.uint8)
            paint(pixels, masks)
            packets += encoder.encode(Shot(pixels, ticks / TIMESCALE, picture.at))
    except av.error.FFmpegError as error:
        raise SegmentUnreadableError("The recorded pictures cannot be painted.") from error
    if first is None or not packets:
        return None
    ticks, starts_at = first
    last = parts[-1]
    asked = round((end - starts_at).total_seconds() * TIMESCALE)
    until = min(asked, last.decode_time + last.duration - ticks)
    until = max(until, (packets[-1].dts or 0) + 1)
    # Packets count from the first picture; the file's own time goes on from there.
    data = SegmentWriter(b"", TIME_BASE, -ticks).part(packets, until, microseconds(starts_at))
    ends_at = min(end, last.ends_at)
    return Media(data, starts_at, max(starts_at, ends_at), ticks / TIMESCALE)


def _encoder(width: int, height: int) -> Encoder:
    return Encoder(width, height, FPS)
