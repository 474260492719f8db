"""The site as its user runs it: a process, its output, its commands, its end."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from camera_hub.simulator.site import SimulatedSite
from core.clock import SystemClock
from core.errors import InvalidInputError


class Simulator:
    """`python -m camera_hub.simulator` as a child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.progress: list[str] = []

    async def line(self) -> dict[str, Any]:
        """Return the next line that is no progress; {} at the end."""
        assert self.process.stdout is not None
        while line := await asyncio.wait_for(self.process.stdout.readline(), 60):
            message: dict[str, Any] = json.loads(line)
            if "progress" not in message:
                return message
            self.progress.append(message["progress"])
        return {}

    async def cameras(self) -> list[dict[str, Any]]:
        """Wait until all serve and return them."""
        return list((await self.line())["cameras"])

    async def command(self, text: str) -> dict[str, Any]:
        """Give a command and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        return await self.line()


@contextlib.asynccontextmanager
async def _simulator(*arguments: str) -> AsyncIterator[Simulator]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "camera_hub.simulator", "--json", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Simulator(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _address(camera: dict[str, Any], url: str = "") -> str:
    account = f"{camera['username']}:{camera['password']}"
    return (url or str(camera["rtsp_url"])).replace("//", f"//{account}@")


def _see(camera: dict[str, Any]) -> None:
    """Return once a picture of `camera` has been seen."""
    options = {"rtsp_transport": "tcp", "fpsprobesize": "0"}
    with av.open(_address(camera), options=options, timeout=(10, 10)) as container:
        next(container.decode(video=0))


async def _knock(camera: dict[str, Any]) -> bool:
    """Return whether the ONVIF port of `camera` accepts connections."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{camera['onvif_address']}/"),
        ):
            return True
    except aiohttp.ClientConnectorError:
        return False


async def test_the_cameras_serve_and_obey(tmp_path: Path, mp4_file: Path) -> None:
    where = ("--footage", str(mp4_file), "--work-dir", str(tmp_path), "--cameras", "2")
    async with _simulator(*where) as simulator:
        one, two = await simulator.cameras()
        assert simulator.progress
        assert one["name"] != two["name"]
        assert one["password"] != two["password"]
        assert len({one["onvif_address"], two["onvif_address"]}) == 2
        assert one["zone"]["people"] is True
        assert all(0 <= value <= 1 for corner in one["zone"]["polygon"] for value in corner)
        await asyncio.gather(asyncio.to_thread(_see, one), asyncio.to_thread(_see, two))

        assert await simulator.command("kill 1") == {"done": "kill 1"}
        with pytest.raises(av.ConnectionRefusedError):
            await asyncio.to_thread(_see, one)
        assert not await _knock(one)
        await asyncio.to_thread(_see, two)
        assert await _knock(two)

        assert await simulator.command("restart 1") == {"done": "restart 1"}
        await asyncio.to_thread(_see, one)
        assert await _knock(one)

        assert "no camera 3" in (await simulator.command("kill 3"))["error"]
        assert "no command" in (await simulator.command("dance 1"))["error"]


@pytest.mark.faults
async def test_a_stall_silences_a_camera_and_keeps_its_connection(
    tmp_path: Path, mp4_file: Path
) -> None:
    where = ("--footage", str(mp4_file), "--work-dir", str(tmp_path), "--cameras", "1")
    async with _simulator(*where) as simulator:
        (camera,) = await simulator.cameras()
        seen, goal = 0, 1_000_000
        playing = asyncio.Event()
        loop = asyncio.get_running_loop()

        def watch() -> int:
            nonlocal seen
            options = {"rtsp_transport": "tcp", "fpsprobesize": "0"}
            with av.open(_address(camera), options=options, timeout=(10, 60)) as container:
                for packet in container.demux(video=0):
                    assert packet.size, "the connection broke"
                    seen += 1
                    if seen == 5:
                        loop.call_soon_threadsafe(playing.set)
                    if seen >= goal:
                        return seen
            return seen

        watching = asyncio.create_task(asyncio.to_thread(watch))
        await asyncio.wait_for(playing.wait(), 30)
        assert await simulator.command("stall 1") == {"done": "stall 1"}
        # Packets on their way may still come; then the count stands still.
        before = -1
        while before != seen:
            before = seen
            await asyncio.sleep(0.3)
        assert not watching.done()
        assert await _knock(camera)
        goal = seen + 5
        assert await simulator.command("resume 1") == {"done": "resume 1"}
        assert await watching == goal


@pytest.mark.faults
async def test_footage_that_is_no_video_is_one_clear_line(tmp_path: Path) -> None:
    source = tmp_path / "report.mp4"
    source.write_text("quarterly figures\n" * 100)
    async with _simulator("--footage", str(source), "--work-dir", str(tmp_path)) as simulator:
        message = await simulator.line()
        assert "report.mp4 is not a video" in message["error"]
        assert message["remedy"]
        assert await simulator.process.wait() == 1


async def test_sigterm_and_the_end_of_input_end_it(tmp_path: Path, mp4_file: Path) -> None:
    where = ("--footage", str(mp4_file), "--work-dir", str(tmp_path), "--cameras", "1")
    async with _simulator(*where) as first, _simulator(*where) as second:
        await first.cameras()
        await second.cameras()
        first.process.terminate()
        assert second.process.stdin is not None
        second.process.stdin.close()
        for simulator in (first, second):
            assert await asyncio.wait_for(simulator.process.wait(), 20) == 0


_PARENT = """
import subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.faults
async def test_it_dies_with_its_parent(tmp_path: Path, mp4_file: Path) -> None:
    command = [sys.executable, "-m", "camera_hub.simulator", "--json", "--work-dir", str(tmp_path)]
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PARENT, *command, "--footage", str(mp4_file)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    output = b""
    while b'"cameras"' not in output:
        output = await asyncio.wait_for(parent.stdout.readline(), 60)
        assert output
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    # Standard output ends when its last holder, the child, has ended.
    await asyncio.wait_for(parent.stdout.read(), 20)
    await parent.wait()


async def test_cameras_of_one_file_show_different_moments(tmp_path: Path, mp4_file: Path) -> None:
    async with SimulatedSite(
        work_dir=tmp_path, clock=SystemClock(), footage=mp4_file, cameras=2
    ) as site:
        one, two = (camera._streams["sub"] for camera in site.cameras)
        apart = abs(one.current_unit() - two.current_unit())
        assert apart == pytest.approx(len(one.clip.units) / 2, abs=3)


@pytest.mark.parametrize("cameras", [0, 65])
async def test_too_few_and_too_many_cameras_are_refused(tmp_path: Path, cameras: int) -> None:
    site = SimulatedSite(work_dir=tmp_path, clock=SystemClock(), cameras=cameras)
    with pytest.raises(InvalidInputError, match=f"{cameras} cameras"):
        await site.__aenter__()
