"""Hours on the wall clock of a place, as instants: right on the days when the clock changes.

The rule: a time of day stands for the first instant at which the wall clock shows it. A time that
is shown twice (the clock is put back) is its first showing, for the end of one slot as for the
beginning of the next, so that nobody is on duty twice and nobody in between. A time that is not
shown at all (the clock is put forward) is the instant of the change.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol

_SECOND = timedelta(seconds=1)


def instant(day: date, clock: str, zone: tzinfo) -> datetime:
    """Return the instant (UTC) at which the wall clock of `zone` first shows `clock` on `day`.

    Args:
        day: a date on that wall clock.
        clock: "HH:MM".
        zone: the place's time zone, such as a `zoneinfo.ZoneInfo`.
    """
    naive = datetime.combine(day, time.fromisoformat(clock))
    before = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if before.astimezone(zone).replace(tzinfo=None) == naive:
        return before
    # The time is skipped. PEP 495: fold 0 reads it with the offset from before the change, which
    # lands after it; fold 1 the other way round. The change itself lies between the two.
    after = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(min(before, after), max(before, after), zone)


def _change_between(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the first second after `low` with the offset that `zone` has at `high`."""
    there = high.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == there:
            high = middle
        else:
            low = middle
    return high


class WeeklyHours(Protocol):
    """Hours on one day of each week: 0 is Monday, "HH:MM"; `ends` <= `starts` is the next day."""

    @property
    def weekday(self) -> int: ...
    @property
    def starts(self) -> str: ...
    @property
    def ends(self) -> str: ...


def occurrences(
    hours: WeeklyHours, since: datetime, until: datetime, zone: tzinfo
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the hours that touch [since, until), as instants in UTC: (beginning, end).

    Hours that lie wholly in what the clock leaves out do not exist that week.

    Args:
        hours: weekday of the beginning, and the two times of day.
        since, until: aware datetimes.
        zone: the time zone of the wall clock.
    """
    day = (since.astimezone(zone) - timedelta(days=2)).date()
    last = (until.astimezone(zone) + timedelta(days=1)).date()
    day += timedelta(days=(hours.weekday - day.weekday()) % 7)
    while day <= last:
        begin = instant(day, hours.starts, zone)
        next_day = hours.ends <= hours.starts
        end = instant(day + timedelta(days=1) if next_day else day, hours.ends, zone)
        if begin < end and begin < until and end > since:
            yield begin, end
        day += timedelta(days=7)
