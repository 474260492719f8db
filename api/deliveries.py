"""Who was told of an incident, how, when, and with what outcome."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from access.policy.types import Actor
from api.door import permit, require
from api.hub import HubDep
from api.pages import Page, Paging
from governance.deliveries import repository
from governance.deliveries.schemas import DeliveryOut

router = APIRouter(tags=["deliveries"])


@router.get("/incidents/{incident_id}/deliveries")
async def list_incident_deliveries(
    incident_id: UUID,
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("incident.deliveries")],
) -> Page[DeliveryOut]:
    """List every attempt to tell somebody of an incident, in the order they were queued."""
    after = page.after(UUID)
    async with hub.database.read() as session:
        incident = await hub.governance.incidents.get(session, incident_id)
        require(hub, actor, "incident.deliveries", incident.resource())
        rows = await repository.of_incident(
            session, incident_id, after=after[0] if after else None, limit=page.fetch
        )
    items = [DeliveryOut.of(row) for row in rows[: page.limit]]
    return page.page(rows, lambda row: (row.id,), items)
