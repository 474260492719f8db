"""What becomes of a timer that came due: ring, escalate, resume, end, archive."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from governance.dispatch.snapshot import snapshot_of
from governance.incidents.base import Kernel
from governance.incidents.models import Incident
from governance.incidents.transitions import State, Step
from governance.timers import service as timers
from governance.timers.models import Timer
from governance.timers.service import TimerKind

_ASKED = ("assignee", "handler", "acknowledger", "duty")
"""Who is told again when a step takes too long, beside the level above."""


class Overdue(Kernel):
    """The decisions of the timer loop; it has locked the incident."""

    async def fire(self, session: AsyncSession, incident: Incident, timer: Timer) -> None:
        """Do what `timer` was set for, and set the next one.

        Raises:
            ValueError: the kind of the timer, or the state of the incident, does not exist.
        """
        timer.fired_at = self._clock.now()
        State(incident.state)
        kind = TimerKind(timer.kind)
        if kind is TimerKind.ARCHIVE:
            await self._archive(session, incident)
        elif not incident.is_open:
            return
        elif kind is TimerKind.RING:
            await self.ring_all(session, [(incident, timer)])
        elif kind is TimerKind.RESUME:
            await self._resume(session, incident)
        elif kind is TimerKind.END:
            await self._step(session, incident, Step.END, "close", data={"resolution": "test"},
                             resolution="test")  # fmt: skip
            await self.publish(session, incident, "close")
        else:
            await self._escalate(session, incident, timer)

    async def ring_again(
        self, session: AsyncSession, incident: Incident, reason: str = "pressed again"
    ) -> None:
        """Begin a new round of ringing: somebody has pressed the alarm once more.

        It goes on from the step that the ringing has come to (`timers.ring_again`). Without a
        policy nobody is rung for; then the consoles ring at once.
        """
        incident.round += 1
        if snapshot_of(incident.policy) is None:
            incident.ring_from = self._clock.now()
        else:
            await timers.ring_again(session, incident, self._clock.now())
        self.record(session, incident, "pressed_again", note=reason, data={"round": incident.round})

    async def repair(self, session: AsyncSession, incident: Incident) -> None:
        """Give an open incident the timer that it lacks."""
        now = self._clock.now()
        self.record(session, incident, "repaired", data={"missing": "timer"})
        # What has been told in this round is not told twice: a new one begins.
        incident.round += 1
        incident.ring_from = now
        await timers.schedule(session, incident, self._settings, now)
        await self.publish(session, incident, "repaired")

    async def ring_all(self, session: AsyncSession, due: Sequence[tuple[Incident, Timer]]) -> None:
        """Do what `fire` does for timers of kind `ring`, with as few questions as for one.

        The incidents are open and locked, and each is named once.
        """
        now = self._clock.now()
        steps: list[tuple[Incident, int]] = []
        for incident, timer in due:
            State(incident.state)
            timer.fired_at = now
            if timer.attempt > 0:
                self._count_overdue(session, incident, timer)
            if incident.acknowledged_at is None:
                steps.append((incident, timer.attempt))
            else:
                # Somebody has seen it before: whoever has it hears that it rings anew.
                await self._tell(session, incident, _ASKED, "alert", "again")
        if steps and self._telling is not None:
            await session.flush()
            await self._telling.dispatcher.run_steps(session, steps, "ring")
        changed: list[tuple[Incident, str]] = []
        for incident, timer in due:
            attempt = 0 if incident.acknowledged_at is not None else timer.attempt + 1
            await timers.follow(session, incident, self._settings, timer, attempt=attempt)
            rings = timer.attempt > 0 or incident.round > 0
            changed.append((incident, "escalated" if rings else "rang"))
        await self.publish_all(session, changed)

    async def _escalate(self, session: AsyncSession, incident: Incident, timer: Timer) -> None:
        self._count_overdue(session, incident, timer)
        if snapshot_of(incident.policy) is not None:
            await self.whistled(session, incident, f"{timer.kind} is overdue")
            await self._tell(session, incident, _ASKED, "reminder", timer.kind)
        await session.flush()
        await timers.follow(session, incident, self._settings, timer, attempt=timer.attempt + 1)
        await self.publish(session, incident, "escalated")

    def _count_overdue(self, session: AsyncSession, incident: Incident, timer: Timer) -> None:
        incident.escalations += 1
        incident.overdue = True
        self.record(
            session,
            incident,
            "escalated",
            data={"waiting_for": timer.kind, "attempt": timer.attempt + 1},
        )

    async def _resume(self, session: AsyncSession, incident: Incident) -> None:
        incident.suspended_until = None
        await self._step(session, incident, Step.RESUME, "resumed_by_timer")
        await self._tell(session, incident, ["handler", "assignee", "duty"], "alert", "suspended")
        await self.publish(session, incident, "resumed_by_timer")

    async def _archive(self, session: AsyncSession, incident: Incident) -> None:
        if incident.state != State.CLOSED:
            return
        incident.archived_at = self._clock.now()
        await self._step(session, incident, Step.ARCHIVE, "archived")
        await self.publish(session, incident, "archived")
