"""How much of what could be tried is tried.

`make test` draws the same examples each time, so that a commit that passed passes again.
`make fuzz` draws new ones, FUZZ_EXAMPLES times as many; what it finds becomes a test with its name.
"""

import os

from hypothesis import settings

TIMES = int(os.environ.get("FUZZ_EXAMPLES", "0"))


def examples(number: int) -> int:
    """Return how many examples to draw where `make test` draws `number`."""
    return number * max(1, TIMES)


settings.register_profile(
    "hub", max_examples=examples(100), derandomize=not TIMES, deadline=None, print_blob=True
)
settings.load_profile("hub")
