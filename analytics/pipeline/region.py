"""Choosing what part of a picture the detector must see.

The picture is first brought to the model's scale (its longer side 640 pixels). When everything
that moves and everything that is being followed lies in a part that fits one tile, scaled down
to 0.7 at most, only that part is sent: four parts from four cameras can then share one
inference. Otherwise the whole picture is sent. The figures are in docs/design/analytics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from analytics.detectors.types import Picture, Rows
from analytics.zones.geometry import Box

LONGER_SIDE = 640
# The longest side of a picture that shares an inference with three others.
TILE = 304
# Scaled down further, small objects are missed (measured).
_LEAST_SCALE = 0.7
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
    scale: float = 1.0
    """By which the part is made smaller before it is sent."""

    @property
    def whole(self) -> bool:
        """Whether this is the whole picture."""
        return (self.width, self.height) == self.full

    def cut_out(self, picture: Picture) -> Picture:
        """Return the part of `picture` (which has the size `full`) as it is sent."""
        part = picture[self.y : self.y + self.height, self.x : self.x + self.width]
        if self.scale < 1.0:
            size = (round(self.width * self.scale), round(self.height * self.scale))
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(part)

    def to_picture(self, rows: Rows) -> Rows:
        """Return rows found in what was sent, in pixels of the picture at the model's scale."""
        moved = rows.copy()
        moved[:, :4] /= self.scale
        moved[:, [0, 2]] += self.x
        moved[:, [1, 3]] += self.y
        return moved

    def cuts(self, rows: Rows) -> bool:
        """Return whether an edge of the region cuts any object of `rows` (in the picture).

        The picture's own edges do not count: beyond them there is nothing to see.
        """
        if self.whole or len(rows) == 0:
            return False
        width, height = self.full
        right, bottom = self.x + self.width, self.y + self.height
        return bool(
            (self.x > 0 and np.any(rows[:, 0] <= self.x + _AT_EDGE))
            or (self.y > 0 and np.any(rows[:, 1] <= self.y + _AT_EDGE))
            or (right < width and np.any(rows[:, 2] >= right - _AT_EDGE))
            or (bottom < height and np.any(rows[:, 3] >= bottom - _AT_EDGE))
        )


def model_scale(width: int, height: int) -> tuple[int, int]:
    """Return the size of a picture at the model's scale."""
    scale = LONGER_SIDE / max(width, height)
    return max(2, round(width * scale)), max(2, round(height * scale))


def whole_region(full: tuple[int, int]) -> Region:
    """Return the region that is the whole picture."""
    return Region(0, 0, full[0], full[1], full)


def choose(boxes: Sequence[Box], full: tuple[int, int]) -> Region:
    """Return the part around all boxes (relative), or the whole picture when that is too large.

    Args:
        boxes: what moves and what is followed; none means anything may be anywhere.
        full: size of the picture at the model's scale.
    """
    width, height = full
    if not boxes:
        return whole_region(full)
    left = max(min(box[0] for box in boxes) * width - _AROUND, 0)
    top = max(min(box[1] for box in boxes) * height - _AROUND, 0)
    right = min(max(box[2] for box in boxes) * width + _AROUND, width)
    bottom = min(max(box[3] for box in boxes) * height + _AROUND, height)
    side = max(right - left, bottom - top, TILE)
    if side > TILE / _LEAST_SCALE:
        return whole_region(full)
    # Square where the picture allows it: what is sent anyway may as well show more.
    part_width, part_height = min(round(side), width), min(round(side), height)
    x = round(min(max((left + right - part_width) / 2, 0), width - part_width))
    y = round(min(max((top + bottom - part_height) / 2, 0), height - part_height))
    return Region(x, y, part_width, part_height, full, TILE / side)
