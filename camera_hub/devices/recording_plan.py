"""What of a camera is recorded, and when: as it goes over the wire and lies in `camera.recording`.

A camera from before there were recordings has an empty plan, and is not recorded.
"""

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

RecordingMode = Literal["off", "always", "schedule", "event"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MINUTE_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RecordingWindow(_Wire):
    """Hours of the named days, in the site's time zone.

    `from` later than `to` goes over midnight and belongs to the day it starts on; `from` equal
    to `to` is the whole day.
    """

    days: tuple[Day, ...] = Field(min_length=1, max_length=7)
    start: time = Field(alias="from")
    end: time = Field(alias="to")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _minute(cls, value: Any) -> Any:
        if isinstance(value, str) and not _MINUTE_TIME.fullmatch(value):
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


class RecordingPlan(_Wire):
    """When a camera is recorded, and which of its streams.

    `schedule` counts with the mode `schedule` only. With `event`, `pre_s` seconds before a signal
    and `post_s` after the last one are kept. A camera without the stream of `role` is recorded
    from the one it has.
    """

    mode: RecordingMode = "off"
    role: Literal["main", "sub"] = "main"
    schedule: tuple[RecordingWindow, ...] = Field(default=(), max_length=32)
    pre_s: Annotated[float, Field(ge=0, le=60)] = 10.0
    post_s: Annotated[float, Field(ge=1, le=600)] = 30.0

    @property
    def stored(self) -> dict[str, Any]:
        """The plan as `camera.recording` holds it: JSON types, `from` and `to` by these names."""
        return self.model_dump(mode="json", by_alias=True)


def plan_of(recording: dict[str, Any]) -> RecordingPlan:
    """Return the plan that `camera.recording` holds."""
    return RecordingPlan.model_validate(recording)
