"""Consent on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from access.accounts.schemas import AccountBrief
from access.consent.hours import ConsentHours
from core.text import Normalised, Printable, no_longer_than

GrantKind = Literal["share", "alarm"]
GrantState = Literal["live", "ended"]


class GrantCreate(BaseModel):
    """A consent to give. A share names who (`username`) and until when (`ends_at`)."""

    model_config = ConfigDict(extra="forbid")

    camera_id: UUID
    kind: GrantKind
    username: str | None = Field(default=None, max_length=128)
    hours: list[ConsentHours] = Field(default=[], max_length=21)
    ends_at: AwareDatetime | None = None
    redacted: bool = False
    on_detection: bool = False
    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, max_length=300),
        Printable,
        Normalised,
        no_longer_than(300),
    ] = ""


class GrantOut(BaseModel):
    """A consent. `open_now` says that it lets somebody look at this moment.

    `answering` are those who answer the alarm that has opened it.
    """

    id: UUID
    camera_id: UUID
    camera_name: str
    household_id: UUID
    kind: GrantKind
    grantee: AccountBrief | None
    given_by: AccountBrief | None
    hours: list[ConsentHours]
    ends_at: datetime | None
    redacted: bool
    on_detection: bool
    reason: str
    created_at: datetime
    state: GrantState
    ended_at: datetime | None
    open_now: bool
    answering: list[AccountBrief]
