"""Looks for what must never be: an open incident without a deadline, a deadline nobody heeds."""

from datetime import timedelta

from core.clock import Clock
from core.database import Database
from core.logging import get_logger
from core.metrics import counter, gauge
from governance.incidents import repository as incident_rows
from governance.incidents.service import Incidents
from governance.timers import repository as timer_rows

INTERVAL_S = 60.0
LATE = timedelta(seconds=30)
"""A timer overdue by more than this means that the timer loop stands still."""

_BATCH = 100

_repaired = counter("incidents_repaired", "Open incidents found without a timer, and given one")
_late_timers = gauge("timers_overdue", "Timers that should have fired long ago")
_log = get_logger("governance.auditor")


class Auditor:
    """Repairs what it can and reports everything it finds."""

    def __init__(self, database: Database, clock: Clock, incidents: Incidents) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents

    async def run(self) -> None:
        """Audit at once, and then every minute."""
        while True:
            await self.audit()
            await self._clock.sleep(INTERVAL_S)

    async def audit(self) -> int:
        """Give every open incident without a pending timer one; return how many there were."""
        async with self._database.read() as session:
            late = await timer_rows.count_late(session, self._clock.now(), LATE)
            suspects = await incident_rows.untimed(session, _BATCH)
        _late_timers.set(late)
        if late:
            _log.error("timers_overdue", count=late)
        repaired = 0
        for incident_id in suspects:
            async with self._database.transaction() as session:
                incident = await self._incidents.locked(session, incident_id)
                # Looked at again under the lock: it may have been closed in between.
                if not await incident_rows.is_untimed(session, incident_id):
                    continue
                await self._incidents.repair(session, incident)
            repaired += 1
            _repaired.inc()
            _log.error("incident_without_timer", incident=str(incident_id))
        return repaired
