"""Fitting pictures of any size into a model's fixed input, one alone or four side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from analytics.detectors.types import Picture, Rows

_GREY = 114
# Room left between tiles, so that an object at one's edge is not continued by the next.
TILE_MARGIN = 8


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies on the canvas: scaled by `scale`, then moved by (`x`, `y`)."""

    scale: float
    x: int
    y: int
    width: int
    height: int

    def back(self, rows: Rows) -> Rows:
        """Return rows of the canvas that lie on this picture, in its own pixels, clipped to it."""
        centre_x = (rows[:, 0] + rows[:, 2]) / 2
        centre_y = (rows[:, 1] + rows[:, 3]) / 2
        right, bottom = self.x + self.width * self.scale, self.y + self.height * self.scale
        inside = (
            (centre_x >= self.x) & (centre_x < right) & (centre_y >= self.y) & (centre_y < bottom)
        )
        mine = rows[inside].copy()
        mine[:, [0, 2]] = np.clip((mine[:, [0, 2]] - self.x) / self.scale, 0, self.width)
        mine[:, [1, 3]] = np.clip((mine[:, [1, 3]] - self.y) / self.scale, 0, self.height)
        return mine


def tile_side(size: tuple[int, int]) -> int:
    """Return the longest side of a picture that fits a tile of a canvas of `size` unscaled."""
    return min(size) // 2 - 2 * TILE_MARGIN


def fits_tile(picture: Picture, size: tuple[int, int]) -> bool:
    """Return whether four pictures of this size share one canvas of `size` (width, height)."""
    return bool(max(picture.shape[:2]) <= tile_side(size))


def compose(pictures: Sequence[Picture], size: tuple[int, int]) -> tuple[Picture, list[Placement]]:
    """Lay one picture (scaled to fit, aspect kept) or up to four (unscaled tiles) on a canvas.

    Args:
        pictures: one picture of any size, or two to four that each fit a tile.
        size: width and height of the canvas in pixels.
    """
    width, height = size
    canvas = np.full((height, width, 3), _GREY, dtype=np.uint8)
    if len(pictures) == 1:
        rows, columns = pictures[0].shape[:2]
        # A part of a picture keeps its scale: models do worse on objects made larger (measured).
        scale = 1.0 if fits_tile(pictures[0], size) else min(width / columns, height / rows)
        return canvas, [_place(canvas, pictures[0], (0, 0, width, height), scale)]
    half_w, half_h = width // 2, height // 2
    return canvas, [
        _place(canvas, picture, (number % 2 * half_w, number // 2 * half_h, half_w, half_h), 1.0)
        for number, picture in enumerate(pictures)
    ]


def _place(
    canvas: Picture, picture: Picture, cell: tuple[int, int, int, int], scale: float
) -> Placement:
    """Draw `picture`, scaled, into the middle of `cell` (x, y, width, height)."""
    x, y, cell_width, cell_height = cell
    rows, columns = picture.shape[:2]
    if scale != 1.0:
        target = (max(1, round(columns * scale)), max(1, round(rows * scale)))
        resized = cv2.resize(picture, target, interpolation=cv2.INTER_LINEAR)
        picture = np.asarray(resized, dtype=np.uint8)
    left = x + (cell_width - picture.shape[1]) // 2
    top = y + (cell_height - picture.shape[0]) // 2
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return Placement(scale=scale, x=left, y=top, width=columns, height=rows)
