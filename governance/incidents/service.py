"""Every decision about incidents: opening, joining, the steps of people, and escalation.

Nothing here commits. Whoever calls `locked`, `open_or_join` or `escalate` is in a transaction
that `governance.outbox.service.serialise` has made the only writer.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.service import Consent
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, NotFoundError
from core.settings_loop import GovernanceSettings
from governance.incidents import repository, views
from governance.incidents.kinds import ALARMS, DETECTIONS
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.opening import SEVERITY_RANK, NewIncident, Opening, opening
from governance.incidents.transitions import (
    NOTED_STATES,
    OPEN_STATES,
    IllegalTransitionError,
    State,
    Step,
    find,
)
from governance.outbox import service as outbox
from governance.timers import service as timers
from governance.timers.models import Timer


class VersionConflictError(ConflictError):
    """Somebody else has changed the incident since the caller looked (409)."""

    code = "version-conflict"


class AlreadyAcknowledgedError(ConflictError):
    """Somebody else has acknowledged it (409)."""

    code = "already-acknowledged"


class Incidents:
    """The kernel's decisions, with its clock and its time limits.

    `consent` is told, in the same transaction, what opens and closes a household's cameras.
    """

    def __init__(self, settings: GovernanceSettings, clock: Clock, consent: Consent) -> None:
        self._settings = settings
        self._clock = clock
        self._consent = consent

    async def get(self, session: AsyncSession, incident_id: UUID) -> Incident:
        """Return an incident to look at.

        Raises:
            NotFoundError: there is none.
        """
        return _found(await repository.by_id(session, incident_id))

    async def locked(self, session: AsyncSession, incident_id: UUID) -> Incident:
        """Return an incident to be changed in this transaction.

        Raises:
            NotFoundError: there is none.
        """
        await outbox.serialise(session)
        return _found(await repository.by_id_locked(session, incident_id))

    async def open(self, session: AsyncSession, new: NewIncident) -> Incident:
        """Open an incident, with its first timer; `publish` it when its pictures are in place."""
        now = self._clock.now()
        number = await repository.next_number(session, now.year)
        made = self.opening(new, number, now)
        session.add(made.incident)
        await session.flush()
        session.add_all([IncidentLog(**made.entry), Timer(**made.timer)])
        await self.open_home(session, made.incident)
        return made.incident

    def opening(self, new: NewIncident, number: int, now: datetime) -> Opening:
        """Return what opens with `new` as the `number`th incident of the year; writes nothing."""
        return opening(new, number=number, now=now, settings=self._settings, policy={})

    async def open_home(self, session: AsyncSession, incident: Incident) -> None:
        """Tell the consent of an incident that may open a home: never an exercise or a test."""
        if incident.household_id is None or incident.status != "actual":
            return
        if incident.kind in ALARMS:
            await self._consent.alarm_opened(session, incident.id, incident.household_id)
        elif incident.kind in DETECTIONS:
            await self._consent.alarm_opened(
                session, incident.id, incident.household_id, incident.camera_id
            )

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
            data = {"from": incident.severity, "to": new.severity}
            incident.severity = new.severity
            incident.severity_rank = SEVERITY_RANK[new.severity]
            incident.version += 1
            self._log(session, incident, "severity_raised", data=data)
            if incident.acknowledged_at is None:
                await timers.schedule(session, incident, self._settings, now)

    def note_signal(
        self, session: AsyncSession, incident: Incident, action: str, data: Mapping[str, Any]
    ) -> None:
        """Write to the history that a signal has joined or that its event has ended."""
        self._log(session, incident, action, data=data)

    async def recover(self, session: AsyncSession, incident: Incident) -> bool:
        """Close an incident whose cause is gone, unless somebody is handling it already."""
        try:
            transition = find(incident, Step.RECOVER)
        except IllegalTransitionError:
            return False
        incident.resolution = "recovered"
        await self._move(session, incident, transition.target, "recovered")
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
        if not incident.is_open:
            raise IllegalTransitionError(
                f"Incident {incident.number} is {incident.state}; "
                "only an open one can be acknowledged.",
                detail={"from_state": incident.state, "to_state": incident.state},
            )
        if incident.acknowledged_at is not None:
            raise AlreadyAcknowledgedError(
                f"{incident.acknowledged_by_name} has acknowledged incident "
                f"{incident.number} already.",
                remedy="Nothing is left to acknowledge; you can still handle it.",
            )
        self._set_acknowledged(incident, actor)
        incident.version += 1
        incident.overdue = False
        self._log(session, incident, "acknowledge", actor=actor)
        await self._consent.alarm_answered(session, incident.id, actor)
        await timers.schedule(session, incident, self._settings, self._clock.now())
        return True

    async def handle(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, note: str
    ) -> None:
        """Take it on, acknowledging it if nobody had."""
        await self._check_version(session, incident, version)
        transition = find(incident, Step.HANDLE)
        if incident.acknowledged_at is None:
            self._set_acknowledged(incident, actor)
        incident.handler_id = actor.id
        incident.handler_name = actor.display_name
        await self._move(session, incident, transition.target, "handle", actor=actor, note=note)
        await self._consent.alarm_answered(session, incident.id, actor)

    async def feedback(
        self, session: AsyncSession, incident: Incident, actor: Actor, version: int, note: str
    ) -> None:
        """Write down what was done; it then waits to be closed."""
        await self._check_version(session, incident, version)
        transition = find(incident, Step.FEEDBACK)
        await self._move(session, incident, transition.target, "feedback", actor=actor, note=note)

    async def close(
        self,
        session: AsyncSession,
        incident: Incident,
        actor: Actor,
        version: int,
        *,
        note: str,
        resolution: str,
    ) -> None:
        """Close it."""
        await self._check_version(session, incident, version)
        transition = find(incident, Step.CLOSE)
        incident.resolution = resolution
        await self._move(
            session,
            incident,
            transition.target,
            "close",
            actor=actor,
            note=note,
            data={"resolution": resolution},
        )

    async def note(
        self, session: AsyncSession, incident: Incident, actor: Actor, text: str
    ) -> None:
        """Add to the history; changes nothing else, so it needs no version."""
        if State(incident.state) not in NOTED_STATES:
            raise IllegalTransitionError(
                f"Incident {incident.number} is {incident.state}; its history is complete.",
                detail={"from_state": incident.state, "to_state": incident.state},
            )
        self._log(session, incident, "note", actor=actor, note=text)

    async def escalate(self, session: AsyncSession, incident: Incident, timer: Timer) -> None:
        """Make the most of a timer that came due: ring again, and set the next one."""
        now = self._clock.now()
        timer.fired_at = now
        if not incident.is_open:
            return
        incident.escalations += 1
        incident.overdue = True
        self._log(
            session,
            incident,
            "escalated",
            data={"waiting_for": timer.kind, "attempt": timer.attempt + 1},
        )
        await session.flush()
        await timers.schedule(session, incident, self._settings, now, attempt=timer.attempt + 1)
        await self.publish(session, incident, "escalated")

    async def repair(self, session: AsyncSession, incident: Incident) -> None:
        """Give an open incident the timer that it lacks."""
        self._log(session, incident, "repaired", data={"missing": "timer"})
        await timers.schedule(session, incident, self._settings, self._clock.now())
        await self.publish(session, incident, "repaired")

    async def publish(self, session: AsyncSession, incident: Incident, change: str) -> None:
        """Put the incident as it is now into the outbox. `change` is an action of the log."""
        await session.flush()
        event = change if change in ("opened", "escalated") else "updated"
        described = (await views.describe(session, [incident]))[0]
        await outbox.append(
            session,
            type=f"incident.{event}",
            area=incident.area,
            payload={**described.model_dump(mode="json"), "change": change},
            at=self._clock.now(),
            incident_id=incident.id,
            camera_id=incident.camera_id,
        )

    async def _move(
        self,
        session: AsyncSession,
        incident: Incident,
        target: State,
        action: str,
        *,
        actor: Actor | None = None,
        note: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        now = self._clock.now()
        origin = incident.state
        incident.state = target.value
        incident.version += 1
        incident.overdue = False
        incident.is_open = target in OPEN_STATES
        if target is State.CLOSED:
            incident.closed_at = now
        self._log(
            session,
            incident,
            action,
            actor=actor,
            from_state=origin,
            to_state=target.value,
            note=note,
            data=data,
        )
        if not incident.is_open:
            await self._consent.alarm_ended(session, incident.id, actor)
        await timers.schedule(session, incident, self._settings, now)

    async def _check_version(self, session: AsyncSession, incident: Incident, version: int) -> None:
        if version == incident.version:
            return
        current = (await views.describe(session, [incident]))[0]
        raise VersionConflictError(
            f"Incident {incident.number} has changed since you looked: "
            f"it is now version {incident.version}, you acted on {version}.",
            remedy="Look at it as it is now and decide again.",
            detail={"current": current.model_dump(mode="json")},
        )

    def _set_acknowledged(self, incident: Incident, actor: Actor) -> None:
        incident.acknowledged_at = self._clock.now()
        incident.acknowledged_by_id = actor.id
        incident.acknowledged_by_name = actor.display_name

    def _log(
        self,
        session: AsyncSession,
        incident: Incident,
        action: str,
        *,
        actor: Actor | None = None,
        from_state: str | None = None,
        to_state: str | None = None,
        note: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        session.add(
            IncidentLog(
                incident_id=incident.id,
                at=self._clock.now(),
                actor_id=None if actor is None else actor.id,
                actor_name="" if actor is None else actor.display_name,
                action=action,
                from_state=from_state,
                to_state=to_state,
                note=note,
                data=dict(data or {}),
            )
        )


def _found(incident: Incident | None) -> Incident:
    if incident is None:
        raise NotFoundError(
            "There is no such incident.", remedy="It may lie in an area you cannot see."
        )
    return incident
