"""Rotas, duty and hand-overs on the wire. Times of day are on the wall clock of the site."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator

Post = Literal["duty_staff", "patrol", "supervisor", "department"]
WallTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
MOST_SLOTS = 500


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _named(value: str) -> str:
    name = " ".join(value.split())
    if not name or not name.isprintable():
        raise ValueError("a name is 1 to 120 printable characters")
    return name


class PersonOut(BaseModel):
    """Somebody who is on a rota. `holds_post` is False for who may not be counted on any more."""

    id: UUID
    display_name: str
    holds_post: bool = True


class SlotIn(_Strict):
    """One person's hours on one day of each week; `ends` at or before `starts` is the next day."""

    weekday: int = Field(ge=0, le=6, description="0 is Monday")
    starts: WallTime
    ends: WallTime
    account_id: UUID


class SlotOut(SlotIn):
    """A slot with the name of who has it."""

    id: UUID
    display_name: str
    holds_post: bool


class OverrideOut(BaseModel):
    """Somebody on duty for once."""

    id: UUID
    from_at: datetime
    until_at: datetime
    account: PersonOut
    replaces: PersonOut | None
    reason: str
    created_at: datetime


class SpanOut(BaseModel):
    """A span of time."""

    from_at: datetime
    until_at: datetime


class OverlapOut(BaseModel):
    """Hours of the week for which more than one person is named: no error, but worth a look."""

    weekday: int
    starts: str
    ends: str
    accounts: list[PersonOut]


class HandOverOut(BaseModel):
    """A hand-over, and how far it has come."""

    id: UUID
    rota_id: UUID
    giver: PersonOut
    taker: PersonOut
    note: str
    open_incidents: list[dict[str, Any]]
    offered_at: datetime
    given_at: datetime | None
    taken_at: datetime | None
    refused_at: datetime | None
    refused_reason: str
    state: Literal["open", "done", "refused"]


class RotaOut(BaseModel):
    """A rota with everything about it. `gaps` are of the next seven days.

    `candidates` hold the post in the area or above it: they can be put on the rota.
    """

    id: UUID
    area: str
    post: Post
    name: str
    time_zone: str
    candidates: list[PersonOut]
    slots: list[SlotOut]
    overrides: list[OverrideOut]
    hand_overs: list[HandOverOut]
    gaps: list[SpanOut]
    overlaps: list[OverlapOut]


class RotaCreate(_Strict):
    """A new rota, without slots."""

    area: str = Field(default="", max_length=200)
    post: Post
    name: str = Field(max_length=120)

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        return _named(value)


class RotaUpdate(_Strict):
    """A new name. Area and post never change: hand-overs refer to them."""

    name: str = Field(max_length=120)

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        return _named(value)


class SlotsPut(_Strict):
    """The whole week, in the place of what was."""

    slots: list[SlotIn] = Field(max_length=MOST_SLOTS)


class OverrideIn(_Strict):
    """Who is on duty for once, from when to when, and instead of whom (left out: as well)."""

    from_at: AwareDatetime
    until_at: AwareDatetime
    account_id: UUID
    replaces_id: UUID | None = None
    reason: str = Field(default="", max_length=500)


class HandOverCreate(_Strict):
    """An offer to hand the post over. `from_id` left out: oneself."""

    to_id: UUID
    from_id: UUID | None = None
    note: str = Field(default="", max_length=4000)


class HandOverRefuse(_Strict):
    """Why it is not handed over, or not taken."""

    reason: str = Field(min_length=1, max_length=500)


class DutyOut(BaseModel):
    """Who has one post in one area at an instant.

    `found_in` is the area of the rota, or in which the role is held; `until_at` when somebody
    comes or goes next, within seven days. `by` says how they were found: `rota`, `role` (there is
    no rota), `gap` (the rota names nobody for this moment), or `nobody`.
    """

    area: str
    post: Post
    by: Literal["rota", "role", "gap", "nobody"]
    found_in: str
    rota_id: UUID | None
    rota_name: str
    accounts: list[PersonOut]
    until_at: datetime | None
    gaps: list[SpanOut]
    hand_overs: list[HandOverOut]


class DutyNow(BaseModel):
    """Who is on duty in an area at an instant, by post."""

    area: str
    at: datetime
    time_zone: str
    items: list[DutyOut]
