"""Looks for what must never be: an open incident without a deadline, a deadline nobody heeds, a
message that nobody sends. Repairs what it can, and reports the rest to people through the queue.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.clock import Clock
from core.database import Database
from core.ids import new_id
from core.logging import get_logger
from core.metrics import counter, gauge
from governance.deliveries import repository as delivery_rows
from governance.incidents import repository as incident_rows
from governance.incidents.service import Incidents
from governance.signals.intake import Intake, IntakeItem
from governance.signals.reading import ReadSignal, read_signal
from governance.timers import repository as timer_rows

INTERVAL_S = 60.0
LATE = timedelta(seconds=30)
"""A timer overdue by more than this means that the timer loop stands still."""
STUCK = timedelta(minutes=2)
"""A message that should have left so long ago means that the sender stands still."""

SOURCE = "/hub/auditor"
_TYPE = "org.camerahub.process.failed"
_BATCH = 100

_repaired = counter("incidents_repaired", "Open incidents found without a timer, and given one")
_late_timers = gauge("timers_overdue", "Timers that should have fired long ago")
_stuck_messages = gauge("deliveries_overdue", "Messages that should have left long ago")
_log = get_logger("governance.auditor")

HEADLINES = {
    "timers": "Deadlines do not fire",
    "deliveries": "Messages do not leave",
}
"""What a person reads, by what stands still."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one audit found. Times are those of the audit."""

    at: datetime
    repaired: int = 0
    late_timers: int = 0
    stuck_deliveries: int = 0

    @property
    def standing_still(self) -> frozenset[str]:
        """What does not do its work."""
        still = {"timers": self.late_timers, "deliveries": self.stuck_deliveries}
        return frozenset(name for name, count in still.items() if count)

    @property
    def all_is_well(self) -> bool:
        """Whether everything does what it should. What was repaired is well again."""
        return not self.standing_still


class Auditor:
    """Repairs what it can and reports everything it finds. `area`: whose fault it is, the node's.

    `last` is the newest audit; it is what the dead man's switch goes by.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        incidents: Incidents,
        intake: Intake,
        *,
        area: str = "",
    ) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._intake = intake
        self._area = area
        self.last: Findings | None = None

    async def run(self) -> None:
        """Audit at once, and then every minute."""
        while True:
            await self.audit()
            await self._clock.sleep(INTERVAL_S)

    async def audit(self) -> Findings:
        """Look once: repair every open incident without a pending timer, and report."""
        now = self._clock.now()
        async with self._database.read() as session:
            late = await timer_rows.count_late(session, now, LATE)
            stuck = await delivery_rows.count_overdue(session, now - STUCK)
            suspects = await incident_rows.untimed(session, _BATCH)
        _late_timers.set(late)
        _stuck_messages.set(stuck)
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
        found = Findings(now, repaired, late, stuck)
        await self._report(found)
        self.last = found
        return found

    async def _report(self, found: Findings) -> None:
        for subject, headline in HEADLINES.items():
            stands_still = subject in found.standing_still
            signal = self._signal(subject, headline, "started" if stands_still else "ended")
            if not stands_still:
                async with self._database.read() as session:
                    if not await incident_rows.is_open_with_key(session, signal.event.dedup_key):
                        continue
            else:
                _log.error("standing_still", what=subject)
            await self._intake.submit(IntakeItem(signal))

    def _signal(self, subject: str, headline: str, phase: str) -> ReadSignal:
        event = {
            "specversion": "1.0",
            "id": str(new_id()),
            "source": SOURCE,
            "type": _TYPE,
            "subject": subject,
            "data": {
                "phase": phase,
                "category": "Infra",
                "urgency": "Immediate",
                "severity": "Severe",
                "certainty": "Observed",
                "headline": headline,
                "area": self._area,
            },
        }
        return read_signal(event, self._clock.now())
