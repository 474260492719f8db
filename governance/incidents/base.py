"""What every decision about incidents is made of: lock, version, state, history, telling.

Nothing here commits. Whoever calls `locked` is in a transaction that
`governance.outbox.service.serialise` has made the only writer.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.service import Consent
from access.policy.areas import ancestors
from access.policy.types import Actor
from core.clock import Clock
from core.errors import NotFoundError
from core.settings_loop import GovernanceSettings
from governance.deliveries.types import Purpose
from governance.dispatch.policies import PolicyFacts
from governance.dispatch.snapshot import snapshot_of
from governance.incidents import repository, views
from governance.incidents.errors import VersionConflictError
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.opening import SEVERITY_RANK
from governance.incidents.telling import Telling, channels_of
from governance.incidents.transitions import (
    OPEN_STATES,
    IllegalTransitionError,
    State,
    Step,
    find,
)
from governance.outbox import service as outbox
from governance.timers import service as timers

RINGING_CHANGES = frozenset({"escalated", "pressed_again", "resumed_by_timer", "whistle", "reopen"})
"""Changes for which the consoles ring, as they do for a new incident."""


class Kernel:
    """What the themes of `Incidents` share.

    `consent` is told, in the same transaction, what opens and closes a household's cameras.
    """

    def __init__(self, settings: GovernanceSettings, clock: Clock, consent: Consent) -> None:
        self._settings = settings
        self._clock = clock
        self._consent = consent
        self._telling: Telling | None = None

    def tell_through(self, telling: Telling | None) -> None:
        """Take those who tell people; without them the consoles alone hear of what happens."""
        self._telling = telling

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

    async def publish(self, session: AsyncSession, incident: Incident, change: str) -> None:
        """Put the incident as it is now into the outbox. `change` is an action of the log."""
        await self.publish_all(session, [(incident, change)])

    async def publish_all(
        self, session: AsyncSession, changed: Sequence[tuple[Incident, str]]
    ) -> None:
        """Put many incidents into the outbox, in this order, with what has changed of each."""
        await session.flush()
        now = self._clock.now()
        described = await views.describe(session, [incident for incident, _ in changed])
        await outbox.append_all(
            session,
            [
                {
                    "type": f"incident.{_event_of(change)}",
                    "area": incident.area,
                    "incident_id": incident.id,
                    "camera_id": incident.camera_id,
                    "payload": {**seen.model_dump(mode="json"), "change": change},
                    "created_at": now,
                }
                for (incident, change), seen in zip(changed, described, strict=True)
            ],
        )

    def record(
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
        """Add to the history and change nothing else; without `actor` the hub itself did it."""
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

    async def whistled(
        self, session: AsyncSession, incident: Incident, note: str, actor: Actor | None = None
    ) -> None:
        """Tell the level above; the lower one stays with it. Above the site there is nobody."""
        highest = len(ancestors(incident.area)) - 1
        incident.level = min(incident.level + 1, max(incident.level, highest))
        self.record(
            session, incident, "whistle", actor=actor, note=note, data={"level": incident.level}
        )
        above = [f"{word}+{incident.level}" for word in ("supervisor", "duty")]
        await self._tell(session, incident, above, "whistle", "whistle")

    def _choose_policy(self, incident: Incident) -> bool:
        """Take the policy for what the incident has become; False if that is the one it has.

        One without a policy keeps the limits of the settings.
        """
        if self._telling is None or snapshot_of(incident.policy) is None:
            return False
        facts = PolicyFacts(incident.kind, incident.severity, incident.status, incident.area)
        policy = self._telling.policies.choose(facts, self._clock.now())
        if policy["id"] == incident.policy.get("id"):
            return False
        incident.policy = dict(policy)
        return True

    async def _ring_from_now(self, session: AsyncSession, incident: Incident) -> None:
        """Begin a new round of ringing, whoever has acknowledged the last one."""
        now = self._clock.now()
        incident.round += 1
        incident.ring_from = now
        if snapshot_of(incident.policy) is not None:
            await timers.set_ring(session, incident, now)

    async def _raise_severity(
        self, session: AsyncSession, incident: Incident, severity: str
    ) -> None:
        """Write that it is worse than it seemed; where that asks for another policy, ring by it."""
        data = {"from": incident.severity, "to": severity}
        incident.severity, incident.severity_rank = severity, SEVERITY_RANK[severity]
        incident.version += 1
        if self._choose_policy(incident):
            self.record(
                session,
                incident,
                "severity_raised",
                data={**data, "policy": incident.policy["id"]},
            )
            await self._ring_from_now(session, incident)
            return
        self.record(session, incident, "severity_raised", data=data)
        await timers.raise_rank(session, incident, self._settings, self._clock.now())

    async def _tell(
        self,
        session: AsyncSession,
        incident: Incident,
        targets: Sequence[str],
        purpose: Purpose,
        reason: str,
    ) -> None:
        """Promise to tell `targets` once more, whatever they were told before."""
        if self._telling is None:
            return
        await session.flush()
        entries = await repository.count_log(session, incident.id)
        await self._telling.dispatcher.tell(
            session,
            incident,
            targets,
            channels=channels_of(incident),
            # The history only grows: no two steps of an incident share its length.
            round_key=f"{entries}.{reason}"[:60],
            purpose=purpose,
            reason=reason,
        )

    async def _seen(self, session: AsyncSession, incident: Incident, actor: Actor) -> bool:
        """Write that `actor` has seen it, if nobody had, and end the ringing; True if new.

        The caller says so to the consent, too, at its end: `alarm_answered` writes to the ledger.
        """
        if incident.acknowledged_at is not None:
            return False
        incident.acknowledged_at = self._clock.now()
        incident.acknowledged_by_id = actor.id
        incident.acknowledged_by_name = actor.display_name
        if self._telling is not None:
            await session.flush()
            await self._telling.deliveries.acknowledged(session, incident, actor.display_name)
        return True

    async def _step(
        self,
        session: AsyncSession,
        incident: Incident,
        step: Step,
        action: str,
        *,
        actor: Actor | None = None,
        note: str = "",
        data: Mapping[str, Any] | None = None,
        resolution: str | None = None,
    ) -> None:
        """Take the arrow of `step` from where the incident stands; `resolution` is how it ended.

        Raises:
            ConflictError: there is none, or a guard refuses.
        """
        target = find(incident, step).target_of(incident)
        if resolution is not None:
            incident.resolution = resolution
        await self._move(session, incident, target, action, actor=actor, note=note, data=data)

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
        origin, was_open = incident.state, incident.is_open
        incident.state = target.value
        incident.version += 1
        incident.overdue = False
        incident.is_open = target in OPEN_STATES
        if target in {State.CLOSED, State.REJECTED}:
            incident.closed_at = now
        self.record(
            session,
            incident,
            action,
            actor=actor,
            from_state=origin,
            to_state=target.value,
            note=note,
            data=data,
        )
        await timers.schedule(session, incident, self._settings, now)
        if was_open and target in {State.CLOSED, State.REJECTED}:
            await self._over(session, incident, actor)

    async def _over(self, session: AsyncSession, incident: Incident, actor: Actor | None) -> None:
        """Tell everybody who was told that it is over, and close what its alarm had opened.

        Those of the incidents that were merged into it hear of it, too.
        """
        await session.flush()
        merged = await repository.merged_into(session, incident.id)
        for one in (incident, *merged):
            if self._telling is not None:
                await self._telling.deliveries.over(session, one)
        for one in merged:
            data = {"into": incident.number, "resolution": incident.resolution}
            self.record(session, one, "close", actor=actor, data=data)
            await self.publish(session, one, "close")
        # These append to the ledger, whose lock comes last.
        for one in (incident, *merged):
            await self._consent.alarm_ended(session, one.id, actor)

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

    def _check_open(self, incident: Incident, what: str) -> None:
        if incident.is_open:
            return
        raise IllegalTransitionError(
            f"Incident {incident.number} is {incident.state}; only an open one can be {what}.",
            remedy="Look at what is possible now; somebody may have moved it on.",
            detail={"from_state": incident.state, "to_state": incident.state},
        )


def _event_of(change: str) -> str:
    if change == "opened":
        return "opened"
    return "escalated" if change in RINGING_CHANGES else "updated"


def _found(incident: Incident | None) -> Incident:
    if incident is None:
        raise NotFoundError(
            "There is no such incident.", remedy="It may lie in an area you cannot see."
        )
    return incident
