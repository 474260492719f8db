"""Hours of the week, as they go over the wire: of zones' rules and of recordings alike."""

import re
from collections.abc import Collection
from datetime import datetime, time, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MINUTE_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class WeeklyWindow(BaseModel):
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
        # YAML takes 22:00 without quotes for the number 1320, which would be 22 minutes past
        # midnight here.
        if not isinstance(value, str) or not _MINUTE_TIME.fullmatch(value):
            raise ValueError('must be a time of day in quotes, such as "22:00"')
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

    def runs(self, local: datetime) -> bool:
        """Say whether it runs at this time on the site's wall clock."""
        return runs_at(self.days, self.start, self.end, local)


def runs_at(days: Collection[str], start: time, end: time, local: datetime) -> bool:
    """Say whether a window runs at a time on the site's wall clock; see `WeeklyWindow`.

    Where the clock is put back, an hour that is shown twice counts twice; where it is put forward,
    a window inside the missing hour never runs.
    """
    clock = local.time()
    today = DAYS[local.weekday()]
    yesterday = DAYS[(local.date() - timedelta(days=1)).weekday()]
    if start < end:
        return today in days and start <= clock < end
    return (today in days and clock >= start) or (yesterday in days and clock < end)
