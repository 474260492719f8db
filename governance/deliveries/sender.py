"""The loop that sends: leases rows, asks providers, and writes down how it went.

Rows are the truth and a wake-up is a convenience: the loop looks at least once a second. Every
provider (lane) has its own limit, so that one that hangs holds back nobody else.
"""

import asyncio
from collections import Counter
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from core.clock import Clock
from core.database import Database
from core.errors import HubError
from core.logging import get_logger
from core.metrics import counter, gauge
from core.outbound import Outbound
from core.secrets import SecretBox
from core.settings import Settings
from governance.deliveries.carriers import WebCarrier
from governance.deliveries.chat import AppriseCarrier
from governance.deliveries.errands import Errands, Place
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.leases import Lease, Leases
from governance.deliveries.models import Gateway
from governance.deliveries.outcome import Outcome, failed, unknown
from governance.deliveries.recording import Recorder
from governance.deliveries.service import Deliveries
from governance.deliveries.waking import waker
from governance.waiting import POLL_S, wait

LANE_LIMIT = 16
"""Requests to one provider at a time."""

LIMIT = 128
"""Requests at a time in all."""

SPARE = 64
"""Of these, so many are kept for what rings: whoever hears news may answer slowly on purpose."""

LATE_TIMES = 4
"""A provider is listened to for so many timeouts; after the first the row is `unknown`."""

_GRACE_S = 2.0
_RECORD_AGAIN_S = 1.0
_TOLERATED_S = 1.0  # slewing by NTP is no jump

_age = gauge("deliveries_oldest_waiting_seconds", "How long the longest due delivery has waited")
_lost = counter("deliveries_lost", "Attempts whose sender did not come back")
_broken = counter("deliveries_broken", "Attempts that ended in an error of the hub itself")
_log = get_logger("governance.deliveries")


class Sender:
    """Sends what is queued. Several processes may run one beside each other."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        *,
        secrets: SecretBox,
        keys: DeliveryKeys,
        deliveries: Deliveries,
    ) -> None:
        options = settings.deliveries
        self._clock = clock
        self._timeout_s = options.timeout_s
        self._leases = Leases(database, clock, options)
        self.recorder = Recorder(database, clock, options, deliveries)
        self._errands = Errands(
            database, clock, secrets=secrets, keys=keys, place=place_of(settings)
        )
        self._options = options
        self._keys = keys
        self._contact = push_contact(settings)
        self._woken = waker(database)
        self._running: set[asyncio.Task[None]] = set()
        self._busy: Counter[str] = Counter()
        self._offset: float | None = None

    async def run(self) -> None:
        """Send for ever. Raises what the store raises; the supervisor starts it again."""
        options = self._options
        outbound = Outbound(allow_private=options.allow_private, timeout_s=options.timeout_s)
        web = WebCarrier(outbound, self._keys, self._contact)
        chat = AppriseCarrier(self._clock, allow_private=options.allow_private)
        try:
            while True:
                await self._look(web, chat)
                await wait(self._clock, self._woken, POLL_S)
        finally:
            await self._wind_up()
            chat.close()
            await outbound.close()

    async def try_out(self, gateway: Gateway, to: str) -> Outcome:
        """Send a test message through `gateway` now, and say how that went; nothing is queued."""
        options = self._options
        outbound = Outbound(allow_private=options.allow_private, timeout_s=options.timeout_s)
        web = WebCarrier(outbound, self._keys, self._contact)
        chat = AppriseCarrier(self._clock, allow_private=options.allow_private)
        try:
            found = self._errands.prepare_test(gateway, to, web, chat)
            if isinstance(found, Outcome):
                return found
            async with asyncio.timeout(options.timeout_s):
                return await found(options.timeout_s)
        except TimeoutError:
            return unknown("timeout", "the provider did not answer in time")
        finally:
            chat.close()
            await outbound.close()

    async def _look(self, web: WebCarrier, chat: AppriseCarrier) -> None:
        """Take back what was lost, and start whatever is due and has room."""
        await self._follow_clock_back()
        for lease in await self._leases.lost():
            outcome = unknown("sender-lost", "the sender did not come back")
            if await self.recorder.record(lease.row, lease.id, outcome, only_sending=True):
                _lost.inc()
        oldest = await self._leases.oldest_waiting()
        waited = 0.0 if oldest is None else (self._clock.now() - oldest).total_seconds()
        _age.set(max(0.0, waited))
        room = LIMIT - self._busy.total()
        if oldest is None or room <= 0:
            return
        leases = await self._leases.take(self._busy, lane_limit=LANE_LIMIT, limit=room, spare=SPARE)
        for lease in leases:
            self._busy[lease.row.lane] += 1
            task = asyncio.create_task(self._send(lease, web, chat))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _send(self, lease: Lease, web: WebCarrier, chat: AppriseCarrier) -> None:
        """Send one row. The lane stays taken until the provider is done with, however late."""
        try:
            attempt = asyncio.create_task(self._attempt(lease, web, chat))
            try:
                done, _ = await asyncio.wait({attempt}, timeout=self._timeout_s)
                if not done:
                    uncertain = unknown("timeout", "the provider did not answer in time")
                    await self._record(lease, uncertain)
                await self._record(lease, await attempt)
            finally:
                attempt.cancel()
                with suppress(asyncio.CancelledError):
                    await attempt
        finally:
            self._busy[lease.row.lane] -= 1
            if self._busy[lease.row.lane] <= 0:
                del self._busy[lease.row.lane]
            self._woken.set()

    async def _attempt(self, lease: Lease, web: WebCarrier, chat: AppriseCarrier) -> Outcome:
        try:
            try:
                found = await self._errands.prepare(lease.row, web, chat)
            except (SQLAlchemyError, HubError, OSError):
                return failed("store-away", "the database could not be read")
            if isinstance(found, Outcome):
                return found
            return await found(self._timeout_s * LATE_TIMES)
        except Exception as error:  # noqa: BLE001  # the top of one sending: others go on
            _broken.inc()
            _log.error("delivery_broken", delivery=str(lease.row.id), error=type(error).__name__)
            return unknown("internal", "an error of the hub itself; its log says more")

    async def _record(self, lease: Lease, outcome: Outcome) -> None:
        """Write the outcome, again and again while the store is away, as long as it may count."""
        tries = int(self._leases.seconds / _RECORD_AGAIN_S)
        while True:
            try:
                await self.recorder.record(lease.row, lease.id, outcome)
            except (SQLAlchemyError, HubError, OSError) as error:
                tries -= 1
                _log.error("delivery_not_recorded", delivery=str(lease.row.id), error=repr(error))
                if tries <= 0:
                    return  # the lease runs out, and the row becomes `unknown`
                await self._clock.sleep(_RECORD_AGAIN_S)
            else:
                return

    async def _wind_up(self) -> None:
        """Give what runs a moment to end; what does not becomes `unknown` when its lease ends."""
        running = set(self._running)
        if not running:
            return
        with suppress(asyncio.CancelledError):
            await asyncio.wait(running, timeout=_GRACE_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _follow_clock_back(self) -> None:
        offset = self._clock.now().timestamp() - self._clock.monotonic()
        before, self._offset = self._offset, offset
        if before is None or offset < before - _TOLERATED_S:
            await self._leases.follow_clock_back()


def place_of(settings: Settings) -> Place:
    """Return what messages need to know of the site."""
    return Place(base_url=base_url(settings), name=settings.site.name, zone=settings.site.zone)


def base_url(settings: Settings) -> str:
    """Return the address at which people reach the hub, without a slash at its end."""
    server = settings.server
    chosen = settings.run_dir / "url"  # of a node that took any free port
    if not server.public_url and server.port == 0 and chosen.is_file():
        return chosen.read_text(encoding="utf-8").rstrip("/")
    return (server.public_url or f"http://{server.host}:{server.port}").rstrip("/")


def push_contact(settings: Settings) -> str:
    """Return the address by which push services may reach whoever runs the hub (RFC 8292)."""
    if settings.deliveries.contact:
        return settings.deliveries.contact
    public = settings.server.public_url
    return public if public.startswith("https://") else "mailto:camera-hub@localhost.localdomain"
