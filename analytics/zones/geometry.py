"""Where an object stands."""

from collections.abc import Sequence

import shapely
from shapely.geometry import Polygon

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2, relative to the picture (0..1, origin top left)."""

# An object that is inside stays inside until it is this far out, so that a box that trembles
# on the outline is not many entries. Relative to the picture.
_HYSTERESIS = 0.02


def ground_point(box: Box) -> tuple[float, float]:
    """Return where the object touches the ground: the middle of the box's lower edge."""
    x1, _, x2, y2 = box
    return (x1 + x2) / 2, y2


class ZoneShape:
    """A polygon made ready for many questions. Points on its outline are inside."""

    def __init__(self, polygon: Sequence[tuple[float, float]]) -> None:
        self._inner = Polygon(polygon)
        self._outer = self._inner.buffer(_HYSTERESIS)
        shapely.prepare(self._inner)
        shapely.prepare(self._outer)

    def contains_point(self, x: float, y: float, *, was_inside: bool = False) -> bool:
        """Return whether (x, y) is inside; `was_inside` widens the outline a little."""
        shape = self._outer if was_inside else self._inner
        return bool(shapely.intersects_xy(shape, x, y))

    def contains_box(self, box: Box, *, was_inside: bool = False) -> bool:
        """Return whether the object in `box` stands inside."""
        return self.contains_point(*ground_point(box), was_inside=was_inside)
