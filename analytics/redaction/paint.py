"""What is done to pixels: filling masks, and blurring so that nothing comes back.

A light blur can be undone: Harmon and Julesz ("Masking in visual recognition", Science 180, 1973)
show that people know a face from some 16 blocks across, and McPherson, Shokri and Shmatikov
("Defeating image obfuscation with deep learning", 2016) that a network matches faces and digits
through mosaics and blurs that hold more than a few values. So what is covered here is reduced to
at most 6 blocks along its longer side (8 for a whole picture) of 8 levels a channel, and drawn
smoothly from these numbers alone: a standing person's head is a part of one block. The levels keep
many pictures in a row from being averaged into a finer one.
"""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from analytics.detectors.types import Picture
from analytics.zones.geometry import Box
from camera_hub.streams.painting import Polygon

MASK_COLOUR = (24, 24, 24)
BOX_BLOCKS = 6
WHOLE_BLOCKS = 8
LEAST_BLOCK = 8
_OUTLINE = 3


def mask(picture: Picture, polygons: Sequence[Polygon]) -> Picture:
    """Fill the polygons with one colour, in place; return `picture`.

    Every pixel that a polygon touches is filled, whatever rounding does at its edge.

    Args:
        picture: uint8, (height, width, 3).
        polygons: corners relative to the picture, 0..1.
    """
    height, width = picture.shape[:2]
    scale = np.array([width, height], dtype=np.float64)
    for polygon in polygons:
        corners = np.floor(np.array(polygon, dtype=np.float64) * scale)
        corners = np.clip(corners, 0, scale - 1).astype(np.int32)
        cv2.fillPoly(picture, [corners], MASK_COLOUR)
        cv2.polylines(picture, [corners], True, MASK_COLOUR, _OUTLINE)
    return picture


def blur_boxes(picture: Picture, boxes: Iterable[Box], blocks: int = BOX_BLOCKS) -> Picture:
    """Make what is in the boxes unknowable, in place; return `picture`.

    Args:
        picture: uint8, (height, width, 3).
        boxes: relative to the picture; parts outside of it are ignored.
        blocks: how many values along a box's longer side remain.
    """
    height, width = picture.shape[:2]
    for x1, y1, x2, y2 in boxes:
        left, top = max(0, int(np.floor(x1 * width))), max(0, int(np.floor(y1 * height)))
        right = min(width, int(np.ceil(x2 * width)))
        bottom = min(height, int(np.ceil(y2 * height)))
        if right > left and bottom > top:
            part = picture[top:bottom, left:right]
            part[:] = _few_values(part, blocks)
    return picture


def blur_whole(picture: Picture) -> Picture:
    """Make the whole picture unknowable, in place; return `picture`."""
    picture[:] = _few_values(picture, WHOLE_BLOCKS)
    return picture


def _few_values(part: Picture, blocks: int) -> Picture:
    height, width = part.shape[:2]
    block = max(width, height, blocks * LEAST_BLOCK) / blocks
    grid = max(1, int(width / block)), max(1, int(height / block))
    few = np.asarray(cv2.resize(part, grid, interpolation=cv2.INTER_AREA), np.uint8)
    few = few & np.uint8(0xE0) | np.uint8(0x10)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
