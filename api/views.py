"""View records: who saw which camera, when and why; for auditors."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from access.accounts.schemas import AccountBrief
from access.policy.types import Actor
from access.views.schemas import ViewRecordOut
from api.door import permit
from api.hub import HubDep
from api.pages import Page, Paging

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
    items = [
        ViewRecordOut(
            id=record.id,
            account=AccountBrief(
                id=viewer.id, username=viewer.username, display_name=viewer.display_name
            ),
            camera_id=record.camera_id,
            camera_name="",
            kind=record.kind,
            purpose=record.purpose,
            incident_id=record.incident_id,
            started_at=record.started_at,
            ended_at=record.ended_at,
        )
        for record, viewer in rows
    ]
    return page.page(rows, lambda row: (row[0].id,), items)
