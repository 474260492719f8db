"""Zones and rules as they go over the wire (docs/design/api.md)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic import field_validator as validator
from shapely.geometry import Polygon
from shapely.validation import explain_validity

from core.text import Normalised, Printable, no_longer_than
from core.weekly import WeeklyWindow

RuleKind = Literal["intrusion", "person_down"]
Severity = Literal["extreme", "severe", "moderate", "minor"]
Point = tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]]
Label = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), Printable
]

# A polygon thinner than this share of the picture cannot hold the foot of a box.
_SMALLEST_AREA = 1e-5


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ScheduleWindow(WeeklyWindow):
    """Hours of the named days, in the site's time zone.

    `from` later than `to` goes over midnight and belongs to the day it starts on; `from` equal
    to `to` is the whole day.
    """


class Rule(_Wire):
    """What is looked for inside a zone, when, and how grave it is."""

    kind: RuleKind
    enabled: bool = True
    severity: Severity = "severe"
    objects: tuple[Label, ...] = Field(default=("person",), min_length=1, max_length=16)
    dwell_seconds: float = Field(default=0.0, ge=0, le=3600)
    confidence: float = Field(default=0.4, ge=0.01, le=0.99)
    schedule: tuple[ScheduleWindow, ...] = Field(default=(), max_length=32)
    cooldown_seconds: float = Field(default=30.0, ge=0, le=86400)


class ZoneIn(_Wire):
    """A zone as an editor sends it; `id` is kept when the camera has such a zone."""

    id: UUID | None = None
    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        Printable,
        Normalised,
        no_longer_than(100),
    ]
    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)
    rules: tuple[Rule, ...] = Field(default=(), max_length=16)

    @validator("polygon")
    @classmethod
    def simple_polygon(cls, value: tuple[Point, ...]) -> tuple[Point, ...]:
        """Refuse an outline that crosses itself or encloses nothing."""
        shape = Polygon(value)
        if not shape.is_valid:
            reason = explain_validity(shape).split("[")[0].strip().lower()
            raise ValueError(f"the outline crosses or touches itself ({reason})")
        if shape.area < _SMALLEST_AREA:
            raise ValueError("the outline encloses no area")
        return value


class Zone(ZoneIn):
    """A stored zone."""

    id: UUID


class ZonesUpdate(_Wire):
    """Body of `PUT /cameras/{id}/zones`: replaces all zones of the camera."""

    version: int = Field(ge=0, le=2**31 - 1)
    zones: tuple[ZoneIn, ...] = Field(max_length=64)


class ZonesOut(_Wire):
    """Zones of a camera; `version` is 0 before the first edit."""

    version: int
    zones: tuple[Zone, ...]
