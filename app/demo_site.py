"""The demo's cameras: the simulator in a process of its own."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson

from core.errors import HubError, UnavailableError

Progress = Callable[[str], None]


class Site:
    """The camera simulator's process: its cameras, and what can be done to them."""

    def __init__(self, process: asyncio.subprocess.Process, cameras: list[dict[str, Any]]) -> None:
        self._process = process
        self.cameras = cameras

    async def command(self, text: str) -> None:
        """Do `kill N`, `restart N`, `stall N` or `resume N` to camera N, counted from 1.

        Raises:
            UnavailableError: the simulator does not know it, or has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{text}\n".encode())
        await self._process.stdin.drain()
        answer = orjson.loads(await self._process.stdout.readline() or b"{}")
        if answer.get("done") != text:
            raise UnavailableError(f"The camera simulator did not do '{text}': {answer}")


@contextlib.asynccontextmanager
async def simulated_site(
    footage: Path | None, cameras: int, work_dir: Path, progress: Progress
) -> AsyncIterator[Site]:
    """Run the camera simulator in a process of its own.

    Raises:
        HubError: the footage is no video, or the simulator did not start.
    """
    arguments = ["--cameras", str(cameras), "--work-dir", str(work_dir), "--json"]
    if footage is not None:
        arguments += ["--footage", str(footage)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "camera_hub.simulator",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # It ends when its standard input does, not with a Ctrl-C meant for the demo.
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield Site(process, await _read_site(process.stdout, progress))
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 5)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _read_site(lines: asyncio.StreamReader, progress: Progress) -> list[dict[str, Any]]:
    """Read the simulator's output up to the line that lists its cameras."""
    while line := await lines.readline():
        message = orjson.loads(line)
        if "cameras" in message:
            cameras: list[dict[str, Any]] = message["cameras"]
            return cameras
        if "error" in message:
            raise HubError(message["error"], remedy=message.get("remedy", ""))
        progress(message["progress"])
    raise UnavailableError(
        "The camera simulator ended before its cameras were ready.",
        remedy="The lines above say why.",
    )
