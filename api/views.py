"""View records: who saw which camera, when and why; for auditors."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.schemas import AccountBrief
from access.policy.types import Actor
from access.views.schemas import ViewRecordOut
from api.door import permit
from api.hub import HubDep
from api.pages import Page, Paging
from camera_hub.devices.models import Camera

router = APIRouter(tags=["view records"])


@router.get("/view-records")
async def list_view_records(
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("view.list")],
    camera_id: UUID | None = None,
    account_id: UUID | None = None,
) -> Page[ViewRecordOut]:
    """List the viewings of cameras in the own areas, newest first."""
    before = page.after(UUID)
    async with hub.database.read() as session:
        rows = await hub.views.page(
            session,
            areas=hub.policy.areas(actor, "view.list"),
            camera_id=camera_id,
            account_id=account_id,
            before=before[0] if before else None,
            limit=page.fetch,
        )
        names = await _camera_names(session, {record.camera_id for record, _ in rows})
    items = [
        ViewRecordOut(
            id=record.id,
            account=AccountBrief(
                id=viewer.id, username=viewer.username, display_name=viewer.display_name
            ),
            camera_id=record.camera_id,
            camera_name=names.get(record.camera_id, ""),
            kind=record.kind,
            purpose=record.purpose,
            reference=record.reference,
            grant_id=record.grant_id,
            redacted=record.redacted,
            sound=record.sound,
            incident_id=record.incident_id,
            started_at=record.started_at,
            ended_at=record.ended_at,
        )
        for record, viewer in rows
    ]
    return page.page(rows, lambda row: (row[0].id,), items)


async def _camera_names(session: AsyncSession, camera_ids: set[UUID]) -> dict[UUID, str]:
    """Return the names of these cameras, removed ones too."""
    query = select(Camera.id, Camera.name).where(Camera.id.in_(camera_ids))
    return {row.id: row.name for row in await session.execute(query)}
