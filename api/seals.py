"""Seals: asked for by one person, approved by another, lifted by either."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor, Resource
from access.seals.models import Seal
from access.seals.schemas import SealCreate, SealOut
from access.seals.service import SealedIncident
from api.door import permit, require
from api.hub import Hub, HubDep
from api.pages import Page, Paging

router = APIRouter(tags=["seals"])


@router.get("/seals")
async def list_seals(
    page: Paging, hub: HubDep, actor: Annotated[Actor, permit("seal.list")]
) -> Page[SealOut]:
    """List the seals of the own areas, newest first."""
    before = page.after(UUID)
    async with hub.database.read() as session:
        rows = await hub.seals.page(
            session,
            areas=hub.policy.areas(actor, "seal.list"),
            before=before[0] if before else None,
            limit=page.fetch,
        )
        shown = rows[: page.limit]
        items = [out for seal in shown for out in await _out(hub, session, actor, seal)]
    return page.page(rows, lambda row: (row.id,), items)


@router.post("/seals", status_code=201)
async def request_seal(
    body: SealCreate, hub: HubDep, actor: Annotated[Actor, permit("seal.request")]
) -> SealOut:
    """Ask for a seal of an incident. Nothing is delayed before a second person approves it."""
    async with hub.database.transaction() as session:
        incident = await hub.governance.incidents.get(session, body.incident_id)
        require(hub, actor, "incident.read", incident.resource())
        require(hub, actor, "seal.request", Resource("seal", area=incident.area))
        found = SealedIncident(incident.id, incident.number, incident.area)
        seal = await hub.seals.request(session, actor, body, found)
        return (await _out(hub, session, actor, seal))[0]


@router.post("/seals/{seal_id}/approve")
async def approve_seal(
    seal_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("seal.approve")]
) -> SealOut:
    """Put somebody else's seal into force."""
    async with hub.database.transaction() as session:
        seal = await hub.seals.get(session, seal_id)
        require(hub, actor, "seal.approve", seal.resource())
        await hub.seals.approve(session, actor, seal)
        return (await _out(hub, session, actor, seal))[0]


@router.post("/seals/{seal_id}/lift")
async def lift_seal(
    seal_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("seal.approve")]
) -> SealOut:
    """End a seal, or take back the request for one."""
    async with hub.database.transaction() as session:
        seal = await hub.seals.get(session, seal_id)
        require(hub, actor, "seal.approve", seal.resource())
        await hub.seals.lift(session, actor, seal)
        return (await _out(hub, session, actor, seal))[0]


async def _out(hub: Hub, session: AsyncSession, actor: Actor, seal: Seal) -> list[SealOut]:
    may = hub.policy.authorize(actor, "seal.approve", seal.resource()).allowed
    return await hub.seals.describe(session, [seal], actor, may=may)
