"""Two processes of governance on one store, for the model of the closed loop.

The kernel, its policies, its dispatcher and its deliveries are the real ones; what a provider
answers is chosen by the model.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.consent.service import Consent
from access.ledger.models import LedgerEntry
from access.ledger.service import Ledger
from access.policy.types import Actor
from core.clock import ManualClock
from core.database import Base, Database
from core.errors import ConflictError, InvalidInputError
from core.ids import new_id
from core.secrets import SecretBox, new_key
from core.settings import Settings
from governance.contacts.models import HouseholdContact
from governance.deliveries.leases import Lease, Leases
from governance.deliveries.models import ContactPoint, Delivery, Gateway, PushSubscription
from governance.deliveries.outcome import Outcome, failed, unknown
from governance.deliveries.types import RINGING
from governance.incidents.models import Incident, IncidentLog
from governance.outbox.models import OutboxEvent
from governance.service import Governance, build_governance
from governance.signals.models import Signal
from governance.signals.schemas import SignalReceipt
from governance.signals.types import HouseholdFacts
from governance.timers.models import Timer
from tests.governance.conftest import Parts
from tests.governance.loop_support import account, household
from tests.governance.support import AREA, post, read, rows, signal
from tests.governance.test_alarms import alarm
from tests.governance.test_kernel import World

CAMERAS = [new_id(), new_id()]
WRITTEN: tuple[type[Base], ...] = (
    Signal, Incident, IncidentLog, Timer, Delivery, OutboxEvent, LedgerEntry,
)  # fmt: skip
ANSWERS: dict[str, Outcome | None] = {
    "sent": Outcome("sent"),
    "busy": failed("http-503"),
    "wrong": failed("http-400", permanent=True),
    "silent": unknown("timeout"),
    "killed": None,
}
"""What a provider may say; None: the sender is killed before it hears."""


class _CrashedError(Exception):
    """The process is gone before its commit."""


class _Acting(World):
    """The steps of people, and merging into any other open incident."""

    async def another(self, session: AsyncSession, incident: Incident) -> Incident:
        query = select(Incident).where(Incident.is_open, Incident.id != incident.id)
        return (await session.scalars(query.order_by(Incident.id).limit(1))).first() or incident


@dataclass
class Hub:
    """Two processes on one store, and what their clients have seen."""

    clock: ManualClock
    databases: list[Database]
    processes: list[_Acting]
    homes: list[UUID] = field(default_factory=list)
    people: list[Actor] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    receipts: dict[str, SignalReceipt] = field(default_factory=dict)
    held: list[tuple[Lease, str]] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)

    @classmethod
    def open(cls, url: str, directory: Path) -> "Hub":
        clock, secrets = ManualClock(), SecretBox(new_key())
        options = Settings(data_dir=directory / "data")
        options.attachments_dir.mkdir(parents=True)
        databases, processes = [Database(url), Database(url)], []
        for database in databases:
            ledger = Ledger(clock, directory / "keys")
            parts = Parts(options, clock, database, Consent(clock, ledger, UTC), ledger, secrets)
            processes.append(_Acting(parts, build_governance(parts)))
        return cls(clock, databases, processes)

    def kernel(self, process: int) -> Governance:
        return self.processes[process].kernel

    async def people_and_ways(self) -> None:
        """Staff with numbers and a browser, two households, a neighbour who agreed, a gateway."""
        kernel, now = self.kernel(0), self.clock.now()
        staff = [await account(kernel, role) for role in ("duty_staff", "supervisor", "patrol")]
        self.people = [_actor(person) for person in staff[:2]]
        self.homes = [await household(kernel, name) for name in ("Flat 1", "Flat 2")]
        neighbour = new_id()
        async with self.databases[0].transaction() as session:
            session.add_all([_gateway(now, "sms"), _gateway(now, "sms", "spare"),
                             _contact(neighbour, self.homes[0], now)])  # fmt: skip
            await session.flush()
            session.add_all(_point(now, account_id=person.id) for person in staff[:2])
            session.add(_point(now, contact_id=neighbour))
            session.add(
                PushSubscription(
                    id=new_id(), account_id=staff[0].id, endpoint_hash="x", host="push.example",
                    subscription_sealed="sealed", created_at=now,
                )
            )  # fmt: skip

    async def close(self) -> None:
        for database in self.databases:
            await database.close()

    def signal(self, kind: str, which: int, phase: str, severity: str) -> dict[str, Any]:
        if kind == "alarm":
            return alarm(self.homes[which])
        if kind == "fault":
            return signal(ce_type="org.camerahub.camera.offline", phase=phase, severity=severity,
                          camera_id=str(CAMERAS[which]))  # fmt: skip
        return signal(phase=phase, severity=severity, camera_id=str(CAMERAS[which]))

    async def post(self, process: int, raw: dict[str, Any]) -> None:
        """Post; whoever posts the same again gets what was said the first time."""
        receipt = (await post(self.kernel(process), raw)).body
        assert self.receipts.setdefault(receipt.id, receipt) == receipt

    async def post_and_crash(self, process: int, raw: dict[str, Any]) -> None:
        """Store a signal, and be gone before the commit."""
        kernel = self.kernel(process)
        home = raw["data"].get("household_id")
        facts = None if home is None else HouseholdFacts(UUID(home), AREA)
        with suppress(_CrashedError):
            async with kernel.database.transaction() as session:
                await kernel.signals.intake(session, read(kernel, raw), household=facts)
                raise _CrashedError

    async def act(
        self, process: int, verb: str, which: int, who: int, *, crash: bool = False
    ) -> None:
        """Do what an endpoint does around a step; refusals are answers."""
        world = self.processes[process]
        found = await rows(world.parts.database, Incident)
        if not found:
            return
        seen = found[-1 - which % len(found)]
        incidents = world.kernel.incidents
        with suppress(ConflictError, InvalidInputError, _CrashedError):
            async with world.parts.database.transaction() as session:
                incident = await incidents.locked(session, seen.id)
                await world.take(session, incident, verb, self.people[who], seen.version)
                await incidents.publish(session, incident, verb)
                if crash:
                    raise _CrashedError

    async def lease(self, process: int, answers: list[str], *, alone: bool = True) -> None:
        """Lease as many deliveries as there are answers; whoever is rung, nobody has seen it.

        Not `alone`, somebody may see it between the lease and the look at the incident here.
        """
        world = self.processes[process]
        leases = Leases(world.parts.database, self.clock, world.parts.settings.deliveries)
        taken = await leases.take({}, lane_limit=16, limit=len(answers))
        incidents = {i.id: i for i in await rows(world.parts.database, Incident)}
        for lease in taken:
            if alone and lease.row.purpose in RINGING and lease.row.incident_id is not None:
                assert not needless(lease.row, incidents[lease.row.incident_id])
        self.held += zip(taken, answers, strict=False)

    async def answer(self, process: int, late: bool) -> None:
        """Write down what the providers said; of a killed sender only its lease is left."""
        recorder = self.kernel(process).sender.recorder
        held, self.held = self.held, []
        for lease, said in held:
            outcome = ANSWERS[said]
            if outcome is not None:
                await recorder.record(lease.row, lease.id, outcome)
            if said == "silent" and late:
                self.held.append((lease, "sent"))

    async def take_back(self, process: int) -> None:
        """Take back what killed senders had leased."""
        world = self.processes[process]
        leases = Leases(world.parts.database, self.clock, world.parts.settings.deliveries)
        for lease in await leases.lost():
            await world.kernel.sender.recorder.record(
                lease.row, lease.id, unknown("sender-lost"), only_sending=True
            )

    async def listen(self) -> None:
        """Read the outbox as a console does: what lies behind the last number."""
        last = self.heard[-1] if self.heard else 0
        async with self.databases[1].read() as session:
            query = select(OutboxEvent.seq).where(OutboxEvent.seq > last).order_by(OutboxEvent.seq)
            self.heard += list(await session.scalars(query))

    async def listening_while(self, *work: Coroutine[Any, Any, None]) -> None:
        """Do `work` at the same time and read the outbox all the while."""
        tasks = asyncio.gather(*work)
        while not tasks.done():
            await self.listen()
            await asyncio.sleep(0)
        await tasks

    async def fire(self, process: int) -> None:
        await self.kernel(process).timers.fire_due()

    async def everything(self) -> list[Sequence[Any]]:
        """Return all that incidents are made of, as it is committed."""
        async with self.databases[0].read() as session:
            return [
                (
                    await session.execute(select(t.__table__).order_by(*t.__table__.primary_key))
                ).all()
                for t in WRITTEN
            ]


def needless(row: Delivery, incident: Incident) -> bool:
    """Say whether somebody had seen the incident, or it had ended, since this was promised."""
    seen = incident.acknowledged_at
    return not incident.is_open or (seen is not None and seen > row.created_at)


def _actor(person: Account) -> Actor:
    return Actor("account", person.id, person.username, person.display_name)


def _gateway(now: datetime, channel: str, name: str = "first") -> Gateway:
    return Gateway(id=new_id(), channel=channel, name=name, kind="http", url_sealed="sealed",
                   active=True, locale="en", created_at=now)  # fmt: skip


def _contact(identity: UUID, home: UUID, now: datetime) -> HouseholdContact:
    return HouseholdContact(id=identity, household_id=home, name="Wang", locale="en", asked_at=now,
                            token_hash="x", agreed_at=now)  # fmt: skip


def _point(now: datetime, **holder: UUID) -> ContactPoint:
    return ContactPoint(id=new_id(), channel="sms", address_sealed="sealed", verified_at=now,
                        created_at=now, **holder)  # fmt: skip
