"""Waiting for a wake-up with a poll underneath, so that a lost wake-up costs a second at most."""

import asyncio
from contextlib import suppress

from core.clock import Clock

POLL_S = 1.0
"""Longest sleep of a loop that is also woken, in seconds."""


async def wait(clock: Clock, event: asyncio.Event, seconds: float) -> None:
    """Wait until `event` is set (and clear it) or `seconds` of `clock` have passed."""
    tasks = [asyncio.create_task(event.wait()), asyncio.create_task(clock.sleep(seconds))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    event.clear()
