"""Households: made and closed by administrators, filled by those who live there."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.households.models import Household
from access.households.schemas import HouseholdCreate, HouseholdOut, MemberAdd
from access.households.service import resource_of
from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from api.pages import Page, Paging
from camera_hub.devices import homes
from core.errors import ForbiddenError
from governance.areas.service import check as check_area
from governance.outbox import service as outbox

router = APIRouter(tags=["households"])


@router.get("/households")
async def list_households(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("household.list")]
) -> Page[HouseholdOut]:
    """List the households of the own areas in the order they were made."""
    after = page.after(UUID)
    async with hub.database.read() as session:
        rows = await hub.households.page(
            session,
            areas=hub.policy.areas(actor, "household.list"),
            after=after[0] if after else None,
            limit=page.fetch,
        )
        items = await _describe(hub, session, rows[: page.limit])
    return page.page(rows, lambda row: (row.id,), items)


@router.post("/households", status_code=201)
async def create_household(
    body: HouseholdCreate, hub: HubDep, actor: Annotated[Actor, permit("household.create")]
) -> HouseholdOut:
    """Make a household without members."""
    area = normalise_area(body.area)
    require(hub, actor, "household.create", Resource("household", area=area))
    async with hub.database.transaction() as session:
        await check_area(session, area)
        row = await hub.households.create(session, actor, name=body.name, area=area)
        return (await _describe(hub, session, [row]))[0]


@router.post("/households/{household_id}/members")
async def add_household_member(
    household_id: UUID,
    body: MemberAdd,
    hub: HubDep,
    actor: Annotated[Actor, permit("household.update")],
) -> HouseholdOut:
    """Let somebody in: the first by an administrator, later ones by those who live there."""
    async with hub.database.transaction() as session:
        row = await _locked(hub, session, actor, household_id, "household.update")
        cameras = (await homes.count_by_household(session, [row.id])).get(row.id, 0)
        await hub.households.add_member(
            session, actor, row, username=body.username, cameras=cameras
        )
        return (await _describe(hub, session, [row]))[0]


@router.delete("/households/{household_id}/members/{account_id}")
async def remove_household_member(
    household_id: UUID,
    account_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("household.update")],
) -> HouseholdOut:
    """Take somebody out, or leave; running views of the home end with it."""
    async with hub.database.transaction() as session:
        row = await _locked(hub, session, actor, household_id, "household.update")
        if household_id not in actor.households:
            raise ForbiddenError(
                "Who lives in a household is for those who live there.",
                remedy="If they have moved out, close the household.",
                code="not-of-household",
            )
        cameras = (await homes.count_by_household(session, [row.id])).get(row.id, 0)
        await hub.households.remove_member(session, actor, row, account_id, cameras=cameras)
        answer = (await _describe(hub, session, [row]))[0]
    hub.guards.look_now()
    return answer


@router.post("/households/{household_id}/close")
async def close_household(
    household_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("household.close")]
) -> HouseholdOut:
    """Say that they have moved out: cameras go off, passwords are forgotten, consent ends."""
    async with hub.database.transaction() as session:
        await outbox.serialise(session)
        row = await _locked(hub, session, actor, household_id, "household.close")
        await move_out(hub, session, actor, row)
        answer = (await _describe(hub, session, [row]))[0]
    hub.guards.look_now()
    return answer


async def move_out(hub: Hub, session: AsyncSession, actor: Actor | None, row: Household) -> None:
    """Close a household, which is locked, and all that hangs on it, in one transaction.

    `outbox.serialise` has been called. A second time changes nothing.
    """
    if row.closed_at is not None:
        return
    cameras = await homes.shut_down(session, row.id)
    for camera in cameras:
        hub.devices.board.forget(camera.id)
        await outbox.append(
            session,
            type="camera.changed",
            area=camera.area,
            payload={"camera_id": str(camera.id)},
            at=hub.clock.now(),
            camera_id=camera.id,
        )
    await hub.alarm_devices.end_of_household(session, actor, row)
    await hub.consent.end_of_household(session, actor, row.id)
    await hub.households.close(session, actor, row, cameras=len(cameras))


async def _locked(
    hub: Hub, session: AsyncSession, actor: Actor, household_id: UUID, action: str
) -> Household:
    """Return the household, locked, if `actor` may do `action` to it."""
    row = await hub.households.locked(session, household_id)
    require(hub, actor, action, resource_of(row))
    return row


async def _describe(hub: Hub, session: AsyncSession, rows: list[Household]) -> list[HouseholdOut]:
    counts = await homes.count_by_household(session, [row.id for row in rows])
    return await hub.households.describe(session, rows, counts)
