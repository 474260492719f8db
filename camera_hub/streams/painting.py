"""What may leave of a camera's picture, and who makes it so.

A rendition is one way to show a camera: `raw` is the camera's own bytes, `masked` has its privacy
masks filled, `redacted` has people and vehicles blurred too. A `Painter` makes the pictures of the
last two; whoever encodes them has never seen another picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

Rendition = Literal["raw", "masked", "redacted"]
RENDITIONS: tuple[Rendition, ...] = ("raw", "masked", "redacted")

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y), relative to the picture: 0..1, origin top left."""

WHOLE_PICTURE: Polygon = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(slots=True)
class Shot:
    """A picture on its way out: RGB, uint8, (height, width, 3), owned by whoever holds it.

    `at` (aware, UTC) and `at_s` (monotonic seconds) are when it arrived from the camera.
    """

    picture: NDArray[np.uint8]
    at_s: float
    at: datetime


@dataclass(slots=True)
class FilmShot:
    """A picture of a recording on its way out, as it was decoded: nothing is converted to RGB.

    `data`: YUV 4:2:0 in planes (I420), 16 to 235, uint8, (height * 3 / 2, width), width and height
    even, owned by whoever holds it. `at_s` is the time in its file in seconds, `at` (aware, UTC)
    the wall clock.
    """

    data: NDArray[np.uint8]
    at_s: float
    at: datetime

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        rows, width = self.data.shape
        return width, rows * 2 // 3

    @property
    def planes(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Y, U and V, to be read and written; U and V are half as wide and high."""
        width, height = self.size
        flat, luma = self.data.reshape(-1), width * height
        half = (height // 2, width // 2)
        middle = luma + luma // 4
        return (
            flat[:luma].reshape(height, width),
            flat[luma:middle].reshape(half),
            flat[middle:].reshape(half),
        )


class Painter(Protocol):
    """Makes pictures fit to leave. Used by one thread."""

    def put(self, shot: Shot) -> None:
        """Take the next picture; it may be changed in place. Never blocks."""
        ...

    def take(self) -> list[Shot]:
        """Return, in order, the pictures that are done. Never blocks."""
        ...

    def close(self) -> None:
        """Forget what waits."""
        ...


PainterFactory = Callable[[UUID, Rendition, tuple[Polygon, ...]], Painter]
"""Makes the painter of one camera's `masked` or `redacted` rendition with these masks."""


def read_masks(data: Iterable[Any]) -> tuple[Polygon, ...]:
    """Return the outlines of masks as they go over the wire: objects with a `polygon`.

    A mask that is not understood covers the whole picture: what somebody wanted hidden stays so.
    """
    return tuple(_outline(mask) for mask in data)


def masks_digest(masks: tuple[Polygon, ...]) -> str:
    """Return what tells one set of masks from another (SHA-256, hexadecimal)."""
    return sha256(repr(masks).encode()).hexdigest()


def _outline(mask: Any) -> Polygon:
    try:
        polygon = tuple((float(x), float(y)) for x, y in mask["polygon"])
    except (KeyError, TypeError, ValueError):
        return WHOLE_PICTURE
    inside = all(0.0 <= value <= 1.0 for point in polygon for value in point)
    return polygon if len(polygon) >= 3 and inside else WHOLE_PICTURE
