"""When disks will be full: what must lie on them, looked ahead. Pure; times aware, in UTC."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

DAY_S = 86_400.0
_LONGEST_D = 400.0
_STEP_D = 0.25


@dataclass(frozen=True, slots=True)
class Load:
    """One camera on one disk.

    Attributes:
        used: bytes that lie there now.
        per_day: bytes that it adds in a day, as it went lately.
        days_held: how far back `used` reaches, in days.
        kept_days: how long it must be kept, in days; 0 where any of it may go for room.
        locked: bytes under lock that are older than that.
    """

    used: int
    per_day: float
    days_held: float
    kept_days: float
    locked: int = 0

    def needed(self, days: float) -> float:
        """Return how many bytes must lie there in so many days.

        What lies there now is taken to be spread evenly over the days it reaches back.
        """
        new = self.per_day * min(days, self.kept_days)
        still = min(max(self.kept_days - days, 0.0), self.days_held)
        old = self.used * still / self.days_held if self.days_held > 0 else 0.0
        return new + old + self.locked


@dataclass(frozen=True, slots=True)
class DiskForecast:
    """How a disk stands. Sizes in bytes; `full_at` is None where it never will be.

    `state`: `ok`, `full` (nothing more fits, and nothing may go) or `away`. `quota` is what
    recordings may take, 0 for all but the rest; `free` what they may still take of the disk.
    """

    name: str
    state: str
    reason: str
    total: int
    used: int
    free: int
    quota: int
    per_day: int
    full_at: datetime | None
    oldest_at: datetime | None


def full_after(loads: Sequence[Load], capacity: float) -> float | None:
    """Return in how many days what must be kept no longer fits into `capacity`; None: never.

    The need rises and falls as old recordings expire: the first time counts.
    """

    def over(days: float) -> bool:
        return sum(load.needed(days) for load in loads) > capacity

    return _first(over)


def _first(over: Callable[[float], bool]) -> float | None:
    if over(0.0):
        return 0.0
    steps = int(_LONGEST_D / _STEP_D)
    for number in range(1, steps + 1):
        if over(number * _STEP_D):
            low, high = (number - 1) * _STEP_D, number * _STEP_D
            while high - low > 1 / 1440:
                middle = (low + high) / 2
                low, high = (low, middle) if over(middle) else (middle, high)
            return high
    return None


def day_rate(size: int, first: datetime, now: datetime) -> float:
    """Return bytes a day of what was written since `first`, at least ten minutes ago."""
    span = max((now - first).total_seconds(), 600.0)
    return size * DAY_S / min(span, DAY_S)


def days_between(first: datetime | None, now: datetime) -> float:
    """Return the days since `first`; 0 where there is none."""
    return 0.0 if first is None else max(0.0, (now - first).total_seconds() / DAY_S)


def at_days(now: datetime, days: float | None) -> datetime | None:
    """Return the moment in so many days."""
    return None if days is None else now + timedelta(days=days)


def capacity_of(quota: int, used: int, free: int) -> int:
    """Return how much recordings may take of a disk; `free` is what they may still take."""
    most = used + max(free, 0)
    return min(quota, most) if quota else most


def summed(loads: Iterable[Load]) -> float:
    """Return bytes a day of all of them."""
    return sum(load.per_day for load in loads)
