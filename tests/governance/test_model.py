"""Whatever happens in whatever order, in two processes and with a crash at any place.

Hypothesis chooses what happens; `model_hub` does it on a real store. After each step what the
design promises is looked up in the store itself.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import copyfile
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.metrics import REGISTRY
from governance.deliveries.models import Delivery
from governance.deliveries.types import RINGING
from governance.incidents.models import Incident
from governance.incidents.transitions import State
from governance.outbox.models import OutboxEvent
from governance.signals.models import Signal
from governance.signals.types import SignalIdReusedError
from tests.governance.loop_support import pending
from tests.governance.model_hub import ANSWERS, Hub, needless
from tests.governance.support import post, rows
from tests.governance.test_kernel import VERBS
from tests.support.stores import PostgresServer

PROCESS, WHICH, WHO = st.integers(0, 1), st.integers(0, 5), st.integers(0, 1)
KIND = st.sampled_from(["detection", "fault", "alarm", "alarm"])
PHASE = st.sampled_from(["started", "started", "continuing", "ended"])
SEVERITY = st.sampled_from(["Extreme", "Severe", "Minor"])
VERB = st.sampled_from([*VERBS, *["acknowledge"] * 5])
SAID = st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=6)


def _broken() -> float:
    """How many timers could not be fired: none may hide behind the postponing."""
    return REGISTRY.get_sample_value("camera_hub_timers_failed_total") or 0.0


class ClosedLoop(RuleBasedStateMachine):
    """What may happen, and what must hold after it."""

    def __init__(self, url: str, directory: Path) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.broken = _broken()
        self.hub = self.runner.run(self._opened(url, directory))

    async def _opened(self, url: str, directory: Path) -> Hub:
        hub = Hub.open(url, directory)
        await hub.people_and_ways()
        return hub

    def teardown(self) -> None:
        self.runner.run(self.hub.close())
        self.runner.close()

    @initialize(process=PROCESS)
    def pressed(self, process: int) -> None:
        self.post(process, "alarm", 0, "started", "Extreme")
        self.fire(process)

    @rule(process=PROCESS, kind=KIND, which=WHO, phase=PHASE, severity=SEVERITY)
    def post(self, process: int, kind: str, which: int, phase: str, severity: str) -> None:
        raw = self.hub.signal(kind, which, phase, severity)
        self.hub.posted.append(raw)
        self.runner.run(self.hub.post(process, raw))

    @rule(process=PROCESS, which=WHICH)
    def post_again(self, process: int, which: int) -> None:
        """Its sender has not heard the receipt."""
        raw = self.hub.posted[which % len(self.hub.posted)]
        self.runner.run(self.hub.post(process, raw))

    @rule(process=PROCESS, which=WHICH)
    def post_other_content(self, process: int, which: int) -> None:
        """An id that has a receipt stands for nothing else."""
        raw = self.hub.posted[which % len(self.hub.posted)]
        other = {**raw, "data": {**raw["data"], "headline": "Something else"}}
        self._changing_nothing(self._refused(process, other))

    @rule(process=PROCESS, kind=KIND, which=WHO)
    def crash_while_posting(self, process: int, kind: str, which: int) -> None:
        raw = self.hub.signal(kind, which, "started", "Extreme")
        self._changing_nothing(self.hub.post_and_crash(process, raw))

    @rule(process=PROCESS, verb=VERB, which=WHICH, who=WHO)
    def act(self, process: int, verb: str, which: int, who: int) -> None:
        self.runner.run(self.hub.act(process, verb, which, who))

    @rule(process=PROCESS, verb=VERB, which=WHICH, who=WHO)
    def act_and_crash(self, process: int, verb: str, which: int, who: int) -> None:
        self._changing_nothing(self.hub.act(process, verb, which, who, crash=True))

    @rule(seconds=st.sampled_from([1, 31, 61, 2000, 3_000_000]))
    def wait(self, seconds: int) -> None:
        self.hub.clock.advance(seconds)

    @rule(process=PROCESS)
    def fire(self, process: int) -> None:
        self.runner.run(self.hub.fire(process))
        timers = self.runner.run(pending(self.hub.databases[0]))
        assert all(timer.due_at > self.hub.clock.now() for timer in timers)
        assert _broken() == self.broken

    @rule(process=PROCESS, said=SAID)
    def send(self, process: int, said: list[str]) -> None:
        self.lease(process, said)
        self.answer(process, late=True)
        self.wait(16)

    @rule(process=PROCESS, said=SAID)
    def lease(self, process: int, said: list[str]) -> None:
        self.runner.run(self.hub.lease(process, said))

    @rule(process=PROCESS, late=st.booleans())
    def answer(self, process: int, late: bool) -> None:
        self.runner.run(self.hub.answer(process, late))

    @rule(process=PROCESS)
    def take_back(self, process: int) -> None:
        self.runner.run(self.hub.take_back(process))

    @rule(which=WHICH, verb=VERB, other=VERB, kind=KIND, said=SAID)
    def all_at_once(self, which: int, verb: str, other: str, kind: str, said: list[str]) -> None:
        """Both processes do everything at the same time, while a console listens."""
        hub = self.hub
        raw = hub.signal(kind, which % 2, "started", "Severe")
        hub.posted.append(raw)
        work = (
            hub.post(0, raw), hub.fire(0), hub.act(0, verb, which, 0),
            hub.lease(0, said, alone=False),
            hub.post(1, raw), hub.fire(1), hub.act(1, other, which, 1), hub.take_back(1),
        )  # fmt: skip
        self.runner.run(hub.listening_while(*work))

    @invariant()
    def what_must_hold(self) -> None:
        self.runner.run(self._check())
        self.hub.clock.advance(1)

    def _changing_nothing(self, work: Any) -> None:
        before = self.runner.run(self.hub.everything())
        self.runner.run(work)
        assert self.runner.run(self.hub.everything()) == before

    async def _refused(self, process: int, raw: dict[str, Any]) -> None:
        with suppress(SignalIdReusedError):
            await post(self.hub.kernel(process), raw)
            raise AssertionError("two contents under one id")

    async def _check(self) -> None:
        database = self.hub.databases[0]
        incidents = await rows(database, Incident)
        await self._check_signals(incidents)
        await self._check_timers(incidents)
        self._check_deliveries(incidents, await rows(database, Delivery))
        await self.hub.listen()
        assert self.hub.heard == [event.seq for event in await rows(database, OutboxEvent)]

    async def _check_signals(self, incidents: list[Incident]) -> None:
        stored = await rows(self.hub.databases[0], Signal)
        assert Counter(s.event_id for s in stored) == Counter(list(self.hub.receipts))
        known = {incident.id for incident in incidents}
        for found in stored:
            assert found.incident_id == self.hub.receipts[found.event_id].incident_id
            assert found.incident_id in known or found.phase != "started"
        years = defaultdict(list)
        for incident in incidents:
            year, _, number = incident.number.partition("-")
            years[year].append(int(number))
        for numbers in years.values():
            assert sorted(numbers) == list(range(1, len(numbers) + 1))
        keys = [incident.dedup_key for incident in incidents if incident.is_open]
        assert len(keys) == len(set(keys))

    async def _check_timers(self, incidents: list[Incident]) -> None:
        timers = Counter(t.incident_id for t in await pending(self.hub.databases[0]))
        assert timers == Counter(i.id for i in incidents if i.is_open or i.state == State.CLOSED)

    def _check_deliveries(self, incidents: list[Incident], told: list[Delivery]) -> None:
        attempts = defaultdict(list)
        of = {incident.id: incident for incident in incidents}
        for row in told:
            attempts[row.key].append(row)
            if row.state == "waiting" and row.purpose in RINGING and row.attempt == 1:
                # A later attempt is looked at again with its lease (`Hub.lease`).
                assert row.incident_id is not None
                assert not needless(row, of[row.incident_id])
        for key, found in attempts.items():
            assert sorted(row.attempt for row in found) == list(range(1, len(found) + 1)), key
            assert sum(row.state in {"waiting", "sending"} for row in found) <= 1, key


def _explore(place: Callable[[], ClosedLoop], examples: int, steps: int) -> None:
    run_state_machine_as_test(
        place,  # type: ignore[arg-type]  # it takes whatever makes a machine
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            # A failure is short enough to be read, and is told before the test times out.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_happens_the_closed_loop_holds_on_sqlite(
    tmp_path: Path, sqlite_template: Path
) -> None:
    machines = iter(range(10_000))

    def place() -> ClosedLoop:
        directory = tmp_path / str(next(machines))
        directory.mkdir()
        copyfile(sqlite_template, directory / "hub.db")
        return ClosedLoop(f"sqlite+aiosqlite:///{directory / 'hub.db'}", directory)

    _explore(place, examples=10, steps=25)


def test_whatever_happens_the_closed_loop_holds_on_postgresql(
    tmp_path: Path, postgres_server: PostgresServer, postgres_template: str
) -> None:
    machines = iter(range(10_000))

    def place() -> ClosedLoop:
        directory = tmp_path / str(next(machines))
        directory.mkdir()
        return ClosedLoop(postgres_server.url(postgres_server.create(postgres_template)), directory)

    _explore(place, examples=3, steps=20)
