"""The outbox: written with the change, numbered in the order of the commits, read by all."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from core.clock import ManualClock, SystemClock
from core.database import Database
from governance.outbox import repository, service
from governance.outbox.broadcaster import Broadcaster
from governance.outbox.models import OutboxEvent
from governance.service import Governance
from tests.governance.support import count, rows


async def append(database: Database, number: int, *, linger_s: float = 0.0) -> None:
    async with database.transaction() as session:
        await service.append(
            session,
            type="camera.changed",
            area="demo",
            payload={"number": number},
            at=SystemClock().now(),
        )
        await session.flush()
        await asyncio.sleep(linger_s)


async def test_a_reader_that_knows_the_last_number_misses_nothing(
    database: Database, store_url: str
) -> None:
    """Writers in several processes; some commit long after their insert."""
    others = [Database(store_url) for _ in range(3)]
    reader = Database(store_url)
    seen: list[int] = []
    done = asyncio.Event()

    async def read() -> None:
        cursor = 0
        while True:
            last_round = done.is_set()
            async with reader.read() as session:
                for row in await repository.read_after(session, cursor, 1000):
                    cursor = row.seq
                    seen.append(row.payload["number"])
            if last_round:
                return

    reading = asyncio.create_task(read())
    await asyncio.gather(
        *(append(others[n % 3], n, linger_s=0.02 if n % 5 == 0 else 0) for n in range(60))
    )
    done.set()
    await reading
    assert sorted(seen) == list(range(60))
    for other in [*others, reader]:
        await other.close()


async def test_what_is_rolled_back_is_never_told(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            await service.append(
                session, type="camera.changed", area="", payload={}, at=SystemClock().now()
            )
            raise RuntimeError

    woken = service.waker(database)
    for _ in range(3):
        with suppress(RuntimeError):
            await fail()
    assert not woken.is_set()
    await append(database, 1)
    assert woken.is_set()
    assert await count(database, OutboxEvent) == 1


async def test_every_process_hears_everything(database: Database, store_url: str) -> None:
    clock = SystemClock()
    other = Database(store_url)
    broadcasters = [Broadcaster(database, clock), Broadcaster(other, clock)]
    tasks = [asyncio.create_task(b.run()) for b in broadcasters]
    for broadcaster in broadcasters:
        await broadcaster.ready()
    with broadcasters[0].subscribe() as near, broadcasters[1].subscribe() as far:
        await append(database, 1)  # the other process is woken by nothing but its poll
        await append(other, 2)
        for subscription in (near, far):
            numbers: list[int] = []
            async with asyncio.timeout(10):
                while len(numbers) < 2:
                    numbers += [row.payload["number"] for row in await subscription.take(1)]
            assert numbers == [1, 2]
    for task in tasks:
        task.cancel()
    await other.close()


async def test_old_events_are_forgotten_and_their_numbers_never_come_again(
    kernel: Governance, database: Database, clock: ManualClock
) -> None:
    for number in range(3):
        async with database.transaction() as session:
            await service.append(
                session, type="camera.changed", area="", payload={"n": number}, at=clock.now()
            )
        clock.advance(timedelta(days=3).total_seconds())
    assert await kernel.prune() == 1
    clock.advance(timedelta(days=30).total_seconds())
    assert await kernel.prune() == 1
    [last] = await rows(database, OutboxEvent)  # says what was the last
    assert last.payload["n"] == 2
    async with database.transaction() as session:
        await session.delete(await session.get_one(OutboxEvent, last.seq))
    await append(database, 9)
    [new] = await rows(database, OutboxEvent)
    assert new.seq > last.seq
