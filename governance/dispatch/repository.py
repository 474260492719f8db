"""Every query of dispatch policies."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from governance.dispatch.models import DispatchPolicySet


async def latest_version(session: AsyncSession) -> int:
    """Return the version in force; 0 when nobody has written any policies."""
    return await session.scalar(select(func.max(DispatchPolicySet.version))) or 0


async def latest(session: AsyncSession) -> DispatchPolicySet | None:
    """Return the set in force, or None when nobody has written any."""
    query = select(DispatchPolicySet).order_by(DispatchPolicySet.version.desc()).limit(1)
    return (await session.scalars(query)).one_or_none()


async def add(session: AsyncSession, row: DispatchPolicySet) -> None:
    """Write a new version. Raises IntegrityError if another transaction wrote it first."""
    session.add(row)
    await session.flush()
