"""Small pictures of recordings, kept on disk: one for each ten seconds of a camera.

`<folder>/<camera>/<YYYYMMDD>/<epoch10s>-<masks>.jpg`, times in UTC; `<masks>` tells one set of
masks from another, so that a picture made under others is never shown. All of it can be made anew.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from PIL import Image

from camera_hub.streams.painting import Polygon, masks_digest

if TYPE_CHECKING:
    from camera_hub.recording.playback.masked import Paint
    from camera_hub.recording.reading import Picture

EVERY_S = 10
WIDTH = 320
_QUALITY = 75


def slot(at: datetime) -> datetime:
    """Return the beginning of the ten seconds that `at` lies in."""
    return datetime.fromtimestamp(int(at.timestamp()) // EVERY_S * EVERY_S, UTC)


def draw(picture: Picture, masks: tuple[Polygon, ...], paint: Paint) -> bytes:
    """Return a picture as JPEG, `WIDTH` pixels wide, with its masks painted."""
    frame = picture.frame
    height = max(1, round(WIDTH * frame.height / max(1, frame.width)))
    small = frame.reformat(width=WIDTH, height=height, format="rgb24")
    pixels = np.asarray(small.to_ndarray(), np.uint8)
    if masks:
        paint(pixels, masks)
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


class Thumbnails:
    """The cache in one folder. Any number of processes may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, camera_id: UUID, at: datetime, masks: tuple[Polygon, ...]) -> bytes | None:
        """Return the picture kept for the ten seconds of `at` under these masks, if one is."""
        try:
            return self._path(camera_id, at, masks).read_bytes()
        except OSError:
            return None

    def keep(self, camera_id: UUID, at: datetime, masks: tuple[Polygon, ...], jpeg: bytes) -> None:
        """Keep a picture; where the disk refuses it is made again the next time."""
        path = self._path(camera_id, at, masks)
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whole or not at all: another process may read it at any moment.
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            fresh = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(jpeg)
                fresh.replace(path)
            finally:
                fresh.unlink(missing_ok=True)

    def forget(self, camera_id: UUID, start: datetime, end: datetime) -> int:
        """Delete what was kept of [start, end); return how many pictures that were.

        Raises:
            OSError: the disk refuses.
        """
        first, gone = slot(start), 0
        day = first.replace(hour=0, minute=0, second=0)
        while day < end:
            folder = self._day(camera_id, day)
            for path in sorted(folder.glob("*")):
                epoch = path.name.partition("-")[0]
                inside = epoch.isdigit() and first.timestamp() <= int(epoch) < end.timestamp()
                if inside or (path.suffix == ".part" and first <= day):
                    path.unlink(missing_ok=True)
                    gone += 1
            with suppress(OSError):
                folder.rmdir()  # only an empty one goes
            day += timedelta(days=1)
        with suppress(OSError):
            (self._folder / str(camera_id)).rmdir()
        return gone

    def _day(self, camera_id: UUID, at: datetime) -> Path:
        return self._folder / str(camera_id) / f"{at.astimezone(UTC):%Y%m%d}"

    def _path(self, camera_id: UUID, at: datetime, masks: tuple[Polygon, ...]) -> Path:
        begins = slot(at)
        name = f"{int(begins.timestamp())}-{masks_digest(masks)[:16]}.jpg"
        return self._day(camera_id, begins) / name
