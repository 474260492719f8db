"""Outbox events as CloudEvents 1.0, the form in which other systems get them."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from governance.outbox.models import OutboxEvent

PREFIX = "org.camerahub."
SOURCE = "/hub"
TYPES: dict[str, str] = {
    "incident.opened": "An incident has opened",
    "incident.updated": "Somebody or something moved it on; `change` says what",
    "incident.escalated": "Nobody did what was due in time",
    "camera.state": "A camera went on or off line",
    "camera.changed": "A camera was added, changed or removed",
}
"""Types of the outbox that leave the hub, and what they say. Exports are nobody else's business."""

AtHome = Callable[[AsyncSession, Collection[UUID]], Awaitable[Collection[UUID]]]
"""Tells which of some cameras hang in homes; the table of cameras lies in another package."""


def cloud_event(row: OutboxEvent) -> dict[str, Any]:
    """Return `row` as a CloudEvent in structured mode, of JSON values.

    `id` is the same each time the event is sent. It holds the time as well as the number, so that
    it stays unique when the database was put back to an older state. Where a household's device
    was when it called stays in the hub: who comes to help gets the address.
    """
    at_ms = int(row.created_at.timestamp() * 1000)
    subject = row.incident_id or row.camera_id
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{row.seq}-{at_ms}",
        "source": SOURCE,
        "type": PREFIX + row.type,
        "time": row.created_at.isoformat(),
        "datacontenttype": "application/json",
        "area": row.area,
        "sequence": f"{row.seq:020d}",
        "data": {**row.payload, **({"location": None} if row.payload.get("location") else {})},
    }
    if subject is not None:
        event["subject"] = str(subject)
    return event


async def leaving(
    session: AsyncSession, rows: Sequence[OutboxEvent], at_home: AtHome
) -> list[OutboxEvent]:
    """Return those of `rows` that other systems may hear: nothing of cameras in homes."""
    known = [row for row in rows if row.type in TYPES]
    cameras = {row.camera_id for row in known if row.type.startswith("camera.") and row.camera_id}
    homes = set(await at_home(session, cameras)) if cameras else set()
    return [row for row in known if not (row.type.startswith("camera.") and row.camera_id in homes)]
