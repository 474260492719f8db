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
    """Who asks. `session_id` is set for accounts, so that open streams can ask again.

    `home_waits`: somebody else has just set the account's password, so it sees no home yet.
    """

    kind: Literal["account", "service", "anonymous"]
    id: UUID | None = None
    name: str = ""
    display_name: str = ""
    bindings: tuple[RoleBinding, ...] = ()
    scopes: frozenset[str] = field(default_factory=frozenset)
    session_id: UUID | None = None
    households: frozenset[UUID] = field(default_factory=frozenset)
    home_waits: bool = False


ANONYMOUS = Actor(kind="anonymous")


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for: a kind, its id, the area it lies in and, for a camera, the kind of place.

    `household` is the id of the household that a home camera, its grants or its records belong to.
    """

    kind: str
    id: str = ""
    area: str = ""
    place_kind: str = ""
    household: str = ""
    residents_may_watch: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds at this moment for the one who asks; looked up, never believed from a request.

    `grant` is the consent that is live for this actor and camera now; `purpose` a key of the list
    of purposes and `reference` whether what it refers to exists; `redacted` says that people and
    vehicles are blurred in what leaves; `second_person` that somebody else has approved.
    """

    grant: Literal["", "share", "alarm"] = ""
    purpose: str = ""
    reference: bool = False
    redacted: bool = False
    second_person: bool = False


ORDINARY = Circumstances()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and the `@id` of every policy that made it (empty: nothing permits it)."""

    allowed: bool
    policies: tuple[str, ...] = ()
