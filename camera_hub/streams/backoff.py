"""How long to wait before trying again."""

import random


class Backoff:
    """Doubling delays with jitter: many cameras behind one switch must not return in step."""

    def __init__(self, *, first_s: float = 0.5, max_s: float = 30.0) -> None:
        self.first_s = first_s
        self.max_s = max_s
        self.failures = 0
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing

    def next(self) -> float:
        """Return the seconds to wait now: between half and all of first * 2^failures, capped."""
        delay = min(self.max_s, self.first_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return delay * self._random.uniform(0.5, 1.0)

    def longest(self) -> float:
        """Return a delay near the cap, for failures that trying again soon could make worse."""
        return self.max_s * self._random.uniform(0.75, 1.0)

    def reset(self) -> None:
        """Begin anew after a time of health."""
        self.failures = 0
