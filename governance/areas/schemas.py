"""Areas and departments on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator

from access.accounts.models import Account
from access.accounts.schemas import AccountBrief
from governance.areas.models import Area, Department

Level = Literal["county", "township", "community", "cell"]
LEVELS: tuple[Level, ...] = ("county", "township", "community", "cell")
"""From the widest to the narrowest."""


def _named(value: str) -> str:
    name = " ".join(value.split())
    if not name or not name.isprintable():
        raise ValueError("a name is 1 to 120 printable characters")
    return name


class AreaOut(BaseModel):
    """One area of the tree. `parent` is "" at the top; `depth` counts from 1."""

    path: str
    name: str
    level: Level
    parent: str
    depth: int
    created_at: datetime

    @classmethod
    def of(cls, area: Area) -> "AreaOut":
        """Return `area` for the wire."""
        return cls(
            path=area.path,
            name=area.name,
            level=area.level,
            parent=area.path.rpartition("/")[0],
            depth=area.path.count("/") + 1,
            created_at=area.created_at,
        )


class AreasOut(BaseModel):
    """The tree, widest first, each area before those in it. Empty: every path may be used."""

    items: list[AreaOut]


class AreaCreate(BaseModel):
    """A new area below one that is there."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, max_length=200)
    name: str = Field(max_length=120)
    level: Level | None = Field(
        default=None, description="Left out: the level below that of the area above"
    )

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        return _named(value)


class AreaUpdate(BaseModel):
    """What is to change; a path never does, for everything is filed under it."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=120)
    level: Level | None = None

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        return None if value is None else _named(value)


class Use(BaseModel):
    """What uses an area: how many of a kind, and the names of the first few."""

    kind: str
    count: int
    names: list[str]


class DepartmentOut(BaseModel):
    """A department and who works in it. `working` leaves out who holds the role no longer."""

    id: UUID
    name: str
    area: str
    members: list[AccountBrief]
    working: int

    @classmethod
    def of(
        cls, department: Department, members: Sequence[Account], working: int
    ) -> "DepartmentOut":
        """Return `department` for the wire."""
        return cls(
            id=department.id,
            name=department.name,
            area=department.area,
            members=[
                AccountBrief(id=a.id, username=a.username, display_name=a.display_name)
                for a in members
            ],
            working=working,
        )


class DepartmentCreate(BaseModel):
    """A new department."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=120)
    area: str = Field(default="", max_length=200)

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        return _named(value)


class DepartmentUpdate(BaseModel):
    """A new name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=120)

    @field_validator("name")
    @classmethod
    def _a_name(cls, value: str) -> str:
        return _named(value)


class MembersPut(BaseModel):
    """Everybody who works in the department, in the place of who did."""

    model_config = ConfigDict(extra="forbid")

    account_ids: list[UUID] = Field(max_length=500)
