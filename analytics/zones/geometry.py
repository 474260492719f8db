"""Where an object stands, and whether a rule's hours are running."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta, tzinfo

import shapely
from shapely.geometry import Polygon

from analytics.zones.schemas import Day, ScheduleWindow

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2, relative to the picture (0..1, origin top left)."""

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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


def is_active(schedule: Iterable[ScheduleWindow], at: datetime, zone: tzinfo) -> bool:
    """Return whether a schedule is running at an instant; an empty one always is.

    Windows are read on the wall clock of `zone`: where the clock is put back, an hour that is
    shown twice counts twice; where it is put forward, a window inside the missing hour never runs.

    Args:
        schedule: windows; any one of them is enough.
        at: an aware datetime.
        zone: the site's time zone.
    """
    windows = tuple(schedule)
    if not windows:
        return True
    local = at.astimezone(zone)
    clock = local.timetz().replace(tzinfo=None)
    today = _DAYS[local.weekday()]
    yesterday = _DAYS[(local.date() - timedelta(days=1)).weekday()]
    return any(_runs(window, clock, today, yesterday) for window in windows)


def _runs(window: ScheduleWindow, clock: time, today: Day, yesterday: Day) -> bool:
    if window.start < window.end:
        return today in window.days and window.start <= clock < window.end
    return (today in window.days and clock >= window.start) or (
        yesterday in window.days and clock < window.end
    )
