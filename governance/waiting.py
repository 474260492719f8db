"""Waiting for a wake-up with a poll underneath, so that a lost wake-up costs a second at most."""

import asyncio

from core.clock import Clock

POLL_S = 1.0
"""Longest sleep of a loop that is also woken, in seconds."""

BREATH_S = 0.02
"""What a loop waits after it was woken: in a flood of commits it looks fifty times a second, and
not after each of them. Of the machine's own time, whatever a clock is set to."""


UNHURRIED_S = 0.25
"""The same for a loop that nobody waits for."""


async def wait(
    clock: Clock, event: asyncio.Event, seconds: float, *, breath_s: float = BREATH_S
) -> None:
    """Wait until `event` is set (and clear it) or `seconds` of `clock` have passed."""
    tasks = [asyncio.create_task(event.wait()), asyncio.create_task(clock.sleep(seconds))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        # Not one by one with their end passed over: whoever ends this loop now would be too.
        await asyncio.gather(*tasks, return_exceptions=True)
    if event.is_set():
        await asyncio.sleep(breath_s)
    event.clear()
