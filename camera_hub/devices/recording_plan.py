"""What of a camera is recorded, and when: as it goes over the wire and lies in `camera.recording`.

A camera from before there were recordings has an empty plan, and is not recorded.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.weekly import WeeklyWindow

RecordingMode = Literal["off", "always", "schedule", "event"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RecordingWindow(WeeklyWindow):
    """Hours of the named days, in the site's time zone.

    `from` later than `to` goes over midnight and belongs to the day it starts on; `from` equal
    to `to` is the whole day.
    """


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
