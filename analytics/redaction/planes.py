"""What is done to pictures of a recording: as `paint.py`, on planes of Y, U and V.

Nothing is converted to RGB and back, which took more than half of the time that painting took.
Chroma is half as fine as luma, so each box begins and ends at even pixels, outwards.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.redaction.paint import BOX_BLOCKS, LEAST_BLOCK, WHOLE_BLOCKS
from analytics.zones.geometry import Box
from camera_hub.streams.painting import FilmShot, Polygon

MASK_LUMA = 37
"""`paint.MASK_COLOUR` as luma; it has no chroma."""
_NO_CHROMA = 128
_OUTLINE = 3
_HALF_LEVEL = 16

Plane = NDArray[np.uint8]


def mask_film(shot: FilmShot, polygons: Sequence[Polygon]) -> FilmShot:
    """Fill the polygons with one colour, in place; return `shot`.

    Every pixel that a polygon touches is filled, whatever rounding does at its edge.

    Args:
        shot: the picture.
        polygons: corners relative to the picture, 0..1.
    """
    if not polygons:
        return shot
    for number, plane in enumerate(shot.planes):
        height, width = plane.shape
        scale = np.array([width, height], dtype=np.float64)
        colour = _NO_CHROMA if number else MASK_LUMA
        for polygon in polygons:
            corners = np.floor(np.array(polygon, dtype=np.float64) * scale)
            corners = np.clip(corners, 0, scale - 1).astype(np.int32)
            cv2.fillPoly(plane, [corners], (colour,))
            cv2.polylines(plane, [corners], True, (colour,), _OUTLINE)
    return shot


def blur_film(shot: FilmShot, boxes: Iterable[Box]) -> FilmShot:
    """Make what is in the boxes unknowable, in place; return `shot`.

    Args:
        shot: the picture.
        boxes: relative to the picture; parts outside of it are ignored. One that lies within
            another is covered by that.
    """
    width, height = shot.size
    planes = shot.planes
    for left, top, right, bottom in _outer(_even(box, width, height) for box in boxes):
        _blur(planes, (left, top, right, bottom), BOX_BLOCKS)
    return shot


def blur_film_whole(shot: FilmShot) -> FilmShot:
    """Make the whole picture unknowable, in place; return `shot`."""
    width, height = shot.size
    _blur(shot.planes, (0, 0, width, height), WHOLE_BLOCKS)
    return shot


def _even(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return a box in pixels, its ends even and not within it."""
    left, top = int(np.floor(box[0] * width / 2)) * 2, int(np.floor(box[1] * height / 2)) * 2
    right, bottom = int(np.ceil(box[2] * width / 2)) * 2, int(np.ceil(box[3] * height / 2)) * 2
    return max(0, left), max(0, top), min(width, right), min(height, bottom)


def _outer(boxes: Iterable[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """Return the boxes that are not empty and do not lie within another."""
    kept: list[tuple[int, int, int, int]] = []
    there = [one for one in set(boxes) if one[2] > one[0] and one[3] > one[1]]
    for one in sorted(there, key=lambda b: (b[0] - b[2]) * (b[3] - b[1])):
        if not any(
            o[0] <= one[0] and o[1] <= one[1] and o[2] >= one[2] and o[3] >= one[3] for o in kept
        ):
            kept.append(one)
    return kept


def _blur(planes: Sequence[Plane], box: tuple[int, int, int, int], blocks: int) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    block = max(width, height, blocks * LEAST_BLOCK) / blocks
    grid = max(1, int(width / block)), max(1, int(height / block))
    for number, plane in enumerate(planes):
        half = 2 if number else 1
        part = plane[top // half : bottom // half, left // half : right // half]
        few = np.asarray(cv2.resize(part, grid, interpolation=cv2.INTER_AREA), np.uint8)
        # Eight levels a plane, as of a channel; those of chroma lie around 128, which is grey.
        if number:
            few = (np.minimum(few, 255 - _HALF_LEVEL) + np.uint8(_HALF_LEVEL)) & np.uint8(0xE0)
        else:
            few = few & np.uint8(0xE0) | np.uint8(_HALF_LEVEL)
        part[:] = cv2.resize(few, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
