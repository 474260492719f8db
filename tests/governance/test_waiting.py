"""Waiting for a wake-up: whoever is told to end in the middle of it ends."""

import asyncio
from contextlib import suppress

import pytest

from core.clock import ManualClock
from governance.waiting import wait


@pytest.mark.parametrize("ticks", range(12))
async def test_a_loop_that_is_cancelled_while_it_is_woken_ends(
    clock: ManualClock, ticks: int
) -> None:
    woken = asyncio.Event()
    turns = 0

    async def loop() -> None:
        nonlocal turns
        while True:
            await wait(clock, woken, 1.0, breath_s=0.0)
            turns += 1

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    woken.set()
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=1.0)
    ended = bool(done)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert ended, "the cancellation was passed over"
    assert turns <= 1
