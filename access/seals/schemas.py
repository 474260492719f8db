"""Seals on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from access.accounts.schemas import AccountBrief
from core.text import Normalised, Printable, no_longer_than

SealState = Literal["requested", "sealed", "lifted", "expired"]


class SealCreate(BaseModel):
    """A seal to ask for: of which incident, why, and until when."""

    model_config = ConfigDict(extra="forbid")

    incident_id: UUID
    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=3, max_length=300),
        Printable,
        Normalised,
        no_longer_than(300),
    ]
    until: AwareDatetime


class SealOut(BaseModel):
    """A seal. `allowed` names what the reader may do with it: `approve`, `lift`."""

    id: UUID
    incident_id: UUID
    number: str
    reason: str
    until: datetime
    requested_by: AccountBrief
    requested_at: datetime
    approved_by: AccountBrief | None
    approved_at: datetime | None
    ended_at: datetime | None
    state: SealState
    allowed: list[Literal["approve", "lift"]]
