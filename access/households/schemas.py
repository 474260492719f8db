"""Households on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from access.accounts.schemas import AccountBrief
from core.text import Normalised, Printable, no_longer_than


class HouseholdCreate(BaseModel):
    """A new household, such as a flat."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
        Printable,
        Normalised,
        no_longer_than(120),
    ]
    area: str = Field(default="", max_length=200)


class MemberAdd(BaseModel):
    """Who comes into a household."""

    model_config = ConfigDict(extra="forbid")

    username: str = Field(max_length=128)


class PasswordReset(BaseModel):
    """When somebody else last set the password of an account, and who."""

    at: datetime
    by: str


class MemberOut(BaseModel):
    """A member of a household. All are shown whose password somebody else has set, and who did."""

    account: AccountBrief
    since: datetime
    password_reset: PasswordReset | None = None


class HouseholdOut(BaseModel):
    """A household. `cameras` is how many home cameras it has."""

    id: UUID
    name: str
    area: str
    members: list[MemberOut]
    cameras: int
    closed_at: datetime | None
