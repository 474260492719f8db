"""The loops beside the requests: a failure is counted and followed by a new start."""

import asyncio
import itertools

from core.clock import ManualClock
from core.metrics import REGISTRY
from governance.service import supervise


def restarts(loop: str) -> float:
    return REGISTRY.get_sample_value("camera_hub_loop_restarts_total", {"loop": loop}) or 0.0


async def test_a_loop_that_fails_is_started_again_with_growing_pauses(clock: ManualClock) -> None:
    starts: list[float] = []

    async def fail() -> None:
        starts.append(clock.monotonic())
        raise RuntimeError("the store is away")

    task = asyncio.create_task(supervise("a test", fail, clock))
    while len(starts) < 9:
        await asyncio.sleep(0)
        clock.advance(0.25)
    task.cancel()
    pauses = [after - before for before, after in itertools.pairwise(starts)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restarts("a test") >= 8


async def test_a_loop_that_was_healthy_for_a_minute_starts_again_at_once(
    clock: ManualClock,
) -> None:
    starts: list[float] = []

    async def live_a_while() -> None:
        starts.append(clock.monotonic())
        await clock.sleep(61)
        raise RuntimeError("a hiccup")

    task = asyncio.create_task(supervise("another test", live_a_while, clock))
    while len(starts) < 4:
        for _ in range(3):
            await asyncio.sleep(0)
        clock.advance(0.25)
    task.cancel()
    assert {after - before for before, after in itertools.pairwise(starts)} <= {
        61.5,
        61.75,
    }
