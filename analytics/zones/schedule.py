"""Whether a rule's hours are running, on the wall clock of the site."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta, tzinfo

from analytics.zones.schemas import Day, ScheduleWindow

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
