"""What deliveries write into an incident's history, and how consoles hear of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from governance.incidents import views
from governance.incidents.models import Incident, IncidentLog
from governance.outbox import service as outbox


async def note(
    session: AsyncSession,
    incident: Incident,
    action: str,
    *,
    at: datetime,
    actor_name: str = "",
    text: str = "",
    data: Mapping[str, Any],
) -> None:
    """Add to the history of an incident that the caller has locked, and tell the consoles.

    `action`: `undelivered`, `contact_answered` or `answered`.
    """
    session.add(
        IncidentLog(
            incident_id=incident.id,
            at=at,
            actor_name=actor_name,
            action=action,
            note=text,
            data=dict(data),
        )
    )
    await session.flush()
    described = (await views.describe(session, [incident]))[0]
    await outbox.append(
        session,
        type="incident.updated",
        area=incident.area,
        payload={**described.model_dump(mode="json"), "change": action},
        at=at,
        incident_id=incident.id,
        camera_id=incident.camera_id,
    )
