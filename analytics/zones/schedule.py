"""Whether a rule's hours are running, on the wall clock of the site."""

import os
from collections.abc import Iterable
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from analytics.zones.schemas import Day, ScheduleWindow
from core.errors import InvalidInputError

_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def site_time_zone(name: str = "") -> ZoneInfo:
    """Return the time zone `name` (as `Asia/Shanghai`), or the machine's own when it is empty.

    Raises:
        InvalidInputError: there is no such time zone.
    """
    if not name:
        name = os.environ.get("TZ", "").lstrip(":") or _machine_zone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(
            f"'{name}' is not a time zone.",
            remedy="Use a name of the IANA list, such as Asia/Shanghai or Europe/Berlin.",
            code="unknown-time-zone",
        ) from error


def _machine_zone() -> str:
    """Return the name that the machine's local time links to; UTC when it says none."""
    target = str(Path("/etc/localtime").resolve())
    _, found, name = target.partition("/zoneinfo/")
    return name if found else "UTC"


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
