"""Whether a rule's hours are running, on the wall clock of the site."""

from collections.abc import Iterable
from datetime import datetime, tzinfo

from analytics.zones.schemas import ScheduleWindow


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
    return any(window.runs(local) for window in windows)
