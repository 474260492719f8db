"""Who has fallen silent, who is heard again, whose battery is low: looked at every two seconds.

A row's `last_seen_at` is only compared with itself: a device is quiet while this process sees it
unchanged, measured by the monotonic clock. So a hub that was down, slept or had its clock set
calls nobody silent for it, and several processes may watch beside each other.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from access.households.models import Household
from core.clock import Clock
from core.database import Database
from core.metrics import counter, gauge
from governance.alarms import repository
from governance.alarms.faults import BATTERY, SILENT, fault
from governance.alarms.models import AlarmDevice
from governance.alarms.presence import LOW_PCT, MISSES, RECHARGED_PCT, Heard
from governance.alarms.service import AlarmDevices
from governance.signals.reading import ReadSignal

LOOK_EVERY_S = 2.0
_LATE_S = 5 * LOOK_EVERY_S
"""A look this late means that the whole process was stopped: then everybody gets a new start."""

_AT_ONCE = 5000
"""Devices asked for in one question: a store takes only so many parameters."""

_silent = gauge("alarm_devices_silent", "Alarm devices that have missed three heartbeats")
_fell = counter("alarm_devices_fell_silent", "Times that an alarm device fell silent")

Send = Callable[[Sequence[ReadSignal]], Awaitable[None]]


class DeviceWatch:
    """Watches the devices of all households. `send` stores signals and returns after the commit."""

    def __init__(self, database: Database, clock: Clock, devices: AlarmDevices, send: Send) -> None:
        self._database = database
        self._clock = clock
        self._presence = devices.presence
        self._send = send
        self._looked: float | None = None
        self._told_batteries: set[tuple[UUID, str]] = set()

    async def run(self) -> None:
        """Watch for ever. Raises what the store raises; the supervisor starts it again."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Write what was heard, then tell what has changed."""
        now = self._clock.monotonic()
        if self._looked is not None and now - self._looked > _LATE_S:
            self._presence.start_anew()
        self._looked = now
        await self._write()
        async with self._database.read() as session:
            rows = await repository.watched(session)
            homes = await repository.households(session, {row.household_id for row in rows})
        for row in rows:
            await self._judge(row, homes[row.household_id])
        _silent.set(sum(row.missed > 0 for row in rows))

    async def _write(self) -> None:
        """Write all that was heard in one transaction; nothing is forgotten if that fails."""
        taken = self._presence.take()
        if not taken:
            return
        try:
            async with self._database.transaction() as session:
                ids = sorted(taken)
                for first in range(0, len(ids), _AT_ONCE):
                    some = ids[first : first + _AT_ONCE]
                    for row in await repository.by_ids_locked(session, some):
                        _note(row, taken[row.id])
        except BaseException:
            self._presence.put_back(taken)
            raise

    async def _judge(self, row: AlarmDevice, home: Household) -> None:
        quiet_s = self._presence.quiet_for(row.id, row.last_seen_at)
        if row.heartbeat_s is not None and row.last_seen_at is not None:
            if row.missed < 0:
                await self._back(row, home)
            elif not row.missed and quiet_s > MISSES * row.heartbeat_s + LOOK_EVERY_S:
                await self._fell_silent(row, home)
        if row.battery_low_at is not None:
            await self._battery(row, home)

    async def _fell_silent(self, row: AlarmDevice, home: Household) -> None:
        await self._tell(row, home, "started", f"No sign of life from {_named(row, home)}")
        await self._set_missed(row, MISSES)
        _fell.inc()

    async def _back(self, row: AlarmDevice, home: Household) -> None:
        await self._tell(row, home, "ended", f"{_named(row, home)} is heard again")
        await self._set_missed(row, 0)

    async def _tell(self, row: AlarmDevice, home: Household, phase: str, headline: str) -> None:
        assert row.last_seen_at is not None
        signal = fault(
            self._clock.now(),
            type=SILENT,
            about=str(row.id),
            at=row.last_seen_at.isoformat(),
            headline=headline,
            area=home.area,
            phase="started" if phase == "started" else "ended",
        )
        await self._send([signal])

    async def _set_missed(self, row: AlarmDevice, missed: int) -> None:
        # The signal first: killed in between, the same signal is sent again and is known.
        async with self._database.transaction() as session:
            await repository.set_values(session, row.id, missed=missed)
        row.missed = missed

    async def _battery(self, row: AlarmDevice, home: Household) -> None:
        assert row.battery_low_at is not None
        once = (row.id, row.battery_low_at.isoformat())
        if once in self._told_batteries:
            return
        signal = fault(
            self._clock.now(),
            type=BATTERY,
            about=str(row.id),
            at=once[1],
            headline=f"Battery of {_named(row, home)} is low ({row.battery_pct} %)",
            area=home.area,
            key="battery",
            severity="Minor",
        )
        await self._send([signal])
        self._told_batteries.add(once)


def _note(row: AlarmDevice, heard: Heard) -> None:
    row.last_seen_at = heard.at
    # Below zero: heard again, and nobody told so yet. It outlives a kill, as the silence does.
    row.missed = -abs(row.missed)
    row.last_counter = max(row.last_counter, heard.counter)
    if heard.battery_pct is None:
        return
    row.battery_pct = heard.battery_pct
    if heard.battery_pct < LOW_PCT and row.battery_low_at is None:
        row.battery_low_at = heard.at
    elif heard.battery_pct >= RECHARGED_PCT:
        row.battery_low_at = None


def _named(row: AlarmDevice, home: Household) -> str:
    return f"'{row.name}' of {home.name}"
