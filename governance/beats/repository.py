"""Every query of beats."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from governance.beats.models import Beat


async def write(session: AsyncSession, name: str, at: datetime) -> None:
    """Write that `name` is well at `at`."""
    await session.merge(Beat(name=name, at=at))
    await session.flush()


async def read(session: AsyncSession, name: str) -> datetime | None:
    """Return when `name` was last well, or None."""
    beat = await session.get(Beat, name)
    return None if beat is None else beat.at
