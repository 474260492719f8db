"""What is asked of the door and what it answers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal
from uuid import UUID


class Role(StrEnum):
    """What somebody is to the place; every right follows from a role held in an area."""

    RESIDENT = "resident"
    DUTY_STAFF = "duty_staff"
    PATROL = "patrol"
    DEPARTMENT = "department"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class RoleBinding:
    """A role held in `area` and everything below it; the area "" is the whole site."""

    role: Role
    area: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `session_id` is set for accounts, so that open streams can ask again."""

    kind: Literal["account", "service", "anonymous"]
    id: UUID | None = None
    name: str = ""
    display_name: str = ""
    bindings: tuple[RoleBinding, ...] = ()
    scopes: frozenset[str] = field(default_factory=frozenset)
    session_id: UUID | None = None


ANONYMOUS = Actor(kind="anonymous")


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for: a kind, its id, the area it lies in and, for a camera, the kind of place.

    Kinds: `camera zone incident account token session signal event worker view metrics system`.
    """

    kind: str
    id: str = ""
    area: str = ""
    place_kind: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and the `@id` of every policy that made it (empty: nothing permits it)."""

    allowed: bool
    policies: tuple[str, ...] = ()
