"""Weekly hours of a grant, by the clock on the wall of the site.

A window belongs to the day it starts on and may go over midnight. When clocks are put forward, the
hour that is left out is left out here as well; when they are put back, the hour that comes twice
counts twice: what a person reads off the wall decides.
"""

import re
from collections.abc import Sequence
from datetime import datetime, time, tzinfo
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MINUTE = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class ConsentHours(BaseModel):
    """Hours of the named days, in the site's time zone.

    `from` later than `to` goes over midnight and belongs to the day it starts on; `from` equal
    to `to` is the whole day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: tuple[Day, ...] = Field(min_length=1, max_length=7)
    start: time = Field(alias="from")
    end: time = Field(alias="to")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _minute(cls, value: Any) -> Any:
        if isinstance(value, time):
            return value
        if not isinstance(value, str) or not _MINUTE.fullmatch(value):
            raise ValueError("must be a time of day such as 22:00")
        return value

    @field_validator("days")
    @classmethod
    def _each_day_once(cls, value: tuple[Day, ...]) -> tuple[Day, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a day twice")
        return value

    @field_serializer("start", "end")
    def _as_minutes(self, value: time) -> str:
        return value.strftime("%H:%M")

    def holds(self, local: datetime) -> bool:
        """Say whether `local`, a time of the site's time zone, lies within."""
        at = local.time().replace(tzinfo=None)
        today = DAYS[local.weekday()] in self.days
        if self.start == self.end:
            return today
        if self.start < self.end:
            return today and self.start <= at < self.end
        yesterday = DAYS[local.weekday() - 1] in self.days
        return (today and at >= self.start) or (yesterday and at < self.end)


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
