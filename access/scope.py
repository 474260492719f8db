"""Which cameras somebody may find, as a condition for the query.

A list that is filtered after the query has pages with holes and tells how many there are; so what
the policy says about kinds of place, households and grants is asked once and put into the query.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_
from sqlalchemy.orm import InstrumentedAttribute

from access.policy.areas import in_areas
from access.policy.service import Policy
from access.policy.types import Actor, Circumstances, Resource

_CONSENTED = Circumstances(
    grant="share", purpose="incident", reference=True, redacted=True, second_person=True
)


@dataclass(frozen=True, slots=True)
class CameraColumns:
    """The columns of the table of cameras that a scope looks at; the table lies a floor above."""

    id: InstrumentedAttribute[UUID]
    area: InstrumentedAttribute[str]
    place_kind: InstrumentedAttribute[str]
    household_id: InstrumentedAttribute[UUID | None]
    residents_may_watch: InstrumentedAttribute[bool]


@dataclass(frozen=True, slots=True)
class CameraScope:
    """The cameras for which one action is possible, by kind of place.

    Attributes:
        public_areas: areas whose public spaces are open; [""] is all, [] none.
        shared_areas: the same for shared spaces.
        watched_areas: the same for shared spaces that residents may watch.
        home_areas: the same for homes, by a role (configuration, audit; never a picture).
        households: whose homes are open as one's own.
        granted: home cameras that consent opens now.
    """

    public_areas: tuple[str, ...] = ()
    shared_areas: tuple[str, ...] = ()
    watched_areas: tuple[str, ...] = ()
    home_areas: tuple[str, ...] = ()
    households: frozenset[UUID] = frozenset()
    granted: frozenset[UUID] = frozenset()


EVERYTHING = CameraScope(public_areas=("",), shared_areas=("",), home_areas=("",))
"""Every camera: for the command line, and for work that no person asks for."""


def camera_scope(
    policy: Policy, actor: Actor, action: str, granted: Collection[UUID] = ()
) -> CameraScope:
    """Ask `policy` for which cameras `actor` may do `action`, with a purpose where one is needed.

    `granted` is what `Consent.granted_cameras` says is open to the actor now.
    """

    def areas(place_kind: str, *, watched: bool = False) -> tuple[str, ...]:
        thing = Resource("camera", place_kind=place_kind, residents_may_watch=watched)
        return tuple(policy.areas(actor, action, thing))

    def consented(household: UUID | None) -> bool:
        thing = Resource(
            "camera",
            id="probe",
            place_kind="home",
            household="" if household is None else str(household),
        )
        return policy.authorize(actor, action, thing, _CONSENTED).allowed

    return CameraScope(
        public_areas=areas("public_space"),
        shared_areas=areas("shared_space"),
        watched_areas=areas("shared_space", watched=True),
        home_areas=areas("home"),
        households=frozenset(h for h in actor.households if consented(h)),
        granted=frozenset(granted) if granted and consented(None) else frozenset(),
    )


def in_scope(camera: CameraColumns, scope: CameraScope) -> ColumnElement[bool]:
    """Return the condition that a row with the columns `camera` lies in `scope`."""
    is_home = camera.place_kind == "home"
    conditions = [
        and_(camera.place_kind == "public_space", in_areas(camera.area, scope.public_areas)),
        and_(camera.place_kind == "shared_space", in_areas(camera.area, scope.shared_areas)),
        and_(
            camera.place_kind == "shared_space",
            camera.residents_may_watch.is_(True),
            in_areas(camera.area, scope.watched_areas),
        ),
        and_(is_home, in_areas(camera.area, scope.home_areas)),
    ]
    if scope.households:
        conditions.append(and_(is_home, camera.household_id.in_(scope.households)))
    if scope.granted:
        conditions.append(and_(is_home, camera.id.in_(scope.granted)))
    return or_(false(), *conditions)
