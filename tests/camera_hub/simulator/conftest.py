"""A short clip, made once, and a clock that runs faster than the true one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from camera_hub.simulator import clip as clips
from camera_hub.simulator import transcode
from camera_hub.simulator.clip import LoopedClip
from core.clock import ManualClock


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, mp4_file: Path) -> transcode.Clip:
    """The two streams made of 1.2 s of a moving square at 25 fps: a GOP and a short one."""
    return transcode.prepare(mp4_file, tmp_path_factory.mktemp("prepared"), max_seconds=1.2)


@pytest.fixture(scope="session")
def clip(prepared: transcode.Clip) -> LoopedClip:
    """The sub stream in memory."""
    return clips.load(prepared.sub)


@pytest.fixture
async def hurried() -> AsyncIterator[ManualClock]:
    """A clock that runs some times faster than the true one, in steps of 10 ms."""
    clock = ManualClock()

    async def run() -> None:
        while True:
            clock.advance(0.01)
            await asyncio.sleep(0.001)

    task = asyncio.create_task(run())
    yield clock
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
