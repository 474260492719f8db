"""How the own account is told: numbers, addresses, and browsers that are pushed to."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from access.policy.types import Actor
from api.door import permit
from api.hub import HubDep
from core.errors import ForbiddenError, InvalidInputError
from governance.deliveries.schemas import (
    CodeBody,
    ContactPointCreate,
    ContactPointOut,
    ContactPointsOut,
    PushCreate,
    PushDeviceOut,
    PushOut,
    PushRemove,
)

router = APIRouter(prefix="/account", tags=["own account"])

Self = Annotated[Actor, permit("account.self")]


@router.get("/contact-points")
async def list_own_contact_points(hub: HubDep, actor: Self) -> ContactPointsOut:
    """List the own numbers and addresses, masked, and what codes can be sent through."""
    async with hub.database.read() as session:
        return ContactPointsOut(
            items=await hub.own_ways.points(session, _id(actor)),
            channels=await hub.own_ways.channels(session),
        )


@router.post("/contact-points", status_code=201)
async def add_own_contact_point(
    body: ContactPointCreate, hub: HubDep, actor: Self
) -> ContactPointOut:
    """Add a number or address; a code is sent to it, and it counts once that is given back."""
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, _id(actor))
        row = await hub.own_ways.add_point(session, account, body)
        return hub.own_ways.describe(row)


@router.post("/contact-points/{point_id}/verify")
async def verify_own_contact_point(
    point_id: UUID, body: CodeBody, hub: HubDep, actor: Self
) -> ContactPointOut:
    """Give back the code that arrived."""
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, _id(actor))
        row, right = await hub.own_ways.verify(session, actor, account, point_id, body.code)
        answer = hub.own_ways.describe(row)
    # Only now: the try has been counted.
    if not right:
        raise InvalidInputError(
            "This is not the code that was sent.",
            remedy="Look again; after five tries a new code is needed.",
            code="wrong-contact-code",
        )
    return answer


@router.delete("/contact-points/{point_id}", status_code=204)
async def remove_own_contact_point(point_id: UUID, hub: HubDep, actor: Self) -> None:
    """Remove a number or address."""
    async with hub.database.transaction() as session:
        account = await hub.accounts.get_for_change(session, _id(actor))
        await hub.own_ways.remove_point(session, actor, account, point_id)


@router.get("/push")
async def list_own_push(hub: HubDep, actor: Self) -> PushOut:
    """Return what a browser subscribes with, and the browsers that have."""
    async with hub.database.read() as session:
        rows = await hub.own_ways.subscriptions(session, account_id=_id(actor))
    return PushOut(
        key=hub.own_ways.push_key, items=[PushDeviceOut.model_validate(row) for row in rows]
    )


@router.post("/push", status_code=201)
async def add_own_push(
    body: PushCreate, request: Request, hub: HubDep, actor: Self
) -> PushDeviceOut:
    """Push to this browser from now on."""
    async with hub.database.transaction() as session:
        await hub.accounts.get_for_change(session, _id(actor))
        row = await hub.own_ways.subscribe(
            session,
            body,
            account_id=_id(actor),
            user_agent=request.headers.get("User-Agent", ""),
            actor=actor,
        )
        return PushDeviceOut.model_validate(row)


@router.delete("/push", status_code=204)
async def remove_own_push(body: PushRemove, hub: HubDep, actor: Self) -> None:
    """Push to this browser no more."""
    async with hub.database.transaction() as session:
        await hub.accounts.get_for_change(session, _id(actor))
        await hub.own_ways.unsubscribe(session, body.endpoint, account_id=_id(actor), actor=actor)


def _id(actor: Actor) -> UUID:
    if actor.id is None or actor.kind != "account":
        raise ForbiddenError("Only accounts of people are told of anything.")
    return actor.id
