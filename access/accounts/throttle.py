"""Slows down guessing of passwords without locking anybody out for good.

Failures are counted per pair of username and address: guessing at one account from one place
slows down that pair alone, and a whole centre behind one address keeps working. A second count
per address slows down the trying of many usernames, by a few seconds at most.

Kept in memory: a restart forgets it, and with several API processes each counts for itself.
"""

from collections import OrderedDict
from dataclasses import dataclass

from core.clock import Clock
from core.errors import HubError

FREE_TRIES = 5
MAX_DELAY_S = 900.0
ADDRESS_FREE_TRIES = 50
ADDRESS_MAX_DELAY_S = 4.0
FORGET_AFTER_S = 3600.0
MAX_KEYS = 20_000


class TooManyAttemptsError(HubError):
    """Too many failed sign-ins or second steps; `retry_after` is in seconds (429)."""

    status = 429
    code = "too-many-attempts"

    def __init__(self, retry_after: float) -> None:
        self.retry_after = max(1, int(retry_after + 0.999))
        super().__init__(
            "There were too many failed attempts to sign in.",
            remedy=f"Wait {self.retry_after} s and try again, "
            "or ask an administrator for a new password.",
            detail={"retry_after": self.retry_after},
        )


@dataclass(slots=True)
class _Count:
    tries: int = 0
    last: float = 0.0


class Throttle:
    """Counts attempts and says how long the next one must wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    def attempt(self, username: str, address: str) -> None:
        """Count an attempt before its password is looked at, so that many at once count too.

        Raises:
            TooManyAttemptsError: the pair or the address must wait; the attempt is not counted.
        """
        now = self._clock.monotonic()
        pair = self._count((username, address), now)
        place = self._count(("", address), now)
        wait = max(
            _wait(pair, now, FREE_TRIES, MAX_DELAY_S),
            _wait(place, now, ADDRESS_FREE_TRIES, ADDRESS_MAX_DELAY_S),
        )
        if wait > 0:
            raise TooManyAttemptsError(wait)
        for count in (pair, place):
            count.tries += 1
            count.last = now

    def attempt_second_step(self, account: str, address: str, *, known: bool) -> None:
        """Count a guess of a second factor of `account` from `address` before it is looked at.

        The pair is slowed down as for passwords. Guesses from many addresses at once are slowed
        down together, by seconds, but not at an address that has been signed in before (`known`):
        whoever guesses elsewhere keeps nobody from working at the usual place.

        Raises:
            TooManyAttemptsError: the pair, or the account from unknown addresses, must wait.
        """
        now = self._clock.monotonic()
        key = f"second step of {account}"
        counts = [self._count((key, address), now)]
        wait = _wait(counts[0], now, FREE_TRIES, MAX_DELAY_S)
        if not known:
            counts.append(self._count((key, "unknown addresses"), now))
            wait = max(wait, _wait(counts[1], now, ADDRESS_FREE_TRIES, ADDRESS_MAX_DELAY_S))
        if wait > 0:
            raise TooManyAttemptsError(wait)
        for count in counts:
            count.tries += 1
            count.last = now

    def second_step_succeeded(self, account: str, address: str) -> None:
        """Forget the pair's failures: its second factor was right."""
        self._counts.pop((f"second step of {account}", address), None)

    def succeeded(self, username: str, address: str) -> None:
        """Forget the pair's failures: its password was right."""
        self._counts.pop((username, address), None)
        place = self._counts.get(("", address))
        if place is not None and place.tries:
            place.tries -= 1

    def _count(self, key: tuple[str, str], now: float) -> _Count:
        count = self._counts.setdefault(key, _Count(last=now))
        self._counts.move_to_end(key)
        if now - count.last > FORGET_AFTER_S:
            count.tries = 0
        while len(self._counts) > MAX_KEYS:
            self._counts.popitem(last=False)
        return count


def _wait(count: _Count, now: float, free: int, longest: float) -> float:
    """Return the seconds until the next attempt: none for the first `free`, then doubling."""
    over = count.tries - free
    if over < 0:
        return 0.0
    delay = min(longest, 2.0 ** min(over, 20))
    return max(0.0, count.last + delay - now)
