"""Where a camera stands on a plan, as it goes over the wire."""

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from core.ids import new_id

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
SPOT = ("plan_id", "plan_x", "plan_y")


class SpotOnPlan(BaseModel):
    """A place on a plan: fractions of the drawing's width and height, from its upper left.

    The three go together: all of them, or `plan_id` null to stand on no plan. What is left out
    altogether stays.
    """

    plan_id: UUID | None = None
    plan_x: Fraction | None = None
    plan_y: Fraction | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        values = [getattr(self, name) for name in SPOT]
        if any(value is None for value in values) and any(value is not None for value in values):
            raise ValueError("a plan and the place on it (plan_x, plan_y) go together")
        return self


@dataclass(frozen=True, slots=True)
class NamedSpot:
    """A place on a plan that is known by its name, as lists and files say it."""

    plan: str
    x: float
    y: float

    @classmethod
    def of(cls, plan: str, x: object, y: object) -> Self | None:
        """Return the place; None where none of the three is said.

        Raises:
            ValidationError: they are not all there, or outside of the drawing.
        """
        if plan == "" and x is None and y is None:
            return None
        said = {"plan_id": new_id() if plan else None, "plan_x": x, "plan_y": y}
        checked = SpotOnPlan.model_validate(said)
        assert checked.plan_x is not None
        assert checked.plan_y is not None
        return cls(unicodedata.normalize("NFC", plan.strip()), checked.plan_x, checked.plan_y)
