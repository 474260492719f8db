"""Rotas, who is on duty, and hand-overs."""

from datetime import UTC, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from api.pages import Page
from core.errors import InvalidInputError
from governance.duty import repository, views
from governance.duty.models import Rota
from governance.duty.schemas import (
    DutyNow,
    HandOverCreate,
    HandOverOut,
    HandOverRefuse,
    OverrideIn,
    RotaCreate,
    RotaOut,
    RotaUpdate,
    SlotsPut,
)

router = APIRouter(tags=["duty"])

_FARTHEST = timedelta(days=366)


@router.get("/duty")
async def read_duty(
    hub: HubDep,
    actor: Annotated[Actor, permit("duty.read")],
    area: Annotated[
        str | None, Query(max_length=200, description="Default: the first of the own areas")
    ] = None,
    at: Annotated[AwareDatetime | None, Query(description="Default: now")] = None,
) -> DutyNow:
    """Say who is on duty in an area, by post, until when, and what gaps the next week has."""
    if area is None:
        area = hub.policy.areas(actor, "duty.read")[0]
    area = normalise_area(area)
    require(hub, actor, "duty.read", Resource("duty", area=area))
    now = hub.clock.now()
    if at is not None and abs(at - now) > _FARTHEST:
        raise InvalidInputError(
            "Who is on duty is known for a year before and after now.",
            remedy="Ask for a time within a year.",
            code="time-out-of-range",
        )
    when = (at or now).astimezone(UTC)
    async with hub.database.read() as session:
        return await views.describe_duty(session, area, when, hub.settings.site.zone)


@router.get("/rotas")
async def list_rotas(
    hub: HubDep,
    actor: Annotated[Actor, permit("duty.read")],
    area: Annotated[str | None, Query(max_length=200, description="Only in and below")] = None,
) -> Page[RotaOut]:
    """List the rotas of the own areas with slots, overrides, gaps and overlaps; one page."""
    areas = list(hub.policy.areas(actor, "duty.read"))
    if area is not None:
        wanted = normalise_area(area)
        require(hub, actor, "duty.read", Resource("duty", area=wanted))
        areas = [wanted]
    async with hub.database.read() as session:
        rows = await repository.rotas(session, areas)
        return Page(items=await _described(hub, session, rows))


@router.post("/rotas", status_code=201)
async def create_rota(
    body: RotaCreate, hub: HubDep, actor: Annotated[Actor, permit("duty.write")]
) -> RotaOut:
    """Make a rota without slots; it counts as soon as somebody is on it."""
    area = normalise_area(body.area)
    require(hub, actor, "duty.write", Resource("duty", area=area))
    async with hub.database.transaction() as session:
        row = await hub.governance.rotas.add(
            session, actor, area=area, post=body.post, name=body.name
        )
        return (await _described(hub, session, [row]))[0]


@router.patch("/rotas/{rota_id}")
async def update_rota(
    rota_id: UUID, body: RotaUpdate, hub: HubDep, actor: Annotated[Actor, permit("duty.write")]
) -> RotaOut:
    """Give a rota another name."""
    async with hub.database.transaction() as session:
        row = await _to_change(hub, session, actor, rota_id)
        await hub.governance.rotas.rename(session, actor, row, body.name)
        return (await _described(hub, session, [row]))[0]


@router.delete("/rotas/{rota_id}", status_code=204)
async def close_rota(
    rota_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("duty.write")]
) -> None:
    """Put a rota out of force: the rota above counts again, or everybody with the role."""
    async with hub.database.transaction() as session:
        row = await _to_change(hub, session, actor, rota_id)
        await hub.governance.rotas.close(session, actor, row)


@router.put("/rotas/{rota_id}/slots")
async def set_rota_slots(
    rota_id: UUID, body: SlotsPut, hub: HubDep, actor: Annotated[Actor, permit("duty.write")]
) -> RotaOut:
    """Write the whole week; gaps and overlaps are allowed and come back as warnings."""
    async with hub.database.transaction() as session:
        row = await _to_change(hub, session, actor, rota_id)
        await hub.governance.rotas.set_slots(session, actor, row, body.slots)
        return (await _described(hub, session, [row]))[0]


@router.post("/rotas/{rota_id}/overrides", status_code=201)
async def create_rota_override(
    rota_id: UUID, body: OverrideIn, hub: HubDep, actor: Annotated[Actor, permit("duty.write")]
) -> RotaOut:
    """Put somebody on duty for once, instead of somebody or as well."""
    async with hub.database.transaction() as session:
        row = await _to_change(hub, session, actor, rota_id)
        await hub.governance.rotas.add_override(session, actor, row, body)
        return (await _described(hub, session, [row]))[0]


@router.delete("/rotas/{rota_id}/overrides/{override_id}")
async def delete_rota_override(
    rota_id: UUID,
    override_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("duty.write")],
) -> RotaOut:
    """Let the rota count again."""
    async with hub.database.transaction() as session:
        row = await _to_change(hub, session, actor, rota_id)
        await hub.governance.rotas.remove_override(session, actor, row, override_id)
        return (await _described(hub, session, [row]))[0]


@router.post("/rotas/{rota_id}/hand-overs", status_code=201)
async def offer_hand_over(
    rota_id: UUID,
    body: HandOverCreate,
    hub: HubDep,
    actor: Annotated[Actor, permit("duty.hand_over")],
) -> HandOverOut:
    """Offer a hand-over, as the one who goes or the one who comes, with what is open now.

    Both are on duty until both have confirmed it (`give` and `take`) or one has refused.
    """
    async with hub.database.transaction() as session:
        rota = await hub.governance.rotas.locked(session, rota_id)
        require(hub, actor, "duty.hand_over", _resource(rota))
        assert actor.id is not None
        row = await hub.governance.hand_overs.offer(
            session,
            actor,
            rota,
            from_id=body.from_id or actor.id,
            to_id=body.to_id,
            note=body.note,
        )
        return await views.describe_hand_over(session, rota, row, hub.clock.now())


@router.post("/hand-overs/{hand_over_id}/give")
async def give_hand_over(
    hand_over_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("duty.hand_over")]
) -> HandOverOut:
    """Confirm, as the one who goes, that it was handed over."""
    async with hub.database.transaction() as session:
        row = await hub.governance.hand_overs.locked(session, hand_over_id)
        rota = await _rota_of(hub, session, actor, row.rota_id)
        await hub.governance.hand_overs.give(session, actor, rota, row)
        return await views.describe_hand_over(session, rota, row, hub.clock.now())


@router.post("/hand-overs/{hand_over_id}/take")
async def take_hand_over(
    hand_over_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("duty.hand_over")]
) -> HandOverOut:
    """Confirm, as the one who comes, that it was taken over."""
    async with hub.database.transaction() as session:
        row = await hub.governance.hand_overs.locked(session, hand_over_id)
        rota = await _rota_of(hub, session, actor, row.rota_id)
        await hub.governance.hand_overs.take(session, actor, rota, row)
        return await views.describe_hand_over(session, rota, row, hub.clock.now())


@router.post("/hand-overs/{hand_over_id}/refuse")
async def refuse_hand_over(
    hand_over_id: UUID,
    body: HandOverRefuse,
    hub: HubDep,
    actor: Annotated[Actor, permit("duty.hand_over")],
) -> HandOverOut:
    """Refuse a hand-over with a reason, as either side; the rota counts on."""
    async with hub.database.transaction() as session:
        row = await hub.governance.hand_overs.locked(session, hand_over_id)
        rota = await _rota_of(hub, session, actor, row.rota_id)
        await hub.governance.hand_overs.refuse(session, actor, rota, row, body.reason)
        return await views.describe_hand_over(session, rota, row, hub.clock.now())


async def _to_change(hub: Hub, session: AsyncSession, actor: Actor, rota_id: UUID) -> Rota:
    row = await hub.governance.rotas.locked(session, rota_id)
    require(hub, actor, "duty.write", _resource(row))
    return row


async def _rota_of(hub: Hub, session: AsyncSession, actor: Actor, rota_id: UUID) -> Rota:
    rota = await hub.governance.rotas.get(session, rota_id)
    require(hub, actor, "duty.hand_over", _resource(rota))
    return rota


async def _described(hub: Hub, session: AsyncSession, rows: list[Rota]) -> list[RotaOut]:
    return await views.describe_rotas(session, rows, hub.clock.now(), hub.settings.site.zone)


def _resource(row: Rota) -> Resource:
    return Resource("duty", id=str(row.id), area=row.area)
