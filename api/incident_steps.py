"""The steps of the closed loop: who does what next, and the ways back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as account_rows
from access.households.membership import with_households
from access.policy.areas import covers
from access.policy.types import Actor
from api.door import permit, require
from api.hub import Hub, HubDep
from api.incidents import mine
from core.errors import InvalidInputError, NotFoundError
from governance.areas import repository as area_rows
from governance.incidents import repository as incident_rows
from governance.incidents import views
from governance.incidents.models import Incident
from governance.incidents.schemas import (
    DispatchRequest,
    IncidentOut,
    MergeRequest,
    ProgressRequest,
    ReasonRequest,
    ResumeRequest,
    SuspendRequest,
    TransferRequest,
    TriageRequest,
    VerifyRequest,
    WhistleRequest,
)
from governance.incidents.steps import Whom
from governance.outbox import service as outbox

router = APIRouter(prefix="/incidents/{incident_id}", tags=["incidents"])


@router.post("/triage")
async def triage_incident(
    incident_id: UUID,
    body: TriageRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.triage")],
) -> IncidentOut:
    """Say how severe it is and what it is about; that acknowledges it too."""
    async with _step(hub, actor, incident_id, "incident.triage", "triage") as at:
        await hub.governance.incidents.triage(
            *at.args,
            actor,
            body.version,
            note=body.note,
            severity=body.severity,
            headline=body.headline,
        )
    return at.answer


@router.post("/dispatch")
async def dispatch_incident(
    incident_id: UUID,
    body: DispatchRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.dispatch")],
) -> IncidentOut:
    """Give it to a department, a person or both, and tell them; that acknowledges it too."""
    async with _step(hub, actor, incident_id, "incident.dispatch", "dispatch") as at:
        department = await _department(at, body.department_id)
        assignee = await _assignee(hub, at, body.assignee_id)
        await hub.governance.incidents.dispatch(
            *at.args,
            actor,
            body.version,
            department=department,
            assignee=assignee,
            note=body.note,
        )
    return at.answer


@router.post("/transfer")
async def transfer_incident(
    incident_id: UUID,
    body: TransferRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.transfer")],
) -> IncidentOut:
    """Hand it to another department, with a reason."""
    async with _step(hub, actor, incident_id, "incident.transfer", "transfer") as at:
        department = await _department(at, body.department_id)
        assert department is not None
        await hub.governance.incidents.transfer(
            *at.args, actor, body.version, department=department, reason=body.reason
        )
    return at.answer


@router.post("/send-back")
async def send_back_incident(
    incident_id: UUID,
    body: ReasonRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.send_back")],
) -> IncidentOut:
    """Give it back with a reason. A third time is refused, and the level above is called."""
    async with _step(hub, actor, incident_id, "incident.send_back", "send_back") as at:
        refusal = await hub.governance.incidents.send_back(
            *at.args, actor, body.version, body.reason
        )
    # The whistle is committed although the step is refused.
    if refusal is not None:
        raise refusal
    return at.answer


@router.post("/verify")
async def verify_incident(
    incident_id: UUID,
    body: VerifyRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.close")],
) -> IncidentOut:
    """Check the feedback: close the incident, or give it back to its handler."""
    change = "verify" if body.passed else "returned"
    async with _step(hub, actor, incident_id, "incident.close", change) as at:
        await hub.governance.incidents.verify(
            *at.args,
            actor,
            body.version,
            passed=body.passed,
            note=body.note,
            resolution=body.resolution,
        )
    hub.guards.look_now()
    return at.answer


@router.post("/suspend")
async def suspend_incident(
    incident_id: UUID,
    body: SuspendRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.suspend")],
) -> IncidentOut:
    """Let it rest until a moment at which it goes on by itself and rings."""
    async with _step(hub, actor, incident_id, "incident.suspend", "suspend") as at:
        await hub.governance.incidents.suspend(
            *at.args, actor, body.version, until=body.until, reason=body.reason
        )
    return at.answer


@router.post("/resume")
async def resume_incident(
    incident_id: UUID,
    body: ResumeRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.resume")],
) -> IncidentOut:
    """Go on with it before its time."""
    async with _step(hub, actor, incident_id, "incident.resume", "resume") as at:
        await hub.governance.incidents.resume(*at.args, actor, body.version)
    return at.answer


@router.post("/reopen")
async def reopen_incident(
    incident_id: UUID,
    body: ReasonRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.reopen")],
) -> IncidentOut:
    """Go on with what was closed too early."""
    async with _step(hub, actor, incident_id, "incident.reopen", "reopen") as at:
        await hub.governance.incidents.reopen(*at.args, actor, body.version, body.reason)
    return at.answer


@router.post("/reject")
async def reject_incident(
    incident_id: UUID,
    body: ReasonRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.reject")],
) -> IncidentOut:
    """End what is nobody's work here; never the alarm of a household."""
    async with _step(hub, actor, incident_id, "incident.reject", "reject") as at:
        await hub.governance.incidents.reject(*at.args, actor, body.version, body.reason)
    hub.guards.look_now()
    return at.answer


@router.post("/merge")
async def merge_incident(
    incident_id: UUID,
    body: MergeRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.merge")],
) -> IncidentOut:
    """Let it be dealt with as part of another one, which the same person may merge, too."""
    async with hub.database.transaction() as session:
        incidents = hub.governance.incidents
        # In the order of their ids, as everybody locks them.
        await outbox.serialise(session)
        pair = {}
        for one in sorted({incident_id, body.into_id}):
            pair[one] = await incident_rows.by_id_locked(session, one)
        incident, into = pair[incident_id], pair[body.into_id]
        if incident is None:
            raise NotFoundError(
                "There is no such incident.", remedy="It may lie in an area you cannot see."
            )
        require(hub, actor, "incident.merge", incident.resource())
        if into is None or not _may(hub, actor, "incident.merge", into):
            # Whether there is one that the actor may not merge is not told.
            raise InvalidInputError(
                "There is no such incident to merge it into.",
                remedy="Choose one of your own areas.",
                code="unknown-incident",
            )
        await incidents.merge(session, incident, actor, body.version, into=into, reason=body.reason)
        await incidents.publish(session, into, "merge")
        await incidents.publish(session, incident, "merge")
        return (await views.describe(session, [incident]))[0]


@router.post("/unmerge")
async def unmerge_incident(
    incident_id: UUID,
    body: ReasonRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.merge")],
) -> IncidentOut:
    """Let it be an incident of its own again."""
    async with _step(hub, actor, incident_id, "incident.merge", "unmerge") as at:
        incidents = hub.governance.incidents
        into = await incidents.unmerge(*at.args, actor, body.version, body.reason)
        if into is not None:
            await incidents.publish(at.session, into, "unmerge")
    return at.answer


@router.post("/whistle")
async def whistle_for_incident(
    incident_id: UUID,
    body: WhistleRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.whistle")],
) -> IncidentOut:
    """Call the level above; those who have it keep it."""
    async with _step(hub, actor, incident_id, "incident.whistle", "whistle") as at:
        await hub.governance.incidents.whistle(*at.args, actor, body.reason)
    return at.answer


@router.post("/progress")
async def tell_incident_progress(
    incident_id: UUID,
    body: ProgressRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.progress")],
) -> IncidentOut:
    """Say that you are on the way, there, or done; that acknowledges it too."""
    async with _step(hub, actor, incident_id, "incident.progress", "progress") as at:
        await hub.governance.incidents.progress(*at.args, actor, body.progress, body.minutes)
    return at.answer


class _At:
    """One incident in the transaction of one step."""

    answer: IncidentOut

    def __init__(self, session: AsyncSession, incident: Incident) -> None:
        self.session = session
        self.incident = incident

    @property
    def args(self) -> tuple[AsyncSession, Incident]:
        return self.session, self.incident


@asynccontextmanager
async def _step(
    hub: Hub, actor: Actor, incident_id: UUID, action: str, change: str
) -> AsyncIterator[_At]:
    """Lock the incident, ask the door, and publish what the block made of it, in one transaction.

    The answer is there when the block has ended, which is after the commit.
    """
    async with hub.database.transaction() as session:
        at = _At(session, await mine(hub, session, actor, incident_id, action))
        yield at
        await hub.governance.incidents.publish(session, at.incident, change)
        at.answer = (await views.describe(session, [at.incident]))[0]


async def _department(at: _At, department_id: UUID | None) -> Whom | None:
    """Return a department that works where the incident is.

    Raises:
        InvalidInputError: there is none, it is closed, or it works elsewhere.
    """
    if department_id is None:
        return None
    row = await area_rows.department(at.session, department_id)
    if row is None or row.closed_at is not None:
        raise InvalidInputError(
            "There is no such department.",
            remedy="Choose one of the list.",
            code="unknown-department",
        )
    if not covers(row.area, at.incident.area):
        raise InvalidInputError(
            f"{row.name} does not work where incident {at.incident.number} is.",
            remedy="Choose a department of this area or of one above.",
            code="department-elsewhere",
        )
    return Whom(row.id, row.name)


async def _assignee(hub: Hub, at: _At, account_id: UUID | None) -> Whom | None:
    """Return an account that may handle the incident.

    Raises:
        InvalidInputError: there is none, it is switched off, or it has no right to.
    """
    if account_id is None:
        return None
    account = await account_rows.by_id(at.session, account_id)
    if account is None or not account.active:
        raise InvalidInputError(
            "There is no such person.", remedy="Choose one of the list.", code="unknown-assignee"
        )
    whom = await with_households(at.session, hub.accounts.actor(account))
    if not _may(hub, whom, "incident.handle", at.incident):
        raise InvalidInputError(
            f"{account.display_name} may not handle incident {at.incident.number}.",
            remedy="Choose somebody who works in its area.",
            code="assignee-cannot-handle",
        )
    return Whom(account.id, account.display_name)


def _may(hub: Hub, actor: Actor, action: str, incident: Incident) -> bool:
    return hub.policy.authorize(actor, action, incident.resource()).allowed
