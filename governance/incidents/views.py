"""Incidents as their readers see them: rows put together with their pictures and history."""

from collections.abc import Sequence
from typing import Any, Literal, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as households
from governance.attachments import repository as attachments
from governance.attachments.models import Attachment
from governance.incidents import repository
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.schemas import (
    AttachmentKind,
    AttachmentOut,
    BoxOut,
    DepartmentBriefOut,
    IncidentBriefOut,
    IncidentDetailOut,
    IncidentOut,
    Kind,
    LocationOut,
    LogEntryOut,
    PersonOut,
    PictureOut,
    Resolution,
    ResultPhotosOut,
    Severity,
    StateName,
    SystemActorOut,
)
from governance.incidents.transitions import allowed, needs_other_verifier, photos_needed


async def describe(session: AsyncSession, rows: Sequence[Incident]) -> list[IncidentOut]:
    """Return `rows` as the wire has them, in the same order."""
    pictures = await attachments.by_ids(
        session, [row.snapshot_id for row in rows if row.snapshot_id is not None]
    )
    homes = await households.names(session, {row.household_id for row in rows} - {None})
    targets = await repository.numbers(
        session, [row.merged_into_id for row in rows if row.merged_into_id is not None]
    )
    return [
        describe_one(
            row,
            pictures.get(row.snapshot_id) if row.snapshot_id else None,
            homes.get(row.household_id, "") if row.household_id else "",
            targets.get(row.merged_into_id, "") if row.merged_into_id else "",
        )
        for row in rows
    ]


async def describe_fully(session: AsyncSession, row: Incident) -> IncidentDetailOut:
    """Return an incident with its history and its pictures."""
    base = (await describe(session, [row]))[0]
    return IncidentDetailOut(
        **dict(base),
        log=[_entry(entry) for entry in await repository.log_of(session, row.id)],
        attachments=[_attachment(a) for a in await attachments.of_incident(session, row.id)],
        policy=row.policy or {},
        ring_from=row.ring_from,
        merged=[
            IncidentBriefOut(id=identity, number=number)
            for identity, number in await repository.merged_briefly(session, row.id)
        ],
    )


def describe_one(
    row: Incident, snapshot: Attachment | None, household: str, merged_into: str = ""
) -> IncidentOut:
    """Return `row` as the wire has it, where what other tables say of it is known.

    Its picture, its household's name, and the number of the one it was merged into.
    """
    return IncidentOut(
        id=row.id,
        number=row.number,
        kind=cast(Kind, row.kind),
        category=row.category,
        urgency=row.urgency,
        severity=cast(Severity, row.severity),
        certainty=row.certainty,
        status=cast(Literal["actual", "exercise", "test"], row.status),
        state=cast(StateName, row.state),
        version=row.version,
        headline=row.headline,
        area=row.area,
        camera_id=row.camera_id,
        camera_name=row.camera_name,
        zone_name=row.zone_name,
        household_id=row.household_id,
        household_name=household,
        opened_at=row.opened_at,
        observed_at=row.observed_at,
        last_signal_at=row.last_signal_at,
        signal_count=row.signal_count,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=_person(row.acknowledged_by_id, row.acknowledged_by_name),
        handler=_person(row.handler_id, row.handler_name),
        closed_at=row.closed_at,
        resolution=cast(Resolution | None, row.resolution),
        overdue=row.overdue,
        next_due_at=row.next_due_at,
        escalations=row.escalations,
        snapshot=None if snapshot is None else _picture(snapshot),
        allowed=allowed(row),
        **_of_the_loop(row, merged_into),
    )


def _of_the_loop(row: Incident, merged_into: str) -> dict[str, Any]:
    """Return what the closed loop adds. A row that is not written yet lacks its defaults."""
    policy = row.policy or {}
    department = None
    if row.department_id is not None:
        department = DepartmentBriefOut(id=row.department_id, name=row.department_name)
    location = None if row.location is None else LocationOut.model_validate(row.location)
    return {
        "level": row.level or 0,
        "round": row.round or 0,
        "department": department,
        "assignee": _person(row.assignee_id, row.assignee_name),
        "returns": row.returns or 0,
        "suspended_until": row.suspended_until,
        "merged_into_id": row.merged_into_id,
        "merged_into_number": merged_into,
        "progress": row.progress,
        "progress_at": row.progress_at,
        "progress_by": row.progress_by_name or "",
        "eta_at": row.eta_at,
        "archived_at": row.archived_at,
        "location": location,
        "policy_id": policy.get("id"),
        "verifier": "other" if needs_other_verifier(row) else "anyone",
        "result_photos": ResultPhotosOut(needed=photos_needed(row), there=row.result_photos or 0),
        "waiting_for": row.waiting_for,
    }


def _person(identity: UUID | None, name: str) -> PersonOut | None:
    return None if identity is None else PersonOut(id=identity, display_name=name)


def _picture(row: Attachment) -> PictureOut:
    return PictureOut(
        id=row.id,
        url=f"/api/v1/incidents/{row.incident_id}/attachments/{row.id}",
        width=row.width,
        height=row.height,
        objects=[BoxOut.model_validate(found) for found in row.objects],
    )


def _attachment(row: Attachment) -> AttachmentOut:
    return AttachmentOut(
        **dict(_picture(row)),
        kind=cast(AttachmentKind, row.kind),
        name=row.name,
        media_type=row.media_type,
        size=row.size,
        created_at=row.created_at,
        added_by=_person(row.added_by_id, row.added_by_name),
    )


def _entry(row: IncidentLog) -> LogEntryOut:
    return LogEntryOut(
        id=row.id,
        at=row.at,
        actor=_person(row.actor_id, row.actor_name) or SystemActorOut(),
        action=row.action,
        from_state=row.from_state,
        to_state=row.to_state,
        note=row.note,
        data=row.data,
    )
