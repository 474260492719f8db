"""Whatever happens in whatever order, what must always hold does hold."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from core.clock import ManualClock
from core.errors import ConflictError, InvalidInputError
from core.ids import new_id
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.steps import Whom
from governance.incidents.transitions import OPEN_STATES, State
from governance.outbox.models import OutboxEvent
from governance.service import Governance, build_governance
from governance.signals.models import Signal
from governance.timers.models import Timer
from tests.governance.conftest import Parts
from tests.governance.support import person, post, signal
from tests.support.examples import examples

PEOPLE = [person("Li Na"), person("Wang Wei")]
ZONES = ["Roof", "Pump house"]
TYPES = ["org.camerahub.detection.intrusion", "org.camerahub.camera.offline"]

VERBS = [
    "acknowledge", "triage", "dispatch", "transfer", "send_back", "handle", "progress", "suspend",
    "resume", "feedback", "verify", "return", "close", "close", "reopen", "merge", "unmerge",
    "reject", "whistle", "ring_again", "note",
]  # fmt: skip
WATERWORKS = Whom(new_id(), "Waterworks")

STEPS = st.one_of(
    st.tuples(
        st.just("post"),
        st.sampled_from(TYPES),
        st.sampled_from(ZONES),
        st.sampled_from(["started", "started", "continuing", "ended"]),
        st.sampled_from(["Extreme", "Severe", "Minor"]),
    ),
    st.tuples(st.just("again"), st.integers(0, 50)),
    st.tuples(
        st.just("act"),
        st.sampled_from(VERBS),
        st.integers(0, 5),
        st.sampled_from([0, 1]),
        st.booleans(),
    ),
    st.tuples(st.just("advance"), st.sampled_from([1, 31, 61, 2000, 3_000_000])),
    st.tuples(st.just("jump"), st.sampled_from([-3600, 3600])),
    st.tuples(st.just("fire")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("at once"), st.integers(0, 5), st.sampled_from(ZONES)),
)


@dataclass
class World:
    """A kernel, and what its clients have seen of it."""

    parts: Parts
    kernel: Governance
    camera: UUID = field(default_factory=new_id)
    posted: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, UUID | None] = field(default_factory=dict)

    @property
    def clock(self) -> ManualClock:
        return self.parts.clock

    async def post(self, raw: dict[str, Any]) -> None:
        receipt = (await post(self.kernel, raw)).body
        assert self.receipts.setdefault(receipt.id, receipt.incident_id) == receipt.incident_id

    async def incidents(self) -> list[Incident]:
        async with self.parts.database.read() as session:
            query = select(Incident).where(Incident.camera_id == self.camera).order_by(Incident.id)
            return list(await session.scalars(query))

    async def act(self, verb: str, which: int, who: int, stale: bool) -> None:
        found = await self.incidents()
        if not found:
            return
        seen = found[which % len(found)]
        version = seen.version - 1 if stale else seen.version
        incidents, actor = self.kernel.incidents, PEOPLE[who]
        with suppress(ConflictError, InvalidInputError):
            async with self.parts.database.transaction() as session:
                incident = await incidents.locked(session, seen.id)
                await self.take(session, incident, verb, actor, version)
                await incidents.publish(session, incident, verb)

    async def take(  # noqa: C901  # one case for each step
        self, session: AsyncSession, incident: Incident, verb: str, actor: Actor, version: int
    ) -> None:
        incidents, at = self.kernel.incidents, (session, incident)
        soon = self.clock.now() + timedelta(seconds=90)
        match verb:
            case "acknowledge" | "resume":
                await getattr(incidents, verb)(*at, actor, version)
            case "feedback" | "handle" | "reject" | "reopen":
                await getattr(incidents, verb)(*at, actor, version, "so it is")
            case "triage":
                await incidents.triage(*at, actor, version, note="", severity="severe")
            case "dispatch":
                await incidents.dispatch(
                    *at, actor, version, department=WATERWORKS, assignee=None, note=""
                )
            case "transfer":
                await incidents.transfer(
                    *at, actor, version, department=WATERWORKS, reason="theirs"
                )
            case "send_back":
                await incidents.send_back(*at, actor, version, "not ours")
            case "suspend":
                await incidents.suspend(*at, actor, version, until=soon, reason="parts")
            case "verify" | "return":
                await incidents.verify(
                    *at, actor, version, passed=verb == "verify", note="x", resolution="handled"
                )
            case "close":
                await incidents.close(*at, actor, version, note="x", resolution="handled")
            case "progress":
                await incidents.progress(*at, actor, "going", 3)
            case "whistle":
                await incidents.whistle(*at, actor, "help")
            case "ring_again":
                if incident.is_open:
                    await incidents.ring_again(*at)
            case "merge":
                into = await self.another(session, incident)
                await incidents.merge(*at, actor, version, into=into, reason="one")
                await incidents.publish(session, into, "merge")
            case "unmerge":
                into_again = await incidents.unmerge(*at, actor, version, "two")
                if into_again is not None:
                    await incidents.publish(session, into_again, "unmerge")
            case _:
                await incidents.note(*at, actor, "seen")

    async def another(self, session: AsyncSession, incident: Incident) -> Incident:
        """Return the newest other incident of the camera, or itself."""
        query = (
            select(Incident)
            .where(Incident.camera_id == self.camera, Incident.id != incident.id)
            .order_by(Incident.id.desc())
            .limit(1)
        )
        return (await session.scalars(query)).one_or_none() or incident

    async def do(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("post", kind, zone, phase, severity):
                raw = signal(
                    ce_type=kind, camera_id=str(self.camera), zone_name=zone, phase=phase,
                    severity=severity,
                )  # fmt: skip
                self.posted.append(raw)
                await self.post(raw)
            case ("again", which):
                if self.posted:
                    await self.post(self.posted[which % len(self.posted)])
            case ("act", verb, which, who, stale):
                await self.act(verb, which, who, stale)
            case ("advance", seconds):
                self.clock.advance(seconds)
            case ("jump", seconds):
                self.clock.jump(seconds)
            case ("fire",):
                await self.kernel.timers.fire_due()
            case ("restart",):
                self.kernel = build_governance(self.parts)
            case ("at once", which, zone):
                raw = signal(camera_id=str(self.camera), zone_name=zone)
                self.posted.append(raw)
                await asyncio.gather(
                    self.act("handle", which, 0, False),
                    self.post(raw),
                    self.kernel.timers.fire_due(),
                    self.post(raw),
                    self.act("acknowledge", which, 1, False),
                )

    async def check(self) -> None:
        async with self.parts.database.read() as session:
            incidents = {i.id: i for i in await session.scalars(select(Incident))}
            stored = list(await session.scalars(select(Signal)))
            timers = list(await session.scalars(select(Timer)))
            logs = list(await session.scalars(select(IncidentLog).order_by(IncidentLog.id)))
            events = list(await session.scalars(select(OutboxEvent).order_by(OutboxEvent.seq)))
        ids = Counter(s.event_id for s in stored)
        assert all(ids[event_id] == 1 for event_id in self.receipts)
        assert all(
            s.incident_id == self.receipts[s.event_id]
            for s in stored
            if s.event_id in self.receipts
        )
        pending = {t.incident_id: t for t in timers if not t.fired_at and not t.cancelled_at}
        assert len(pending) == sum(not t.fired_at and not t.cancelled_at for t in timers)
        # Every open incident has a timer, to come or for the next look; a closed one waits for
        # its archive, and what has ended otherwise for nothing.
        assert set(pending) == {
            i.id for i in incidents.values() if i.is_open or i.state == State.CLOSED
        }
        keys = Counter(i.dedup_key for i in incidents.values() if i.is_open)
        assert not keys or max(keys.values()) == 1
        last_told = {e.incident_id: e.payload for e in events}
        for incident in incidents.values():
            assert incident.is_open == (incident.state in OPEN_STATES)
            assert (incident.closed_at is None) == (incident.is_open or incident.state == "merged")
            assert (incident.merged_into_id is not None) == (incident.state == "merged")
            timer = pending.get(incident.id)
            assert incident.next_due_at == (timer.due_at if timer and incident.is_open else None)
            assert incident.waiting_for == (timer.kind if timer else None)
            history = [log for log in logs if log.incident_id == incident.id]
            moves = [log for log in history if log.to_state]
            assert [m.from_state for m in moves] == [None, *(m.to_state for m in moves[:-1])]
            assert moves[-1].to_state == incident.state
            told = last_told[incident.id]
            assert (told["state"], told["version"]) == (incident.state, incident.version)


@settings(
    max_examples=examples(12),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=5, max_size=25))
async def test_every_open_incident_has_a_future_timer_or_a_current_acknowledgement(
    parts: Parts, steps: list[tuple[Any, ...]]
) -> None:
    world = World(parts, build_governance(parts))
    for step in steps:
        await world.do(step)
        await world.check()
    # And nothing waits for ever: however late, one look at the timers leaves none overdue.
    await world.kernel.timers.fire_due()
    async with parts.database.read() as session:
        query = select(Timer).where(Timer.fired_at.is_(None), Timer.cancelled_at.is_(None))
        due = [timer.due_at for timer in await session.scalars(query)]
    assert all(moment > parts.clock.now() for moment in due)
