"""Incidents: the queue, one incident, its pictures, and the steps that people take."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from api.door import permit, require
from api.hub import Hub, HubDep
from api.looking import Look, check_covered, may_look_at_incident, record
from api.pages import Page, Paging
from camera_hub.devices import homes
from core.errors import NotFoundError
from governance.attachments import repository as attachment_rows
from governance.incidents import repository, views
from governance.incidents.kinds import ALARMS
from governance.incidents.models import Incident
from governance.incidents.repository import Filter, Position
from governance.incidents.schemas import (
    AcknowledgeRequest,
    CloseRequest,
    FeedbackRequest,
    HandleRequest,
    IncidentDetailOut,
    IncidentOut,
    Kind,
    NoteRequest,
    Severity,
    StateName,
)
from governance.signals import repository as signal_rows
from governance.signals.schemas import SignalOut

router = APIRouter(tags=["incidents"])


@router.get("/incidents")
async def list_incidents(
    *,
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.list")],
    state: Literal["open", "closed", "all"] = "open",
    severity: Severity | None = None,
    camera_id: UUID | None = None,
    kind: Kind | Literal["alarms"] | None = None,
    step: StateName | None = None,
    whose: Literal["mine", "department"] | None = None,
) -> Page[IncidentOut]:
    """List the incidents of the own areas: open ones most severe first, others newest first.

    `mine`: assigned to the caller, handled or acknowledged by the caller; `department`: given to a
    department that the caller belongs to; kind `alarms`: whatever a household pressed.
    """
    wanted = Filter(
        areas=hub.policy.areas(actor, "incident.list"),
        state=state,
        severity=severity,
        camera_id=camera_id,
        kinds=sorted(ALARMS) if kind == "alarms" else [kind] if kind else [],
        step=step,
        person_id=actor.id if whose == "mine" else None,
        member_id=actor.id if whose == "department" else None,
    )
    after = None
    if state == "open":
        if values := page.after(int, datetime, UUID):
            after = Position(*values)
    elif values := page.after(datetime, UUID):
        after = Position(0, *values)
    async with hub.database.read() as session:
        rows = await repository.page(session, wanted, after=after, limit=page.fetch)
        items = await views.describe(session, rows[: page.limit])

    def key(row: Incident) -> tuple[object, ...]:
        ranked = (row.severity_rank,) if state == "open" else ()
        return (*ranked, row.opened_at, row.id)

    return page.page(rows, key, items)


@router.get("/incidents/{incident_id}")
async def read_incident(
    incident_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("incident.read")]
) -> IncidentDetailOut:
    """Return one incident with its history and its pictures."""
    async with hub.database.read() as session:
        incident = await visible(hub, session, actor, incident_id)
        return await views.describe_fully(session, incident)


@router.get("/incidents/{incident_id}/signals")
async def list_incident_signals(
    incident_id: UUID,
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.read")],
) -> Page[SignalOut]:
    """List the signals of an incident, oldest first; pictures by their SHA-256."""
    after = page.after(UUID)
    async with hub.database.read() as session:
        await visible(hub, session, actor, incident_id)
        rows = await signal_rows.of_incident(
            session, incident_id, after=after[0] if after else None, limit=page.fetch
        )
    items = [
        SignalOut(
            id=row.event_id,
            source=row.source,
            type=row.type,
            phase=row.phase,
            occurred_at=row.occurred_at,
            received_at=row.received_at,
            joined=row.joined,
            data=row.payload["data"],
        )
        for row in rows
    ]
    return page.page(rows, lambda row: (row.id,), items)


@router.get(
    "/incidents/{incident_id}/attachments/{attachment_id}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}},
)
async def read_incident_picture(
    incident_id: UUID,
    attachment_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.image")],
) -> Response:
    """Return a picture of an incident. Who saw a camera's picture is written down first.

    That of a home camera is shown to its household, and to others under a live grant only.
    """
    async with hub.database.read() as session:
        incident = await visible(hub, session, actor, incident_id)
        row = await attachment_rows.one_of_incident(session, incident_id, attachment_id)
        # A picture of the result was taken by a person: it shows no camera.
        by_camera = row is None or row.kind == "signal"
        look = await _look_at(hub, session, actor, incident, by_camera=by_camera)
    if row is None:
        raise NotFoundError("The incident has no such picture.", remedy="Reload the incident.")
    content = await asyncio.to_thread(hub.governance.pictures.read, row.sha256)
    media_type = row.media_type
    if look is not None and look.rendition != "raw":
        content = await hub.redactor.still(content, look.camera.masks, look.rendition == "redacted")
        media_type = "image/jpeg"
    async with hub.database.transaction() as session:
        incident = await visible(hub, session, actor, incident_id)
        again = await _look_at(hub, session, actor, incident, by_camera=by_camera)
        await _record(hub, session, actor, incident, again, by_camera=by_camera)
        if again is not None:
            check_covered(again, "raw" if look is None else look.rendition)
    return Response(
        content,
        media_type=media_type,
        headers={"Cache-Control": "no-store", "Content-Disposition": "inline"},
    )


async def _record(
    hub: Hub,
    session: AsyncSession,
    actor: Actor,
    incident: Incident,
    look: Look | None,
    *,
    by_camera: bool,
) -> None:
    if look is not None:
        await record(hub, session, actor, look, "incident_image")
    elif by_camera and incident.camera_id is not None:
        # A camera that this hub has never had: what a sender says of it is all that is known.
        await hub.views.open_view(
            session,
            actor=actor,
            camera_id=incident.camera_id,
            area=incident.area,
            kind="incident_image",
            purpose="incident",
            reference=incident.number,
            incident_id=incident.id,
        )
    else:
        # A view record is of a camera. Where none is named, the ledger alone says who looked.
        await hub.ledger.append(
            session,
            "view.opened",
            actor=actor,
            area=incident.area,
            subject=str(incident.id),
            data={
                "kind": "incident_image",
                "purpose": "incident",
                "reference": incident.number,
                "incident_id": str(incident.id),
            },
        )


async def _look_at(
    hub: Hub, session: AsyncSession, actor: Actor, incident: Incident, *, by_camera: bool
) -> Look | None:
    """Return the permitted look at the incident's camera; None where none took the picture.

    Raises:
        ForbiddenError: the actor may not see its pictures.
    """
    camera = None
    if by_camera and incident.camera_id is not None:
        camera = await homes.also_deleted(session, incident.camera_id)
    if camera is None:
        require(hub, actor, "incident.image", incident.resource())
        return None
    return await may_look_at_incident(hub, session, actor, incident, camera)


@router.post("/incidents/{incident_id}/acknowledge")
async def acknowledge_incident(
    incident_id: UUID,
    body: AcknowledgeRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.acknowledge")],
) -> IncidentOut:
    """Say that you have seen it. A second time by the same person changes nothing."""
    async with hub.database.transaction() as session:
        incident = await mine(hub, session, actor, incident_id, "incident.acknowledge")
        incidents = hub.governance.incidents
        if await incidents.acknowledge(session, incident, actor, body.version):
            await incidents.publish(session, incident, "acknowledge")
        return (await views.describe(session, [incident]))[0]


@router.post("/incidents/{incident_id}/handle")
async def handle_incident(
    incident_id: UUID,
    body: HandleRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.handle")],
) -> IncidentOut:
    """Take it on; that acknowledges it too."""
    async with hub.database.transaction() as session:
        incident = await mine(hub, session, actor, incident_id, "incident.handle")
        incidents = hub.governance.incidents
        await incidents.handle(session, incident, actor, body.version, body.note)
        await incidents.publish(session, incident, "handle")
        return (await views.describe(session, [incident]))[0]


@router.post("/incidents/{incident_id}/feedback")
async def feedback_incident(
    incident_id: UUID,
    body: FeedbackRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.feedback")],
) -> IncidentOut:
    """Say what was done."""
    async with hub.database.transaction() as session:
        incident = await mine(hub, session, actor, incident_id, "incident.feedback")
        incidents = hub.governance.incidents
        await incidents.feedback(session, incident, actor, body.version, body.note)
        await incidents.publish(session, incident, "feedback")
        return (await views.describe(session, [incident]))[0]


@router.post("/incidents/{incident_id}/close")
async def close_incident(
    incident_id: UUID,
    body: CloseRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.close")],
) -> IncidentOut:
    """Close it, saying how it ended."""
    async with hub.database.transaction() as session:
        incident = await mine(hub, session, actor, incident_id, "incident.close")
        incidents = hub.governance.incidents
        await incidents.close(
            session,
            incident,
            actor,
            body.version,
            note=body.note,
            resolution=body.resolution,
        )
        await incidents.publish(session, incident, "close")
        answer = (await views.describe(session, [incident]))[0]
    # What the alarm of a household had opened ends with it.
    hub.guards.look_now()
    return answer


@router.post("/incidents/{incident_id}/notes")
async def add_incident_note(
    incident_id: UUID,
    body: NoteRequest,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.note")],
) -> IncidentDetailOut:
    """Add a note to the history."""
    async with hub.database.transaction() as session:
        incident = await mine(hub, session, actor, incident_id, "incident.note")
        incidents = hub.governance.incidents
        await incidents.note(session, incident, actor, body.text)
        await incidents.publish(session, incident, "note")
        return await views.describe_fully(session, incident)


async def visible(hub: Hub, session: AsyncSession, actor: Actor, incident_id: UUID) -> Incident:
    """Return the incident if `actor` may read it."""
    incident = await hub.governance.incidents.get(session, incident_id)
    require(hub, actor, "incident.read", incident.resource())
    return incident


async def mine(
    hub: Hub, session: AsyncSession, actor: Actor, incident_id: UUID, action: str
) -> Incident:
    """Return the incident, locked, if `actor` may do `action` to it."""
    incident = await hub.governance.incidents.locked(session, incident_id)
    require(hub, actor, action, incident.resource())
    return incident
