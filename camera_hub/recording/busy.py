"""How much of its time a disk's thread works: a disk that is slow shows there before it hangs."""

from __future__ import annotations

from core.clock import Clock

OVER_S = 20.0
"""The share is followed over so many seconds."""
_EVERY_S = 1.0


class WorkShare:
    """Share of the time that somebody works, from 0 to 1. For one thread; `share` for any."""

    def __init__(self, clock: Clock) -> None:
        self.share = 0.0
        self._clock = clock
        self._worked_s = 0.0
        self._since = clock.monotonic()

    def worked(self, began: float) -> None:
        """Take a piece of work that began at `began` (monotonic) and ends now."""
        now = self._clock.monotonic()
        self._worked_s += now - began
        passed = now - self._since
        if passed < _EVERY_S:
            return
        weight = min(1.0, passed / OVER_S)
        self.share += weight * (min(1.0, self._worked_s / passed) - self.share)
        self._since, self._worked_s = now, 0.0
