"""Which detections lie inside of a mask: the place is nobody's business."""

import numpy as np
import shapely
from shapely.geometry import Polygon as Shape

from analytics.detectors.types import Rows
from camera_hub.streams.painting import Polygon


class MaskedPlaces:
    """A camera's masks made ready for many questions. Points on an outline are inside."""

    def __init__(self, masks: tuple[Polygon, ...]) -> None:
        # A buffer of nothing makes an outline valid that crosses itself.
        shapes = [Shape(polygon).buffer(0) for polygon in masks]
        self._inside = shapely.union_all(shapes) if shapes else None
        if self._inside is not None:
            shapely.prepare(self._inside)

    def cover(self, x: float, y: float) -> bool:
        """Say whether a point (relative to the picture: 0..1) lies in a mask."""
        return self._inside is not None and bool(shapely.intersects_xy(self._inside, x, y))

    def outside(self, rows: Rows, size: tuple[int, int]) -> Rows:
        """Return the rows whose box has its centre outside of every mask.

        Args:
            rows: in pixels of a picture of `size` (width, height).
            size: width and height in pixels.
        """
        if self._inside is None or len(rows) == 0:
            return rows
        x = (rows[:, 0] + rows[:, 2]) / 2 / size[0]
        y = (rows[:, 1] + rows[:, 3]) / 2 / size[1]
        kept: Rows = rows[~np.asarray(shapely.intersects_xy(self._inside, x, y), dtype=bool)]
        return kept
