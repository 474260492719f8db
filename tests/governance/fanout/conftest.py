"""Events in the outbox, without anybody who makes them."""

from collections.abc import Awaitable, Callable, Collection
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import ManualClock
from core.database import Database
from core.ids import new_id
from governance.outbox import service as outbox

Happen = Callable[..., Awaitable[None]]


async def nowhere(_session: AsyncSession, _cameras: Collection[UUID]) -> Collection[UUID]:
    """No camera hangs in a home."""
    return ()


@pytest.fixture
def happen(database: Database, clock: ManualClock) -> Happen:
    """Return what writes `count` events into the outbox."""

    async def happen(count: int = 1, *, type: str = "incident.opened", area: str = "town") -> None:
        async with database.transaction() as session:
            for _ in range(count):
                await outbox.append(
                    session,
                    type=type,
                    area=area,
                    payload={"headline": "Smoke"},
                    at=clock.now(),
                    incident_id=new_id(),
                )
                await session.flush()

    return happen
