"""Weekly hours of a grant, by the clock on the wall of the site.

A window belongs to the day it starts on and may go over midnight. When clocks are put forward, the
hour that is left out is left out here as well; when they are put back, the hour that comes twice
counts twice: what a person reads off the wall decides.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from core.weekly import DAYS, WeeklyWindow


class ConsentHours(WeeklyWindow):
    """Hours of the named days; `from` equal to `to` is the whole of those days, whatever it is."""

    def holds(self, local: datetime) -> bool:
        """Say whether `local`, a time of the site's time zone, lies within."""
        if self.start == self.end:
            return DAYS[local.weekday()] in self.days
        return self.runs(local)


def stored(hours: Sequence[ConsentHours]) -> list[dict[str, Any]]:
    """Return `hours` for the database."""
    return [window.model_dump(mode="json", by_alias=True) for window in hours]


def read(rows: Sequence[dict[str, Any]]) -> list[ConsentHours]:
    """Return hours from the database.

    Raises:
        pydantic.ValidationError: they were not written by `stored`.
    """
    return [ConsentHours.model_validate(row) for row in rows]


def is_within(rows: Sequence[dict[str, Any]], moment: datetime, zone: tzinfo) -> bool:
    """Say whether `moment` lies within the stored hours; no hours at all is any hour."""
    local = moment.astimezone(zone)
    return not rows or any(window.holds(local) for window in read(rows))
