"""Consent: given, listed and withdrawn by those who live there."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.models import ConsentGrant
from access.consent.schemas import GrantCreate, GrantOut
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import Hub, HubDep
from api.pages import Page, Paging
from api.store_problems import explain
from camera_hub.devices import homes
from core.errors import NotFoundError

router = APIRouter(tags=["grants"])


@router.get("/grants")
async def list_grants(
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("grant.list")],
    camera_id: UUID | None = None,
    state: Literal["live", "ended", "all"] = "live",
) -> Page[GrantOut]:
    """List the consents of the own household, and those given to oneself, newest first."""
    before = page.after(UUID)
    async with hub.database.read() as session:
        rows = await hub.consent.page(
            session,
            actor,
            camera_id=camera_id,
            state=state,
            before=before[0] if before else None,
            limit=page.fetch,
        )
        items = await describe_grants(hub, session, rows[: page.limit])
    return page.page(rows, lambda row: (row.id,), items)


@router.post("/grants", status_code=201)
async def give_grant(
    body: GrantCreate, hub: HubDep, actor: Annotated[Actor, permit("grant.give")]
) -> GrantOut:
    """Consent: share a home camera with somebody, or agree that an own alarm opens it."""
    async with hub.database.transaction() as session:
        camera = (await homes.watched(session, [body.camera_id])).get(body.camera_id)
        # Whoever does not live there is not told whether there is such a camera.
        if (
            camera is None
            or camera.place_kind != "home"
            or camera.household_id is None
            or camera.household_id not in actor.households
        ):
            raise NotFoundError(
                "Your household has no such camera.", remedy="Reload the page of your home."
            )
        household = str(camera.household_id)
        place = Resource("grant", area=camera.area, place_kind="home", household=household)
        require(hub, actor, "grant.give", place)
        row = await hub.consent.give(session, actor, body, camera.household_id)
        return (await describe_grants(hub, session, [row]))[0]


@router.post("/grants/{grant_id}/withdraw")
async def withdraw_grant(
    grant_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("grant.withdraw")]
) -> GrantOut:
    """Withdraw a consent. What is being watched under it ends at once; again changes nothing.

    It ends before that is written down: a full disk or a locked store keeps no view open.
    """
    async with hub.database.read() as session:
        row = await hub.consent.get(session, grant_id)
        require(hub, actor, "grant.withdraw", await hub.consent.resource_of(session, row))
    hub.consent.withhold(grant_id)
    hub.guards.look_now()
    try:
        async with hub.database.transaction() as session:
            row = await hub.consent.withdraw(session, actor, grant_id)
            answer = (await describe_grants(hub, session, [row]))[0]
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        found = explain(error)
        if found is None:
            raise
        raise type(found)(
            f"Nobody sees anything by this consent any more, but that is not written down yet: "
            f"{found.message}",
            remedy="Withdraw it again: it would count once more after a restart of the hub.",
            code="withdrawal-not-recorded",
        ) from error
    hub.consent.withdrawn(grant_id)
    # Other processes ask within half a second; this one may have begun a view meanwhile.
    hub.guards.look_now()
    return answer


async def describe_grants(
    hub: Hub, session: AsyncSession, rows: list[ConsentGrant]
) -> list[GrantOut]:
    """Return `rows` for the wire, with the names of their cameras."""
    names = await homes.names(session, {row.camera_id for row in rows})
    return await hub.consent.describe(session, rows, names)
