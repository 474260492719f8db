"""Every query of attachments."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from governance.attachments.models import Attachment


async def of_incident(session: AsyncSession, incident_id: UUID) -> Sequence[Attachment]:
    """Return the pictures of an incident, oldest first."""
    query = select(Attachment).where(Attachment.incident_id == incident_id).order_by(Attachment.id)
    return (await session.scalars(query)).all()


async def by_ids(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, Attachment]:
    """Return those attachments of `ids` that exist, by id."""
    wanted = list(ids)
    if not wanted:
        return {}
    rows = await session.scalars(select(Attachment).where(Attachment.id.in_(wanted)))
    return {row.id: row for row in rows}


async def one_of_incident(
    session: AsyncSession, incident_id: UUID, attachment_id: UUID
) -> Attachment | None:
    """Return one picture if it belongs to that incident."""
    query = select(Attachment).where(
        Attachment.id == attachment_id, Attachment.incident_id == incident_id
    )
    return (await session.scalars(query)).one_or_none()


async def results_of(session: AsyncSession, incident_id: UUID) -> Sequence[Attachment]:
    """Return the pictures that show the result of the work on an incident, oldest first."""
    query = (
        select(Attachment)
        .where(Attachment.incident_id == incident_id, Attachment.kind == "result")
        .order_by(Attachment.id)
    )
    return (await session.scalars(query)).all()
