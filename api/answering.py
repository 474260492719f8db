"""Answers to alerts, whichever way they come: by a link, a reply, or a key of a telephone."""

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as account_rows
from access.households.membership import with_households
from access.policy.types import Actor
from api.door import own_account_first, require
from api.hub import Hub
from core.errors import ConflictError, ForbiddenError
from governance.contacts import repository as contacts
from governance.deliveries.answering import Answer, incident_of
from governance.deliveries.models import Delivery
from governance.incidents.errors import AlreadyAcknowledgedError
from governance.incidents.models import Incident


async def take_answer(hub: Hub, session: AsyncSession, row: Delivery, answer: Answer) -> Incident:
    """Do what the recipient of `row` answers, with the rights it has now.

    Raises:
        ConflictError: code `answer-too-late`: the incident is over.
        ForbiddenError: the account, or the contact, may not do this any more.
        NotFoundError: the account may not know of the incident any more.
    """
    found = await incident_of(session, row)
    if found is None:
        raise _too_late()
    incident = await hub.governance.incidents.locked(session, found.id)
    if not hub.answers.may_answer(incident):
        raise _too_late()
    if row.recipient_kind == "contact":
        contact = await contacts.by_id(session, row.recipient_id)
        if contact is None or not contacts.agrees(contact):
            raise ForbiddenError(
                "You are not a contact of this household any more.",
                remedy="Call the household, or the emergency number.",
                code="not-a-contact",
            )
        await hub.answers.note(session, incident, row, answer)
        return incident
    actor = await _account(hub, session, row)
    await _step(hub, session, incident, actor, answer)
    await hub.answers.note(session, incident, row, answer)
    return incident


async def may_look(hub: Hub, session: AsyncSession, row: Delivery) -> bool:
    """Say whether the recipient of `row` may still be shown what its link is about."""
    if row.recipient_kind == "contact":
        contact = await contacts.by_id(session, row.recipient_id)
        return contact is not None and contacts.agrees(contact)
    incident = await incident_of(session, row)
    account = await account_rows.by_id(session, row.recipient_id)
    if incident is None or account is None or not account.active:
        return False
    actor = await with_households(session, hub.accounts.actor(account))
    return hub.policy.authorize(actor, "incident.read", incident.resource()).allowed


async def _account(hub: Hub, session: AsyncSession, row: Delivery) -> Actor:
    account = await hub.accounts.get(session, row.recipient_id)
    if not account.active:
        raise ForbiddenError(
            "Your account is switched off.", remedy="Ask an administrator.", code="account-closed"
        )
    reason = hub.accounts.may_only(account)
    if reason is not None:
        raise own_account_first(reason)
    return await with_households(session, hub.accounts.actor(account))


async def _step(
    hub: Hub, session: AsyncSession, incident: Incident, actor: Actor, answer: Answer
) -> None:
    """Acknowledge or set out, as the same buttons of the console do."""
    incidents = hub.governance.incidents
    if answer.word == "coming":
        require(hub, actor, "incident.progress", incident.resource())
        await incidents.progress(session, incident, actor, "going", answer.minutes)
        await incidents.publish(session, incident, "progress")
        return
    require(hub, actor, "incident.acknowledge", incident.resource())
    if answer.word == "cannot":
        return
    try:
        if await incidents.acknowledge(session, incident, actor, incident.version):
            await incidents.publish(session, incident, "acknowledge")
    except AlreadyAcknowledgedError:
        # Somebody was faster: that both have seen it is no mistake.
        return


def _too_late() -> ConflictError:
    return ConflictError(
        "It is over; nothing is left to answer.",
        remedy="Nothing needs to be done.",
        code="answer-too-late",
    )
