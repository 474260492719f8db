"""Nobody who signs in waits for the leftovers of another who does."""

import asyncio
from datetime import timedelta

from sqlalchemy import func, select

from access.factors import repository
from access.factors.models import SpentTicket
from core.clock import ManualClock
from core.database import Database


async def test_leftovers_that_another_deletes_are_not_waited_for(
    postgres_url: str, clock: ManualClock
) -> None:
    """Both would go on to the ledger; whoever has it must not be the one who waits here."""
    database = Database(postgres_url)
    now = clock.now()
    async with database.transaction() as session:
        for name in "ab":
            await repository.spend_ticket(session, name, now - timedelta(seconds=1))
        await repository.spend_ticket(session, "c", now + timedelta(hours=1))
    async with database.transaction() as first:
        await repository.forget_expired(first, now)
        async with asyncio.timeout(10), database.transaction() as second:
            await repository.forget_expired(second, now)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(SpentTicket)) == 1
    await database.close()
