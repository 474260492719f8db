"""Every decision about incidents: here opening, joining, seeing and noting; the rest by theme.

`steps` has the six steps, `field` what those say who go there, `merging` two that are one, and
`overdue` what becomes of a timer. Nothing here commits. Whoever calls `locked`, `open` or `fire` is
in a transaction that `governance.outbox.service.serialise` has made the only writer.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.repository import NewOpening
from access.policy.types import Actor
from governance.dispatch.policies import PolicyFacts
from governance.incidents import repository
from governance.incidents.errors import AlreadyAcknowledgedError, VersionConflictError
from governance.incidents.field import Field
from governance.incidents.kinds import ALARMS, DETECTIONS
from governance.incidents.merging import Merging
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.opening import SEVERITY_RANK, NewIncident, Opening, opening
from governance.incidents.overdue import Overdue
from governance.incidents.transitions import NOTED_STATES, IllegalTransitionError, State, Step
from governance.timers import service as timers
from governance.timers.models import Timer

__all__ = ["AlreadyAcknowledgedError", "Incidents", "NewIncident", "VersionConflictError"]


class Incidents(Merging, Field, Overdue):
    """The kernel's decisions, with its clock and its time limits."""

    async def open(self, session: AsyncSession, new: NewIncident) -> Incident:
        """Open an incident, with its first timer; `publish` it when its pictures are in place."""
        now = self._clock.now()
        number = await repository.next_number(session, now.year)
        made = self.opening(new, number, now)
        session.add(made.incident)
        await session.flush()
        session.add_all([IncidentLog(**made.entry), Timer(**made.timer)])
        await self.open_homes(session, [made.incident], {})
        return made.incident

    def opening(self, new: NewIncident, number: int, now: datetime) -> Opening:
        """Return what opens with `new` as the `number`th incident of the year; writes nothing."""
        policy: Mapping[str, Any] = {}
        if self._telling is not None:
            facts = PolicyFacts(new.kind, new.severity, new.status, new.area)
            policy = self._telling.policies.choose(facts, now)
        return opening(new, number=number, now=now, settings=self._settings, policy=policy)

    async def open_homes(
        self, session: AsyncSession, incidents: Sequence[Incident], areas: Mapping[UUID, str]
    ) -> None:
        """Tell the consent of incidents that may open a home: never an exercise or a test.

        `areas` has the areas of households, as far as the caller knows them.
        """
        opened: list[NewOpening] = []
        for incident in incidents:
            if incident.household_id is None or incident.status != "actual":
                continue
            if incident.kind in ALARMS:
                opened.append(NewOpening(incident.id, incident.household_id))
            elif incident.kind in DETECTIONS:
                opened.append(NewOpening(incident.id, incident.household_id, incident.camera_id))
        await self._consent.alarms_opened(session, opened, areas)

    async def join(self, session: AsyncSession, incident: Incident, new: NewIncident) -> None:
        """Count one more signal of a running incident.

        Its version stays, so that a stream of signals is in nobody's way; only a signal that
        is more severe than the incident changes what people decide on, and raises it.
        """
        now = self._clock.now()
        incident.signal_count += 1
        incident.last_signal_at = max(incident.last_signal_at, now)
        incident.observed_at = max(incident.observed_at, new.observed_at)
        if SEVERITY_RANK[new.severity] > incident.severity_rank:
            await self._raise_severity(session, incident, new.severity)

    def note_signal(
        self, session: AsyncSession, incident: Incident, action: str, data: Mapping[str, Any]
    ) -> None:
        """Write to the history that a signal has joined or that its event has ended."""
        self.record(session, incident, action, data=data)

    async def recover(self, session: AsyncSession, incident: Incident) -> bool:
        """Close an incident whose cause is gone, unless somebody is handling it already."""
        try:
            await self._step(session, incident, Step.RECOVER, "recovered", resolution="recovered")
        except IllegalTransitionError:
            return False
        return True

    async def acknowledge(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int
    ) -> bool:
        """Write down that `actor` has seen it; False if the same actor had done so before.

        Raises:
            VersionConflictError: the incident has changed.
            AlreadyAcknowledgedError: somebody else was first.
            IllegalTransitionError: it is no longer open.
        """
        if incident.acknowledged_at is not None and incident.acknowledged_by_id == actor.id:
            return False
        await self._check_version(session, incident, version)
        self._check_open(incident, "acknowledged")
        if incident.acknowledged_at is not None:
            raise AlreadyAcknowledgedError(
                f"{incident.acknowledged_by_name} has acknowledged incident "
                f"{incident.number} already.",
                remedy="Nothing is left to acknowledge; you can still handle it.",
            )
        incident.version += 1
        incident.overdue = False
        self.record(session, incident, "acknowledge", actor=actor)
        await self._seen(session, incident, actor)
        await timers.schedule(session, incident, self._settings, self._clock.now())
        await self._consent.alarm_answered(session, incident.id, actor)
        return True

    async def note(
        self, session: AsyncSession, incident: Incident, actor: Actor, text: str
    ) -> None:
        """Add to the history; changes nothing else, so it needs no version."""
        if State(incident.state) not in NOTED_STATES:
            raise IllegalTransitionError(
                f"Incident {incident.number} is {incident.state}; its history is complete.",
                remedy="Write it into the incident that goes on.",
                detail={"from_state": incident.state, "to_state": incident.state},
            )
        self.record(session, incident, "note", actor=actor, note=text)
