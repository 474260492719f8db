"""Privacy masks as they go over the wire (docs/design/trust.md)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from analytics.zones.schemas import Point, ZoneIn
from core.text import Normalised, Printable, no_longer_than

MOST_MASKS = 16


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Mask(_Wire):
    """A part of the picture that is nobody's business; corners relative to the picture."""

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
        Printable,
        Normalised,
        no_longer_than(100),
    ]
    polygon: tuple[Point, ...] = Field(min_length=3, max_length=64)

    @field_validator("polygon")
    @classmethod
    def _as_zones(cls, value: tuple[Point, ...]) -> tuple[Point, ...]:
        return ZoneIn.simple_polygon(value)


class MasksUpdate(_Wire):
    """Body of `PUT /cameras/{id}/masks`: replaces all masks of the camera.

    `version` is the camera's that was read; `burnt` has them applied before recording.
    """

    version: int = Field(ge=1, le=2**31 - 1)
    masks: tuple[Mask, ...] = Field(max_length=MOST_MASKS)
    burnt: bool = False
