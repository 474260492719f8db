"""The Redis stream, on a real Redis: it can be lost at any time, and nothing is lost with it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from uuid import UUID

import orjson
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import ManualClock, SystemClock
from core.database import Database
from core.ids import new_id
from core.settings_loop import RedisSettings
from governance.fanout.redis_stream import RedisStream
from governance.outbox import repository
from governance.outbox import service as outbox
from governance.outbox.models import OutboxEvent
from tests.governance.fanout.conftest import Happen, nowhere
from tests.support.redis import RedisServer
from tests.support.waiting import until

STREAM = "camera-hub:events"


@pytest.fixture
def settings(redis_server: RedisServer) -> RedisSettings:
    return RedisSettings(url=SecretStr(redis_server.url), keep=1000)


@pytest.fixture
def stream(database: Database, clock: ManualClock, settings: RedisSettings) -> RedisStream:
    return RedisStream(database, clock, settings, nowhere)


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


async def numbers(redis: Redis) -> list[int]:
    """Return the outbox numbers of the stream's entries, in its order."""
    return [int(entry_id.decode().split("-")[1]) for entry_id, _ in await redis.xrange(STREAM)]


async def in_outbox(database: Database) -> list[int]:
    async with database.read() as session:
        return [row.seq for row in await repository.read_after(session, 0, 100_000)]


async def test_every_event_is_there_once_in_order_as_a_cloud_event(
    database: Database, stream: RedisStream, redis: Redis, happen: Happen
) -> None:
    await happen(250)
    assert await stream.publish(redis) == 250
    assert await stream.publish(redis) == 0
    await happen(3)
    await stream.publish(redis)
    assert await numbers(redis) == await in_outbox(database)
    _, fields = (await redis.xrevrange(STREAM, count=1))[0]
    event = orjson.loads(fields[b"event"])
    assert event["specversion"] == "1.0"
    assert event["type"] == "org.camerahub.incident.opened" == fields[b"type"].decode()
    assert event["data"] == {"headline": "Smoke"}
    assert event["area"] == "town"


async def test_two_processes_add_nothing_twice(
    database: Database, clock: ManualClock, settings: RedisSettings, redis: Redis, happen: Happen
) -> None:
    streams = [RedisStream(database, clock, settings, nowhere) for _ in range(3)]
    await happen(400)
    await asyncio.gather(*(stream.publish(redis) for stream in streams))
    assert await numbers(redis) == await in_outbox(database)


async def test_exports_and_cameras_in_homes_are_nobody_elses_business(
    database: Database, clock: ManualClock, settings: RedisSettings, redis: Redis, happen: Happen
) -> None:
    home = new_id()

    async def at_home(_session: AsyncSession, cameras: Collection[UUID]) -> Collection[UUID]:
        return {home} & set(cameras)

    async with database.transaction() as session:
        for camera in (home, new_id()):
            await outbox.append(
                session, type="camera.state", area="town", payload={}, at=clock.now(),
                camera_id=camera,
            )  # fmt: skip
    await happen(type="export.changed")
    assert await RedisStream(database, clock, settings, at_home).publish(redis) == 1
    _, fields = (await redis.xrange(STREAM))[0]
    assert str(home) not in fields[b"event"].decode()


@pytest.mark.faults
async def test_a_flushed_redis_is_filled_again(
    database: Database, stream: RedisStream, redis: Redis, happen: Happen
) -> None:
    await happen(5)
    await stream.publish(redis)
    await redis.flushall()
    await happen(2)
    await stream.publish(redis)
    assert await numbers(redis) == await in_outbox(database)


@pytest.mark.faults
async def test_redis_is_a_convenience(
    database: Database, settings: RedisSettings, redis_server: RedisServer, happen: Happen
) -> None:
    """Stopped, everything else goes on; back and empty, it has caught up."""
    stream = RedisStream(database, SystemClock(), settings, nowhere)
    running = asyncio.create_task(stream.run())
    try:
        await happen(2)
        async with Redis.from_url(redis_server.url) as redis:
            await until(lambda: redis.xlen(STREAM))
        redis_server.kill()
        await happen(3)
        await until(lambda: stream.away_since is not None)
        assert len(await in_outbox(database)) == 5
        redis_server.start()

        async def caught_up() -> bool:
            with suppress(RedisError):
                async with Redis.from_url(redis_server.url) as redis:
                    return await numbers(redis) == await in_outbox(database)
            return False

        await until(caught_up)
        assert stream.away_since is None
    finally:
        running.cancel()


async def test_only_what_every_group_has_handled_is_trimmed(
    database: Database, stream: RedisStream, redis: Redis, happen: Happen
) -> None:
    await happen(1200)
    await redis.xgroup_create(STREAM, "quick", id="0", mkstream=True)
    await redis.xgroup_create(STREAM, "slow", id="0")
    await stream.publish(redis)
    assert await numbers(redis) == await in_outbox(database)  # publishing trimmed nothing unread
    for group, count, done in (("quick", 1200, 1200), ("slow", 60, 50)):
        read = await redis.xreadgroup(group, "c", {STREAM: ">"}, count=count)
        await redis.xack(STREAM, group, *(entry_id for entry_id, _ in read[0][1][:done]))
    assert await stream.trim(redis) == 50  # the slow one has ten that it has not acknowledged
    pending = await redis.xpending(STREAM, "slow")
    assert (await redis.xrange(STREAM, count=1))[0][0] == pending["min"]
    await redis.xack(STREAM, "slow", *(i for i, _ in await redis.xrange(STREAM, count=10)))
    read = await redis.xreadgroup("slow", "c", {STREAM: ">"}, count=5000)
    await redis.xack(STREAM, "slow", *(entry_id for entry_id, _ in read[0][1]))
    await stream.trim(redis)
    assert await redis.xlen(STREAM) == 1000


@pytest.mark.faults
async def test_a_stream_trimmed_below_what_a_group_needs_goes_on(
    database: Database, stream: RedisStream, redis: Redis, happen: Happen
) -> None:
    await happen(1100)
    await stream.publish(redis)
    await redis.xgroup_create(STREAM, "g", id="0")
    await redis.xreadgroup("g", "c", {STREAM: ">"}, count=10)
    await redis.xtrim(STREAM, maxlen=1050, approximate=False)
    await happen(1)
    assert await stream.publish(redis) == 1
    await stream.trim(redis)
    assert (await numbers(redis))[-1] == (await in_outbox(database))[-1]


@pytest.mark.faults
async def test_a_database_put_back_to_an_older_state_begins_a_new_generation(
    database: Database, stream: RedisStream, redis: Redis, happen: Happen
) -> None:
    await happen(6)
    await stream.publish(redis)
    async with database.transaction() as session:
        await session.execute(delete(OutboxEvent).where(OutboxEvent.seq > 4))
        await session.execute(update(OutboxEvent).values(payload={"headline": "restored"}))
    assert await stream.publish(redis) == 4
    last, fields = (await redis.xrevrange(STREAM, count=1))[0]
    assert last == b"2-4"
    assert orjson.loads(fields[b"event"])["data"] == {"headline": "restored"}
