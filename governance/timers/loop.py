"""Fires timers when they are due.

Timers are rows, so a restart forgets none: what came due while nobody ran fires at once. The
loop sleeps until the next one is due, and never longer than a second, whatever it believes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.database import Database
from core.errors import HubError
from core.logging import get_logger
from core.metrics import counter, histogram
from governance.incidents import repository as incident_rows
from governance.incidents.models import Incident
from governance.incidents.service import Incidents
from governance.outbox import service as outbox
from governance.timers import repository
from governance.timers.models import Timer
from governance.timers.service import TimerKind
from governance.waiting import POLL_S, wait

BATCH = 50
"""Timers fired in one transaction, if there is time."""

BUDGET_S = 0.05
"""After this a transaction takes no further timer: while it lasts, no signal is taken in."""

GROUP = 25
"""Timers that ring which are fired together, with as few questions to the store as one."""

URGENT_RANK = 3
"""From this severity on, what is due waits for no signal: see `opening.SEVERITY_RANK`."""

PATIENCE = timedelta(seconds=1)
"""How late something less severe may ring because signals wait to be taken in."""

RETRY = timedelta(seconds=30)
"""When a timer that could not be fired is tried again."""

_POISON = (SQLAlchemyError, HubError, LookupError, TypeError, ValueError, AttributeError)
"""What a row that cannot be read, or those who are told, may raise."""

_MOMENT = timedelta(milliseconds=50)
_SHORTEST_SLEEP_S = 0.02
_TOLERATED_S = 1.0  # slewing by NTP is no jump

_fired = counter("timers_fired", "Timers fired", ("kind",))
_failed = counter("timers_failed", "Timers that could not be fired and were postponed")
_rebased = counter("timers_rebased", "Timers moved because the wall clock went back")
_late = histogram("timer_late_seconds", "How long after its due time a timer fired")
_log = get_logger("governance.timers")


class TimerLoop:
    """The clockwork of one process. Several may run beside each other."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        incidents: Incidents,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        """`busy` says whether signals wait to be taken in."""
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._busy = busy
        self._woken = outbox.waker(database)
        self._offset: float | None = None

    async def run(self) -> None:
        """Fire for ever. Raises what the store raises; the supervisor starts it again."""
        while True:
            next_due = await self.fire_due(gives_way=True)
            await wait(self._clock, self._woken, self._sleep_s(next_due))

    async def fire_due(self, *, gives_way: bool = False) -> datetime | None:
        """Fire everything that is due, in batches; return when to look again.

        That is when the next timer is due, or a moment later where signals are let go first.
        """
        await self._follow_clock_back()
        while True:
            # A look first: an idle second costs no write transaction.
            async with self._database.read(short=True) as session:
                earliest = await repository.earliest(session)
            now = self._clock.now()
            due = [rank for rank, at in earliest.items() if at <= now]
            if not due:
                return min(earliest.values(), default=None)
            if gives_way and self._busy():
                due = [
                    rank for rank in due if rank >= URGENT_RANK or now >= earliest[rank] + PATIENCE
                ]
                if not due:
                    return now + _MOMENT
            async with self._database.transaction(short=True) as session:
                claimed = await self._fire_batch(session, due)
            if claimed == 0:
                return None  # another process is at it

    def _sleep_s(self, next_due: datetime | None) -> float:
        if next_due is None:
            return POLL_S
        ahead = (next_due - self._clock.now()).total_seconds()
        return min(POLL_S, max(_SHORTEST_SLEEP_S, ahead))

    async def _fire_batch(self, session: AsyncSession, ranks: Sequence[int]) -> int:
        await outbox.serialise(session)
        now, began = self._clock.now(), self._clock.monotonic()
        timers = await repository.claim_due(session, now, BATCH, ranks)
        if not timers:
            return 0
        found = await incident_rows.by_ids_locked(session, {t.incident_id for t in timers})
        fired = 0
        for group in _groups(timers, found):
            # At least one, however slow the machine is.
            if fired and self._clock.monotonic() - began > BUDGET_S:
                break
            await self._fire_group(session, group, found, now)
            fired += len(group)
        return fired

    async def _fire_group(
        self,
        session: AsyncSession,
        group: Sequence[Timer],
        found: Mapping[UUID, Incident],
        now: datetime,
    ) -> None:
        """Fire timers together; one by one if that fails, so that one holds back no other."""
        facts = [(timer.id, timer.kind, timer.due_at) for timer in group]
        try:
            async with session.begin_nested():
                if len(group) > 1:
                    due = [(found[timer.incident_id], timer) for timer in group]
                    await self._incidents.ring_all(session, due)
                else:
                    await self._fire(session, group[0], found.get(group[0].incident_id))
                await session.flush()
        except _POISON as error:
            if len(facts) > 1:
                for timer_id, _, _ in facts:
                    await self._fire_alone(session, timer_id, now)
                return
            timer_id, kind, _ = facts[0]
            _failed.inc()
            _log.error("timer_not_fired", timer=str(timer_id), kind=kind, error=repr(error))
            await repository.postpone(session, timer_id, now + RETRY)
        else:
            for _, kind, due_at in facts:
                _fired.labels(kind).inc()
                _late.observe(max(0.0, (now - due_at).total_seconds()))

    async def _fire_alone(self, session: AsyncSession, timer_id: UUID, now: datetime) -> None:
        """Fire one of a group that failed, from what the store still says of it."""
        timer = await repository.locked(session, timer_id)
        if timer is not None:
            found = await incident_rows.by_ids_locked(session, {timer.incident_id})
            await self._fire_group(session, [timer], found, now)

    async def _fire(self, session: AsyncSession, timer: Timer, incident: Incident | None) -> None:
        if incident is None:
            raise KeyError(f"timer {timer.id} belongs to no incident")
        await self._incidents.fire(session, incident, timer)

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


def _groups(timers: Sequence[Timer], found: Mapping[UUID, Incident]) -> Iterator[list[Timer]]:
    """Put neighbours together that ring for incidents in the same way; keeps their order."""
    group: list[Timer] = []
    for timer in timers:
        incident = found.get(timer.incident_id)
        rings = timer.kind == TimerKind.RING and incident is not None and incident.is_open
        if group and (not rings or len(group) >= GROUP):
            yield group
            group = []
        if rings:
            group.append(timer)
        else:
            yield [timer]
    if group:
        yield group
