"""A household's contacts, and the page by which each of them agrees or withdraws."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from sqlalchemy.ext.asyncio import AsyncSession

from access.households.models import Household
from access.households.service import resource_of
from access.policy.types import Actor
from api.door import permit, require
from api.hub import Hub, HubDep
from governance.contacts.schemas import (
    ConsentBody,
    ConsentPageOut,
    ContactCreate,
    ContactOut,
    ContactsOut,
)

router = APIRouter(tags=["contacts"])

Alarm = Annotated[Actor, permit("household.alarm")]


@router.get("/households/{household_id}/contacts")
async def list_household_contacts(household_id: UUID, hub: HubDep, actor: Alarm) -> ContactsOut:
    """List who is told of the household's alarms, and who has been asked."""
    async with hub.database.read() as session:
        household = await hub.households.get(session, household_id)
        require(hub, actor, "household.alarm", resource_of(household))
        return ContactsOut(
            items=await hub.contacts.of_household(session, household_id),
            channels=await hub.own_ways.channels(session),
        )


@router.post("/households/{household_id}/contacts", status_code=201)
async def add_household_contact(
    household_id: UUID, body: ContactCreate, hub: HubDep, actor: Alarm
) -> ContactOut:
    """Name a neighbour or relative, who is asked once whether to be told."""
    async with hub.database.transaction() as session:
        household = await _locked(hub, session, actor, household_id)
        return await hub.contacts.add(session, actor, household, body)


@router.delete("/households/{household_id}/contacts/{contact_id}", status_code=204)
async def remove_household_contact(
    household_id: UUID, contact_id: UUID, hub: HubDep, actor: Alarm
) -> None:
    """Remove a contact, who is told nothing more."""
    async with hub.database.transaction() as session:
        household = await _locked(hub, session, actor, household_id)
        await hub.contacts.remove(session, actor, household, contact_id)


@router.get("/contact-consents/{token}")
async def read_contact_consent(token: str, request: Request, hub: HubDep) -> ConsentPageOut:
    """Show what a contact is asked. Looking changes nothing."""
    async with hub.database.read() as session:
        page = await hub.contacts.page(session, token[:200])
    if page is None:
        raise hub.link_throttle.missed(request)
    return page


@router.post("/contact-consents/{token}")
async def give_contact_consent(
    token: str, body: ConsentBody, request: Request, hub: HubDep
) -> ConsentPageOut:
    """Agree to be told of the household's alarms, or withdraw."""
    async with hub.database.transaction() as session:
        page = await hub.contacts.decide(session, token[:200], agree=body.agree)
    if page is None:
        raise hub.link_throttle.missed(request)
    return page


async def _locked(hub: Hub, session: AsyncSession, actor: Actor, household_id: UUID) -> Household:
    household = await hub.households.locked(session, household_id)
    require(hub, actor, "household.alarm", resource_of(household))
    return household
