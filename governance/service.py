"""Governance as one thing: its services, and the loops that run beside the requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from access.consent.service import Consent
from access.ledger.service import Ledger
from core.clock import Clock
from core.database import Database
from core.logging import get_logger
from core.metrics import counter
from core.secrets import SecretBox
from core.settings import Settings
from governance.areas.service import Areas, Departments
from governance.attachments.store import PictureStore
from governance.auditor import Auditor
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.sender import Sender
from governance.deliveries.service import Deliveries
from governance.dispatch.dispatcher import Dispatcher
from governance.dispatch.policies import Policies
from governance.duty.handing import HandOvers
from governance.duty.service import Rotas
from governance.incidents.service import Incidents
from governance.incidents.telling import Telling
from governance.outbox import repository as outbox_rows
from governance.outbox.broadcaster import Broadcaster
from governance.signals.intake import CamerasOf, Intake, no_cameras
from governance.signals.service import Signals
from governance.timers.loop import TimerLoop

KEEP_EVENTS = 100_000
KEEP_EVENTS_FOR = timedelta(days=7)
"""What a console that was away can resume from; older than either, it loads everything again."""

_PRUNE_EVERY_S = 3600.0
_BACKOFF_FIRST_S = 0.5
_BACKOFF_MAX_S = 30.0
_HEALTHY_AFTER_S = 60.0

_restarts = counter(
    "loop_restarts", "Background loops that failed and were started again", ("loop",)
)
_log = get_logger("governance")


class _Parts(Protocol):
    """What a hub has that governance needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def database(self) -> Database: ...
    @property
    def consent(self) -> Consent: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def secrets(self) -> SecretBox: ...


@dataclass(frozen=True)
class Governance:
    """The services of this floor, made once per process."""

    clock: Clock
    database: Database
    delivery_keys: DeliveryKeys
    deliveries: Deliveries
    sender: Sender
    incidents: Incidents
    signals: Signals
    intake: Intake
    pictures: PictureStore
    broadcaster: Broadcaster
    timers: TimerLoop
    auditor: Auditor
    policies: Policies
    dispatcher: Dispatcher
    areas: Areas
    departments: Departments
    rotas: Rotas
    hand_overs: HandOvers

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the loops as long as the block runs. A loop that fails is started again."""
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "timers": self.timers.run,
            "broadcaster": self.broadcaster.run,
            "auditor": self.auditor.run,
            "policies": self.policies.run,
            "deliveries": self.sender.run,
            "retention": self._prune_for_ever,
        }
        tasks = [
            asyncio.create_task(supervise(name, run, self.clock), name=f"governance-{name}")
            for name, run in loops.items()
        ]
        try:
            yield
        finally:
            await self.intake.settle()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def prune(self) -> int:
        """Delete the outbox events that nobody can resume from any more."""
        async with self.database.transaction() as session:
            return await outbox_rows.prune(
                session, before=self.clock.now() - KEEP_EVENTS_FOR, keep=KEEP_EVENTS
            )

    async def _prune_for_ever(self) -> None:
        while True:
            await self.prune()
            await self.clock.sleep(_PRUNE_EVERY_S)


def build_governance(parts: _Parts, cameras: CamerasOf = no_cameras) -> Governance:
    """Make the services for a hub's settings, clock and database. Opens nothing yet.

    `cameras` tells what the hub knows of the cameras that signals name.
    """
    keys = DeliveryKeys(parts.settings.deliveries_dir)
    deliveries = Deliveries(parts.clock, keys)
    incidents = Incidents(parts.settings.governance, parts.clock, parts.consent)
    signals = Signals(parts.clock, incidents)
    intake = Intake(parts.database, signals, cameras)
    policies = Policies(parts.database, parts.clock, parts.ledger, parts.settings.site.zone)
    dispatcher = Dispatcher(policies, deliveries, parts.clock)
    incidents.tell_through(Telling(policies, dispatcher, deliveries))
    rotas = Rotas(parts.clock, parts.ledger, parts.settings.site.zone)
    return Governance(
        clock=parts.clock,
        database=parts.database,
        delivery_keys=keys,
        deliveries=deliveries,
        sender=Sender(
            parts.database,
            parts.clock,
            parts.settings,
            secrets=parts.secrets,
            keys=keys,
            deliveries=deliveries,
        ),
        incidents=incidents,
        signals=signals,
        intake=intake,
        pictures=PictureStore(parts.settings.attachments_dir),
        broadcaster=Broadcaster(parts.database, parts.clock),
        timers=TimerLoop(parts.database, parts.clock, incidents, intake.is_waited_for),
        auditor=Auditor(
            parts.database, parts.clock, incidents, intake, area=parts.settings.site.area
        ),
        policies=policies,
        dispatcher=dispatcher,
        areas=Areas(parts.clock, parts.ledger),
        departments=Departments(parts.clock, parts.ledger),
        rotas=rotas,
        hand_overs=HandOvers(parts.clock, rotas),
    )


async def supervise(name: str, run: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run `run` for ever: a failure is logged, counted, and followed by a new start.

    The pause doubles from 0.5 s to 30 s and begins anew after a minute of health.
    """
    pause = _BACKOFF_FIRST_S
    while True:
        started = clock.monotonic()
        try:
            await run()
            _log.error("loop_ended", loop=name)
        except Exception as error:  # noqa: BLE001  # the top of a supervised loop
            _log.error("loop_failed", loop=name, error=repr(error), exc_info=error)
        _restarts.labels(name).inc()
        if clock.monotonic() - started > _HEALTHY_AFTER_S:
            pause = _BACKOFF_FIRST_S
        await clock.sleep(pause)
        pause = min(pause * 2, _BACKOFF_MAX_S)
