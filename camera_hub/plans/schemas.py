"""Plans as they go over the wire (docs/design/plans.md)."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from camera_hub.devices.schemas import Area, Heading, Name


class PlanOut(BaseModel):
    """A plan. `width` and `height` are the drawing's, in pixels, `bytes` those of its file.

    `north` is where north is on the drawing, in degrees clockwise from its upper side.
    `cameras` counts those that stand on it and that the reader may know of. `version` counts
    changes of the plan and of its drawing.
    """

    id: UUID
    name: str
    area: str
    width: int
    height: int
    bytes: int
    north: float
    version: int
    created_at: AwareDatetime
    cameras: int
    may_change: bool = False


class PlansOut(BaseModel):
    """The plans that one may see, by area and name."""

    items: list[PlanOut]


class PlanFields(BaseModel):
    """What is said of a new plan beside its drawing."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    area: Area = ""
    north: Heading = 0.0


class PlanUpdate(BaseModel):
    """What to change; `version` is the one that was read."""

    model_config = ConfigDict(extra="forbid")

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    name: Name | None = None
    area: Area | None = None
    north: Heading | None = None
