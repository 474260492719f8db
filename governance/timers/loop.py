"""Fires timers when they are due.

Timers are rows, so a restart forgets none: what came due while nobody ran fires at once. The
loop sleeps until the next one is due, and never longer than a second, whatever it believes.
"""

from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.database import Database
from core.errors import HubError
from core.logging import get_logger
from core.metrics import counter, histogram
from governance.incidents import repository as incident_rows
from governance.incidents.service import Incidents
from governance.outbox import service as outbox
from governance.timers import repository
from governance.timers.models import Timer
from governance.waiting import POLL_S, wait

BATCH = 50
"""Timers fired in one transaction, if there is time."""

BUDGET_S = 0.05
"""After this a transaction takes no further timer: while it lasts, no signal is taken in."""

RETRY = timedelta(seconds=30)
"""When a timer that could not be fired is tried again."""

_POISON = (SQLAlchemyError, HubError, LookupError, TypeError, ValueError, AttributeError)
"""What a row that cannot be read, or those who are told, may raise."""

_SHORTEST_SLEEP_S = 0.02
_TOLERATED_S = 1.0  # slewing by NTP is no jump

_fired = counter("timers_fired", "Timers fired", ("kind",))
_failed = counter("timers_failed", "Timers that could not be fired and were postponed")
_rebased = counter("timers_rebased", "Timers moved because the wall clock went back")
_late = histogram("timer_late_seconds", "How long after its due time a timer fired")
_log = get_logger("governance.timers")


class TimerLoop:
    """The clockwork of one process. Several may run beside each other."""

    def __init__(self, database: Database, clock: Clock, incidents: Incidents) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._woken = outbox.waker(database)
        self._offset: float | None = None

    async def run(self) -> None:
        """Fire for ever. Raises what the store raises; the supervisor starts it again."""
        while True:
            next_due = await self.fire_due()
            await wait(self._clock, self._woken, self._sleep_s(next_due))

    async def fire_due(self) -> datetime | None:
        """Fire everything that is due, in batches; return when the next timer is due."""
        await self._follow_clock_back()
        while True:
            # A look first: an idle second costs no write transaction.
            async with self._database.read() as session:
                next_due = await repository.next_due(session)
            if next_due is None or next_due > self._clock.now():
                return next_due
            async with self._database.transaction() as session:
                claimed = await self._fire_batch(session)
            if claimed == 0:
                return None  # another process is at it

    def _sleep_s(self, next_due: datetime | None) -> float:
        if next_due is None:
            return POLL_S
        ahead = (next_due - self._clock.now()).total_seconds()
        return min(POLL_S, max(_SHORTEST_SLEEP_S, ahead))

    async def _fire_batch(self, session: AsyncSession) -> int:
        await outbox.serialise(session)
        now, began = self._clock.now(), self._clock.monotonic()
        timers = await repository.claim_due(session, now, BATCH)
        for fired, timer in enumerate(timers):
            if self._clock.monotonic() - began > BUDGET_S:
                return fired
            timer_id, kind, due_at = timer.id, timer.kind, timer.due_at
            try:
                # A savepoint each: one that cannot be fired must not hold back the others.
                async with session.begin_nested():
                    await self._fire(session, timer)
            except _POISON as error:
                _failed.inc()
                _log.error("timer_not_fired", timer=str(timer_id), kind=kind, error=repr(error))
                await repository.postpone(session, timer_id, now + RETRY)
            else:
                _fired.labels(kind).inc()
                _late.observe(max(0.0, (now - due_at).total_seconds()))
        return len(timers)

    async def _fire(self, session: AsyncSession, timer: Timer) -> None:
        incident = await incident_rows.by_id_locked(session, timer.incident_id)
        if incident is None:
            raise KeyError(f"timer {timer.id} belongs to no incident")
        await self._incidents.fire(session, incident, timer)
        await session.flush()

    async def _follow_clock_back(self) -> None:
        """Give timers that were made in the future, by a clock since put back, their interval anew.

        So a correction of the clock delays a deadline by less than its own interval. A jump
        forward needs nothing: what seems overdue fires at once, and once.
        """
        if not self._clock_may_have_gone_back():
            return
        async with self._database.transaction() as session:
            await outbox.serialise(session)
            now = self._clock.now()
            timers = await repository.made_in_the_future(session, now)
            for timer in timers:
                timer.due_at = now + (timer.due_at - timer.created_at)
                timer.created_at = now
                incident = await incident_rows.by_id_locked(session, timer.incident_id)
                if incident is not None and incident.is_open:
                    incident.next_due_at = timer.due_at
                _rebased.inc()
        if timers:
            _log.warning("clock_went_back", timers=len(timers))

    def _clock_may_have_gone_back(self) -> bool:
        # Wall clock minus monotonic clock stays the same until somebody sets the former.
        offset = self._clock.now().timestamp() - self._clock.monotonic()
        before, self._offset = self._offset, offset
        return before is None or offset < before - _TOLERATED_S
