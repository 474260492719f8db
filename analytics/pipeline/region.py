"""Choosing what part of a picture the detector must see.

The picture is first brought to the model's scale (its longer side 640 pixels). When everything
that moves and everything that is being followed fits into one tile, only that tile is sent: four
tiles of four cameras then share one inference. Otherwise the whole picture is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.detectors.types import Rows
from analytics.zones.geometry import Box

LONGER_SIDE = 640
# Space around what moves, in pixels at the model's scale: the rest of a person whose arm moved.
_AROUND = 24
_AT_EDGE = 3.0


@dataclass(frozen=True, slots=True)
class Region:
    """A part (x, y, width, height) of the picture at the model's scale (`full`, in pixels)."""

    x: int
    y: int
    width: int
    height: int
    full: tuple[int, int]

    @property
    def whole(self) -> bool:
        """Whether this is the whole picture."""
        return (self.width, self.height) == self.full

    def to_picture(self, rows: Rows) -> Rows:
        """Return rows found in the region, moved to where they are in the picture."""
        moved = rows.copy()
        moved[:, [0, 2]] += self.x
        moved[:, [1, 3]] += self.y
        return moved

    def cuts(self, rows: Rows) -> bool:
        """Return whether any object of `rows` (in the region) is cut by an edge of the region.

        The picture's own edges do not count: beyond them there is nothing to see.
        """
        if self.whole or len(rows) == 0:
            return False
        full_width, full_height = self.full
        return bool(
            (self.x > 0 and np.any(rows[:, 0] <= _AT_EDGE))
            or (self.y > 0 and np.any(rows[:, 1] <= _AT_EDGE))
            or (self.x + self.width < full_width and np.any(rows[:, 2] >= self.width - _AT_EDGE))
            or (self.y + self.height < full_height and np.any(rows[:, 3] >= self.height - _AT_EDGE))
        )


def model_scale(width: int, height: int) -> tuple[int, int]:
    """Return the size of a picture at the model's scale; a small picture is not enlarged."""
    scale = min(1.0, LONGER_SIDE / max(width, height))
    return max(2, round(width * scale)), max(2, round(height * scale))


def choose(boxes: Sequence[Box], full: tuple[int, int], tile: int) -> Region:
    """Return a tile around all boxes (relative), or the whole picture when they do not fit one.

    Args:
        boxes: what moves and what is followed; none means anything may be anywhere.
        full: size of the picture at the model's scale.
        tile: longest side of a tile in pixels; 0 always takes the whole picture.
    """
    width, height = full
    whole = Region(0, 0, width, height, full)
    if not boxes or not tile or max(full) <= tile:
        return whole
    left = min(box[0] for box in boxes) * width - _AROUND
    top = min(box[1] for box in boxes) * height - _AROUND
    right = max(box[2] for box in boxes) * width + _AROUND
    bottom = max(box[3] for box in boxes) * height + _AROUND
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if right - left > tile or bottom - top > tile:
        return whole
    tile_width, tile_height = min(tile, width), min(tile, height)
    x = round(min(max((left + right - tile_width) / 2, 0), width - tile_width))
    y = round(min(max((top + bottom - tile_height) / 2, 0), height - tile_height))
    return Region(x, y, tile_width, tile_height, full)
