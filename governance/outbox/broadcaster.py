"""Reads the outbox in order and hands each event to the open streams of this process.

Every process has a cursor of its own, so that with several of them each stream hears all.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from core.clock import Clock
from core.database import Database
from core.metrics import counter, gauge
from governance.outbox import repository, service
from governance.outbox.models import OutboxEvent
from governance.waiting import POLL_S, wait

QUEUE_LENGTH = 256
"""Events that one subscriber may be behind before it is told to load everything again."""

_BATCH = 500

_subscribers = gauge("event_streams", "Open event streams")
_overflows = counter("event_streams_dropped", "Event streams that were too slow and had to reload")
_broadcast = counter("outbox_broadcast", "Outbox events handed to the open streams")


class Subscription:
    """One stream's view of the outbox: every event later than `start`, in order."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.overflowed = False
        self._waiting: deque[OutboxEvent] = deque()
        self._arrived = asyncio.Event()

    def offer(self, row: OutboxEvent) -> None:
        """Queue `row`; a subscriber that is too far behind gets nothing more."""
        if self.overflowed:
            return
        if len(self._waiting) >= QUEUE_LENGTH:
            self.overflowed = True
            self._waiting.clear()
            _overflows.inc()
        else:
            self._waiting.append(row)
        self._arrived.set()

    async def take(self, timeout_s: float) -> list[OutboxEvent]:
        """Return what has arrived, waiting at most `timeout_s`; may be empty."""
        if not self._waiting and not self.overflowed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        self._arrived.clear()
        rows = list(self._waiting)
        self._waiting.clear()
        return rows


class Broadcaster:
    """The reader of one process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._woken = service.waker(database)
        self._subscriptions: set[Subscription] = set()
        self._cursor = 0
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Read for ever. Raises what the store raises; the supervisor starts it again."""
        if not self._ready.is_set():
            async with self._database.read() as session:
                _, self._cursor = await repository.bounds(session)
            self._ready.set()
        while True:
            await self._drain()
            await wait(self._clock, self._woken, POLL_S)

    async def _drain(self) -> None:
        while True:
            async with self._database.read(short=True) as session:
                rows = await repository.read_after(session, self._cursor, _BATCH)
            # No await from here: a subscription either starts before a row or gets it.
            for row in rows:
                for subscription in self._subscriptions:
                    subscription.offer(row)
                self._cursor = row.seq
                _broadcast.inc()
            if len(rows) < _BATCH:
                return

    async def ready(self) -> None:
        """Wait until the reader knows where it stands."""
        await self._ready.wait()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Hear every event that is read from now on. Call after `ready`."""
        subscription = Subscription(self._cursor)
        self._subscriptions.add(subscription)
        _subscribers.inc()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            _subscribers.dec()
