"""What residents learn: who has looked at their home and at the shared cameras around it."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as households
from access.households.models import Household
from access.policy.types import Actor, Resource, Role
from api import viewing_rows
from api.digests import DigestOut, digest_of
from api.door import permit
from api.hub import Hub, HubDep
from api.months import Month
from api.pages import Page, Paging
from api.viewing_rows import Row, Scope

router = APIRouter(tags=["residents"])

_STAFF = frozenset(
    role.value for role in (Role.SUPERVISOR, Role.DUTY_STAFF, Role.OPERATOR, Role.PATROL,
                            Role.DEPARTMENT)
)  # fmt: skip

MonthQuery = Annotated[str | None, Query(max_length=20, description="e.g. 2026-11")]


class ViewerOut(BaseModel):
    """Who looked, and as what: a role, `household` or `guest`.

    `display_name` is empty where a neighbour looked at what is shared: that somebody who lives
    there did is for everybody to know, who it was is not.
    """

    display_name: str
    role: str


class ViewingOut(BaseModel):
    """A viewing. `own`: by a member of the household; `delayed`: told late because of a seal.

    With `sound` it was heard too.

    What staff wrote as the reference is told of the own home; of a shared camera only the number
    of an incident is, since a text may name somebody else.
    """

    id: UUID
    camera_id: UUID
    camera_name: str
    place_kind: str
    who: ViewerOut
    own: bool
    kind: str
    purpose: str
    reference: str
    grant_id: UUID | None
    redacted: bool
    sound: bool
    started_at: datetime
    ended_at: datetime | None
    delayed: bool


@router.get("/home/viewings")
async def list_home_viewings(
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("viewing.read")],
    camera_id: UUID | None = None,
    month: MonthQuery = None,
) -> Page[ViewingOut]:
    """List who has looked at the own home and at the shared cameras around it, newest first."""
    before = page.after(UUID)
    zone = hub.settings.site.zone
    wanted = None if month is None else Month.parse(month)
    async with hub.database.read() as session:
        scope = await _scope(hub, session, actor)
        rows = await viewing_rows.page(
            session,
            scope,
            hub.clock.now(),
            between=None if wanted is None else (wanted.start(zone), wanted.end(zone)),
            camera_id=camera_id,
            before=before[0] if before else None,
            limit=page.fetch,
        )
        family = {
            member.account_id
            for member, _ in await households.members(session, sorted(scope.households))
        }
    items = [_out(actor, family, row) for row in rows]
    return page.page(rows, lambda row: (row.record.id,), items)


@router.get("/home/digest")
async def read_home_digest(
    hub: HubDep,
    actor: Annotated[Actor, permit("viewing.read")],
    month: MonthQuery = None,
) -> list[DigestOut]:
    """Return the digest of a month (else of the last one) for each of the own households."""
    zone = hub.settings.site.zone
    wanted = Month.of(hub.clock.now(), zone).plus(-1) if month is None else Month.parse(month)
    async with hub.database.read() as session:
        own = await _own(hub, session, actor)
        return [await digest_of(hub, session, household, wanted) for household in own]


async def _own(hub: Hub, session: AsyncSession, actor: Actor) -> list[Household]:
    """Return the households of `actor` whose records the policy lets them read."""
    found = [await households.by_id(session, one) for one in sorted(actor.households)]
    return [
        household
        for household in found
        if household is not None
        and hub.policy.authorize(actor, "viewing.read", _records_of(household)).allowed
    ]


def _records_of(household: Household) -> Resource:
    return Resource("viewing", area=household.area, household=str(household.id))


async def _scope(hub: Hub, session: AsyncSession, actor: Actor) -> Scope:
    own = await _own(hub, session, actor)
    if own:
        return Scope(frozenset(h.id for h in own), tuple(h.area for h in own))
    # A resident without a household of their own: the shared cameras of where they live.
    held = [b.area for b in actor.bindings if b.role is Role.RESIDENT]
    return Scope(
        frozenset(),
        tuple(
            area
            for area in held
            if hub.policy.authorize(actor, "viewing.read", Resource("viewing", area=area)).allowed
        ),
    )


def _out(actor: Actor, family: Collection[UUID], row: Row) -> ViewingOut:
    record = row.record
    # Of the own home everything is told. A camera that has got a household since counts as it is.
    at_home = row.place_kind == "home"
    by_staff = record.role in _STAFF
    by_family = record.account_id == actor.id or record.account_id in family
    named = at_home or by_staff or by_family
    told = at_home or by_family or record.purpose in {"", "incident"}
    return ViewingOut(
        id=record.id,
        camera_id=record.camera_id,
        camera_name=row.camera_name,
        place_kind=row.place_kind,
        who=ViewerOut(display_name=row.viewer.display_name if named else "", role=record.role),
        own=record.account_id == actor.id
        or (record.household_id in actor.households and record.role == "household"),
        kind=record.kind,
        purpose=record.purpose,
        reference=record.reference if told else "",
        grant_id=record.grant_id,
        redacted=record.redacted,
        sound=record.sound,
        started_at=record.started_at,
        ended_at=record.ended_at,
        delayed=row.delayed,
    )
