"""The outbox as a Redis stream, for consumer groups of other systems.

Redis holds nothing that the hub needs. How far the stream has come is asked of Redis itself: the
id of an entry is `generation-seq` with the outbox's own number, so a stream that was flushed,
restored or written by another process says by itself what is missing, and an event is never
added twice. The generation rises when the database has been put back to an older state.
"""

from datetime import datetime
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from core.clock import Clock
from core.database import Database
from core.logging import get_logger
from core.metrics import counter, gauge
from core.settings_loop import RedisSettings
from governance.fanout.cloudevents import AtHome, cloud_event, leaving
from governance.outbox import repository
from governance.outbox import service as outbox
from governance.waiting import POLL_S, wait

_BATCH = 200
_TIMEOUT_S = 5.0
_TRIM_AT_MOST = 10_000
_TRIM_EVERY = 1000
"""Events between two trims."""

_published = counter("redis_published", "Events added to the Redis stream")
_behind = gauge("redis_slowest_group_behind", "Events that the slowest group has not read")
_lost = counter("redis_trimmed_unread", "Times that another trimmed what a group needed")
_gaps = counter("redis_gaps", "Times that Redis was away for longer than the outbox is kept")
_away = gauge("redis_away", "1 while Redis does not answer")
_log = get_logger("governance.redis")

Position = tuple[int, int]


class RedisStream:
    """Writes the outbox into a stream, for ever. Several processes may do so side by side."""

    def __init__(
        self, database: Database, clock: Clock, settings: RedisSettings, at_home: AtHome
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._at_home = at_home
        self._woken = outbox.waker(database)
        self._since_trim = 0
        self.away_since: datetime | None = None

    async def run(self) -> None:
        """Publish for ever; Redis away is waited out, the store's errors are raised."""
        client = Redis.from_url(
            self._settings.url.get_secret_value(),
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
        )
        try:
            while True:
                try:
                    await self.publish(client)
                    self._is_back()
                except (RedisError, OSError, TimeoutError) as error:
                    self._is_away(error)
                await wait(self._clock, self._woken, POLL_S)
        finally:
            await client.aclose()

    async def publish(self, client: Redis) -> int:
        """Add everything that the stream lacks; return how many events.

        Raises:
            RedisError: Redis is away or refuses; the next call goes on where it stopped.
        """
        generation, seq = await self._position(client)
        added = 0
        while True:
            async with self._database.read() as session:
                rows = await repository.read_after(session, seq, _BATCH)
                sent = await leaving(session, rows, self._at_home)
            if not rows:
                break
            await self._add(client, generation, sent)
            added += len(sent)
            seq = rows[-1].seq
        self._since_trim += added
        if added and self._since_trim >= _TRIM_EVERY:
            self._since_trim = 0
            await self.trim(client)
        return added

    async def _position(self, client: Redis) -> Position:
        last = await _last_id(client, self._settings.stream)
        async with self._database.read() as session:
            lowest, highest = await repository.bounds(session)
        if last is None:
            return 1, max(0, lowest - 1)
        generation, seq = last
        if seq > highest:
            _log.warning("database_is_older_than_the_stream", stream_at=seq, outbox_at=highest)
            return generation + 1, max(0, lowest - 1)
        if seq + 1 < lowest:
            _gaps.inc()
            _log.error("stream_has_a_gap", stream_at=seq, outbox_from=lowest)
        return generation, seq

    async def _add(self, client: Redis, generation: int, rows: list[Any]) -> None:
        async with client.pipeline(transaction=False) as pipe:
            for row in rows:
                event = cloud_event(row)
                pipe.xadd(
                    self._settings.stream,
                    {"type": event["type"], "area": row.area, "event": orjson.dumps(event)},
                    id=f"{generation}-{row.seq}",
                )
            answers = await pipe.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, ResponseError) and "equal or smaller" in str(answer):
                continue  # another process was faster
            if isinstance(answer, Exception):
                raise answer
        _published.inc(len(rows))

    async def trim(self, client: Redis) -> int:
        """Remove what every consumer group has handled, beyond the newest `keep`; return how many.

        A group that reads nothing holds everything: Redis' memory is then for a person to look at.
        """
        stream = self._settings.stream
        length = await client.xlen(stream)
        if length <= self._settings.keep:
            return 0
        floor = await _last_id(client, stream) or (0, 0)
        for group in await client.xinfo_groups(stream):
            floor = min(floor, await self._needed_from(client, group))
        beyond = await client.xrange(
            stream, count=min(length - self._settings.keep + 1, _TRIM_AT_MOST)
        )
        threshold = min(floor, _parse(beyond[-1][0])) if beyond else floor
        removed = await client.xtrim(
            stream, minid=f"{threshold[0]}-{threshold[1]}", approximate=False
        )
        return int(removed)

    async def _needed_from(self, client: Redis, group: dict[str, Any]) -> Position:
        """Return the first entry that `group` still needs: the oldest pending, or the next."""
        stream = self._settings.stream
        delivered = _parse(group["last-delivered-id"])
        _behind.set(group.get("lag") or 0)
        pending = await client.xpending(stream, group["name"])
        if not pending["pending"]:
            return delivered[0], delivered[1] + 1
        oldest = _parse(pending["min"])
        first = await client.xrange(stream, count=1)
        if first and _parse(first[0][0]) > oldest:
            # Somebody else trimmed the stream: the events are still to be had from the hub.
            _lost.inc()
            _log.error("stream_trimmed_below_group", group=str(group["name"]), oldest=oldest)
        return oldest

    def _is_away(self, error: Exception) -> None:
        if self.away_since is None:
            self.away_since = self._clock.now()
            _log.warning("redis_away", error=type(error).__name__)
        _away.set(1)

    def _is_back(self) -> None:
        if self.away_since is not None:
            _log.info("redis_back")
        self.away_since = None
        _away.set(0)


async def _last_id(client: Redis, stream: str) -> Position | None:
    try:
        found = await client.xinfo_stream(stream)
    except ResponseError as error:
        if "no such key" in str(error):
            return None
        raise
    position = _parse(found["last-generated-id"])
    # A group made with MKSTREAM leaves an empty stream at 0-0.
    return position if position > (0, 0) else None


def _parse(text: Any) -> Position:
    raw = text.decode() if isinstance(text, bytes) else str(text)
    first, _, second = raw.partition("-")
    return int(first), int(second or 0)
