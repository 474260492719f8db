"""What this process has heard of the devices, and how long each has been quiet.

Quiet is measured by this process's monotonic clock from when it saw the row change last. So neither
a wall clock that is set, nor the time in which no hub ran, makes a device silent.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from core.clock import Clock

MISSES = 3
"""Heartbeats missed in a row that make a device silent."""

LOW_PCT = 15
RECHARGED_PCT = 25
"""A battery that was low is so no longer at this charge: around the limit it is told once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a device since the rows were written last."""

    at: datetime
    battery_pct: int | None
    counter: int


class Presence:
    """Heartbeats wait here for the next write: one transaction for all that came meanwhile.

    `deaf` names the doors (`mqtt`, `dc09`) through which nothing can be heard now: a device that
    speaks through one of them is not quiet, the hub is deaf.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[UUID, Heard] = {}
        self._marks: dict[UUID, tuple[datetime | None, float]] = {}
        self._via: dict[UUID, str] = {}
        self.deaf: set[str] = set()
        self.heard_at: dict[UUID, datetime] = {}

    def heard(
        self,
        device_id: UUID,
        *,
        battery_pct: int | None = None,
        counter: int = 0,
        via: str = "http",
    ) -> datetime:
        """Note a sign of life; return when it was."""
        now = self._clock.now()
        before = self._heard.get(device_id)
        if before is not None:
            battery_pct = before.battery_pct if battery_pct is None else battery_pct
            counter = max(before.counter, counter)
        self._heard[device_id] = Heard(now, battery_pct, counter)
        self.heard_at[device_id] = now
        self._via[device_id] = via
        return now

    def last_counter(self, device_id: UUID) -> int:
        """Return the highest counter heard that is not in the row yet."""
        waiting = self._heard.get(device_id)
        return 0 if waiting is None else waiting.counter

    def take(self) -> dict[UUID, Heard]:
        """Return what waits to be written, and forget it; `put_back` if the write fails."""
        taken, self._heard = self._heard, {}
        return taken

    def put_back(self, taken: dict[UUID, Heard]) -> None:
        """Keep what could not be written, unless something newer has come."""
        self._heard = {**taken, **self._heard}

    def quiet_for(self, device_id: UUID, last_seen_at: datetime | None) -> float:
        """Return the seconds since this process first saw `last_seen_at` in the row."""
        mono = self._clock.monotonic()
        mark = self._marks.get(device_id)
        unheard = self._via.get(device_id, "http") in self.deaf
        if mark is None or mark[0] != last_seen_at or device_id in self._heard or unheard:
            self._marks[device_id] = (last_seen_at, mono)
            return 0.0
        return mono - mark[1]

    def start_anew(self) -> None:
        """Give every device its full time again."""
        self._marks.clear()

    def forget(self, device_id: UUID) -> None:
        """Forget a device that was removed."""
        for known in (self._heard, self._marks, self._via, self.heard_at):
            known.pop(device_id, None)
