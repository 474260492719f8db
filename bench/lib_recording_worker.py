"""The recording side of a media worker as a process of its own, of which the CPU time is counted.

`python -m bench.lib_recording_worker FOLDER SECONDS WARM_UP_S LIVE URL…` records all streams into
FOLDER and prints one line of JSON at the end. With LIVE `1` each stream is watched by one viewer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil

from camera_hub.live.runtime import MediaRuntime
from camera_hub.recording.service import Recordings
from camera_hub.streams.types import AssignedCamera, StreamSource
from core.clock import SystemClock
from core.ids import new_id
from core.logging import configure_logging
from core.settings import MediaSettings
from core.settings_recording import DiskSettings, RecordingSettings


def camera(url: str, *, record: bool) -> AssignedCamera:
    """Return a camera as an assignment has it."""
    camera_id = new_id()
    plan = {"mode": "always", "role": "sub"} if record else {}
    return AssignedCamera(
        id=camera_id,
        name="Bench",
        area="bench",
        version=1,
        streams={"sub": StreamSource(camera_id, "sub", url)},
        recording=plan,
    )


async def main(folder: Path, seconds: float, warm_up_s: float, live: bool, urls: list[str]) -> None:
    """Record, measure, print."""
    clock = SystemClock()
    runtime = MediaRuntime(clock=clock, settings=MediaSettings())
    taken = 0  # a list of them would be memory that a worker does not keep

    async def post(segments: list[dict[str, Any]]) -> tuple[set[UUID], dict[UUID, str]]:
        nonlocal taken
        taken += len(segments)
        return {UUID(segment["id"]) for segment in segments}, {}

    recordings = Recordings(
        runtime,
        RecordingSettings(),
        [DiskSettings(name="bench", path=folder / "disk", keep_free_gb=0.1)],
        clock=clock,
        data_dir=folder,
        site="bench",
        zone=UTC,
        post=post,
        loop=asyncio.get_running_loop(),
    )
    recordings.start()
    sending = asyncio.create_task(recordings.sender.run())
    cameras = [camera(url, record=True) for url in urls]
    runtime.apply(cameras)
    await asyncio.to_thread(recordings.apply, cameras)
    shown = [0]
    for one in cameras if live else ():
        runtime.listen(one.id, "sub", lambda _item: shown.__setitem__(0, shown[0] + 1))
    until = time.monotonic() + 60
    while not all(r.state == "recording" for r in recordings.cameras().values()):
        if time.monotonic() > until:
            raise RuntimeError(f"not recorded: {recordings.cameras()} {recordings.disk_reports()}")
        await asyncio.sleep(0.2)
    await asyncio.sleep(warm_up_s)
    process = psutil.Process()
    memory = [process.memory_full_info().uss / 1e6]
    pictures = sum(status.packets for status in runtime.statuses().values())
    began, used = time.monotonic(), process.cpu_times()
    while time.monotonic() - began < seconds:
        await asyncio.sleep(min(30.0, max(0.1, began + seconds - time.monotonic())))
        memory.append(process.memory_full_info().uss / 1e6)
    after, took = process.cpu_times(), time.monotonic() - began
    pictures = sum(status.packets for status in runtime.statuses().values()) - pictures
    lost = sum(r.reason == "disk_slow" for r in recordings.cameras().values())
    await asyncio.to_thread(recordings.close)
    runtime.stop()
    await asyncio.sleep(0.5)
    sending.cancel()
    cpu = after.user + after.system - used.user - used.system
    print(
        json.dumps(
            {
                "core_pct": round(100 * cpu / took, 2),
                "pictures_per_s": round(pictures / took / len(urls), 2),
                "memory_first_mb": round(memory[0], 1),
                "memory_last_mb": round(memory[-1], 1),
                "memory_most_mb": round(max(memory), 1),
                "segments": taken,
                "disk_slow": lost,
                "shown": shown[0],
            }
        )
    )


if __name__ == "__main__":
    configure_logging("error")
    place, seconds_, warm_up, watched, *streams = sys.argv[1:]
    asyncio.run(main(Path(place), float(seconds_), float(warm_up), watched == "1", streams))
