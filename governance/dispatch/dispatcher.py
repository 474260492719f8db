"""Tells whom a step of a policy means: queues, whistles, and writes down who was told.

Nothing here commits, and nothing here sends. Whoever calls it is in a transaction that
`governance.outbox.service.serialise` has made the only writer, and has locked the incident.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.database import insert_rows
from core.logging import get_logger
from core.metrics import counter
from governance.deliveries.service import Deliveries
from governance.deliveries.types import Purpose, Recipient
from governance.dispatch.plan import (
    Plan,
    Resolver,
    look_up,
    plan_step,
    raised,
    subject_of,
    supposed,
)
from governance.dispatch.policies import Policies, PolicyFacts
from governance.dispatch.schemas import ForecastPerson, ForecastStep
from governance.dispatch.snapshot import (
    PolicySnapshot,
    SnapshotStep,
    due_after_s,
    snapshot_of,
    step_of,
)
from governance.incidents.models import Incident, IncidentLog

MOST_NAMES = 50
"""Names that one entry of a history holds; the deliveries list them all."""

_nobody = counter("dispatch_nobody", "Steps that could tell nobody whom they name")
_log = get_logger("governance.dispatch")


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What a step did.

    Attributes:
        told: how many people and rooms were told, or shown it on their consoles.
        channels: what the step tells them by.
        whistled: whether the level rose.
        queued: how many deliveries will be sent.
        nobody: nobody whom the step names could be told outside of a console.
    """

    told: int
    channels: tuple[str, ...]
    whistled: bool
    queued: int = 0
    nobody: bool = False


@dataclass(frozen=True, slots=True)
class _Planned:
    """A step of an incident, and whom it means now; `repeats`: all steps have been run before."""

    incident: Incident
    index: int
    step: SnapshotStep
    plan: Plan
    repeats: bool


class Dispatcher:
    """Runs the steps of policies."""

    def __init__(self, policies: Policies, deliveries: Deliveries, clock: Clock) -> None:
        self._policies = policies
        self._deliveries = deliveries
        self._clock = clock

    async def recipients(
        self, session: AsyncSession, incident: Incident, targets: Sequence[str], at: datetime
    ) -> list[Recipient]:
        """Return everybody whom `targets` mean at an instant, each once."""
        resolver = await Resolver.of(session, subject_of(incident), at, self._policies.zone)
        return await resolver.recipients(targets)

    async def run_step(
        self, session: AsyncSession, incident: Incident, index: int, reason: str
    ) -> StepOutcome:
        """Tell whom step `index` of the incident's policy means now.

        Steps past the last repeat the last, the widest. Sets `incident.level` where the step
        whistles. Does not publish and sets no timer: the caller does both. What was queued for
        the same round, index and reason before is not queued again.

        Args:
            session: a transaction that has the outbox's lock.
            incident: locked; one without a policy is told to those on duty.
            index: counts the steps of this round from 0.
            reason: why, in a word, such as `ring`, `progress` or `suspended`; part of the key.
        """
        return (await self.run_steps(session, [(incident, index)], reason))[0]

    async def run_steps(
        self, session: AsyncSession, steps: Sequence[tuple[Incident, int]], reason: str
    ) -> list[StepOutcome]:
        """Do the same for many incidents, each named once, with as few questions as for one."""
        at = self._clock.now()
        await look_up(session, [subject_of(incident) for incident, _ in steps], at)
        planned: list[_Planned] = []
        rows: list[dict[str, Any]] = []
        for incident, index in steps:
            policy = snapshot_of(incident.policy) or self._policies.choose(
                PolicyFacts(incident.kind, incident.severity, incident.status, incident.area), at
            )
            step = step_of(policy, index)
            plan = await plan_step(session, subject_of(incident), step, at, self._policies.zone)
            planned.append(_Planned(incident, index, step, plan, index >= len(policy["steps"])))
            key = f"{incident.round}.{index}.{reason}"[:60]
            purpose: Purpose = "alert" if reason == "ring" else "reminder"
            rows += await self._rows(
                session, incident, plan, channels=step["channels"], key=key, purpose=purpose
            )
        queued = await self._deliveries.add(session, rows)
        entries: list[dict[str, Any]] = []
        outcomes = [self._ran(entries, each, reason, queued[each.incident.id]) for each in planned]
        await _write(session, entries)
        return outcomes

    def _ran(
        self, entries: list[dict[str, Any]], done: _Planned, reason: str, queued: int
    ) -> StepOutcome:
        """Note for the history what a step did."""
        incident, plan, channels = done.incident, done.plan, done.step["channels"]
        whistled = plan.level > incident.level
        if whistled:
            incident.level = plan.level
            self._note(entries, incident, "whistle", {"level": plan.level, "by": "policy"})
        if plan.nobody:
            self._nobody(entries, incident, plan, repeated=done.repeats)
        self._note(entries, incident, "rang", _rang(plan, done.index, reason, channels, queued))
        return StepOutcome(
            told=len(plan.everybody),
            channels=tuple(channels),
            whistled=whistled,
            queued=queued,
            nobody=plan.nobody,
        )

    async def tell(
        self,
        session: AsyncSession,
        incident: Incident,
        targets: Sequence[str],
        *,
        channels: Sequence[str],
        round_key: str,
        purpose: Purpose,
        reason: str,
    ) -> StepOutcome:
        """Tell `targets` outside of the steps: who is assigned, or a level that is whistled for.

        Args:
            session: a transaction that has the outbox's lock.
            incident: locked.
            targets: words of a policy, such as `assignee`, `department` or `supervisor+1`.
            channels: what they are told by.
            round_key: names the occasion, at most 60 characters: nobody is told twice for it.
            purpose: why.
            reason: in a word, for the history.
        """
        step = {"after_s": 0.0, "targets": [*targets], "channels": [*channels], "whistle": False}
        plan = await plan_step(
            session,
            subject_of(incident),
            step,  # type: ignore[arg-type]
            self._clock.now(),
            self._policies.zone,
        )
        rows = await self._rows(
            session, incident, plan, channels=channels, key=round_key, purpose=purpose
        )
        queued = (await self._deliveries.add(session, rows)).total()
        entries: list[dict[str, Any]] = []
        if plan.nobody:
            self._nobody(entries, incident, plan, repeated=False)
        self._note(entries, incident, "rang", _rang(plan, None, reason, channels, queued))
        await _write(session, entries)
        return StepOutcome(
            len(plan.everybody), tuple(channels), whistled=False, queued=queued, nobody=plan.nobody
        )

    async def forecast(
        self,
        session: AsyncSession,
        facts: PolicyFacts,
        at: datetime,
        policy: PolicySnapshot | None = None,
    ) -> list[ForecastStep]:
        """Say who would be told, when and by what, if this happened and nobody acknowledged.

        The same code as `run_step`, without writing. The last entry is the first repetition.

        Args:
            session: read only.
            facts: what is supposed to happen.
            at: when.
            policy: the snapshot to try; None: the one in force that fits.
        """
        policy = policy or self._policies.choose(facts, at)
        subject = supposed(facts)
        found: list[ForecastStep] = []
        for index in range(len(policy["steps"]) + 1):
            step, after = step_of(policy, index), due_after_s(policy, index)
            when = at + timedelta(seconds=after)
            plan = await plan_step(session, subject, step, when, self._policies.zone)
            whistled = {(person.kind, person.id) for person in plan.whistled}
            channels = [] if facts.status != "actual" else step["channels"]
            found.append(
                ForecastStep(
                    index=index,
                    at=when,
                    after_s=after,
                    repeats=index == len(policy["steps"]),
                    level=plan.level,
                    whistle=plan.level > subject.level,
                    widened=bool(plan.widened),
                    nobody=plan.nobody,
                    channels=channels,
                    told=[
                        ForecastPerson(
                            kind=person.kind,
                            id=person.id,
                            name=person.name,
                            whistled=(person.kind, person.id) in whistled,
                            channels=plan.reach.of(person, channels, facts.area),
                        )
                        for person in plan.everybody
                    ],
                    depends=list(plan.depends),
                    gaps=[f"{w.rota.name} ({w.rota.area})" for w in plan.gaps if w.rota],
                )
            )
            subject = raised(subject, plan.level)
        return found

    async def _rows(
        self,
        session: AsyncSession,
        incident: Incident,
        plan: Plan,
        *,
        channels: Sequence[str],
        key: str,
        purpose: Purpose,
    ) -> list[dict[str, Any]]:
        if not channels:
            return []
        rows = await self._deliveries.rows_for(
            session, incident, plan.told, channels=channels, round_key=key, purpose=purpose
        )
        above = [*plan.whistled, *plan.widened]
        if above:
            rows += await self._deliveries.rows_for(
                session, incident, above, channels=channels, round_key=key, purpose="whistle"
            )
        return rows

    def _nobody(
        self, entries: list[dict[str, Any]], incident: Incident, plan: Plan, *, repeated: bool
    ) -> None:
        _nobody.inc()
        names = [person.name for person in [*plan.told, *plan.whistled]]
        if repeated:
            # Once for each step, not for each repetition of the last: the ringing goes on.
            return
        _log.warning("nobody_reachable", incident=str(incident.id), named=len(names))
        self._note(
            entries,
            incident,
            "nobody_reachable",
            {
                "named": names[:MOST_NAMES],
                "instead": [person.name for person in plan.widened][:MOST_NAMES],
            },
        )

    def _note(
        self,
        entries: list[dict[str, Any]],
        incident: Incident,
        action: str,
        data: dict[str, Any],
    ) -> None:
        entries.append(
            {
                "incident_id": incident.id,
                "at": self._clock.now(),
                "actor_id": None,
                "actor_name": "",
                "action": action,
                "from_state": None,
                "to_state": None,
                "note": "",
                "data": data,
            }
        )


async def _write(session: AsyncSession, entries: Sequence[dict[str, Any]]) -> None:
    """Write entries of histories behind those that the session holds already."""
    await session.flush()
    await insert_rows(session, IncidentLog, entries)


def _rang(
    plan: Plan, index: int | None, reason: str, channels: Sequence[str], queued: int
) -> dict[str, Any]:
    """Return what the history says of a step: who, by what, and at which level."""
    people = plan.everybody
    data: dict[str, Any] = {
        "reason": reason,
        "told": [{"name": p.name, "kind": p.kind} for p in people[:MOST_NAMES]],
        "more": max(0, len(people) - MOST_NAMES),
        "channels": [*channels],
        "queued": queued,
        "level": plan.level,
    }
    if index is not None:
        data["step"] = index
    return data
