"""What a masked and a redacted view cost, beside ffmpeg blurring everything.

One simulated camera (shared clip, 640x360 at the 10 fps it was filmed with) is read by a media
worker and looked at through its socket; CPU time is that of worker and inference process, in
percent of one core:

- `read_core_pct`: nobody looks.
- `masked_core_pct`, `redacted_core_pct`: one viewer of all its pictures; reading is included.
- `every_picture_core_pct`: the same with the detector looking at each picture, as
  programs do that detect and draw frame by frame.
- `peer_ffmpeg_boxblur_core_pct`: one ffmpeg process that reads the same camera, blurs whole
  pictures (`fps=12,boxblur=20`) and encodes with the same encoder and preset. It finds nobody.

Run by itself: `python -m bench.access.redaction [--long]`.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from camera_hub.simulator.site import SimulatedSite, VirtualCamera
from camera_hub.streams.wire import encode, read_message
from core.clock import SystemClock
from core.ids import new_id
from core.logging import configure_logging

PREPARED = Path(tempfile.gettempdir()) / "camera-hub-bench-footage"
READY_S = 90.0
EVERY_PICTURE = 60.0
LOOKS = {"redacted": 6.0, "every_picture": EVERY_PICTURE}


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr)


@asynccontextmanager
async def child(*arguments: str, told: str = "") -> AsyncIterator[psutil.Process]:
    """Run this module as another process until it is ready, and end it afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.access.redaction", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(told.encode() + b"\n")
        async with asyncio.timeout(READY_S):
            while line := await process.stdout.readline():
                if line.strip() == b"ready":
                    break
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def cpu_s(processes: list[psutil.Process]) -> float:
    """Return the seconds of CPU that the processes have used, user and system."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def core_pct(processes: list[psutil.Process], seconds: float) -> float:
    """Return what the processes use over `seconds`, in percent of one core."""
    begun, used = asyncio.get_running_loop().time(), cpu_s(processes)
    await asyncio.sleep(seconds)
    passed = asyncio.get_running_loop().time() - begun
    return round((cpu_s(processes) - used) / passed * 100, 1)


@asynccontextmanager
async def viewer(path: Path, camera_id: str, rendition: str) -> AsyncIterator[list[int]]:
    """Look at the camera; the list counts the pictures that came."""
    reader, writer = await asyncio.open_unix_connection(path)
    header = {"op": "live", "camera_id": camera_id, "stream": "sub", "rendition": rendition}
    writer.write(encode(header))
    pictures = [0]

    async def read() -> None:
        while (message := await read_message(reader)) is not None:
            pictures[0] += message[0].get("type") == "fragment"

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(READY_S):
            while pictures[0] < 24:
                await asyncio.sleep(0.1)
        yield pictures
    finally:
        reading.cancel()
        writer.close()


def assignment(camera: VirtualCamera) -> dict[str, Any]:
    """Return the camera as a worker is told of it."""
    stream = {"url": camera.rtsp_url, "username": camera.username, "password": camera.password}
    return {
        "id": str(new_id()), "name": camera.name, "area": "", "version": 1, "analyse": False,
        "streams": {"sub": stream}, "zones": [], "masks": [],
    }  # fmt: skip


async def measure_worker(
    camera: VirtualCamera, folder: Path, seconds: float
) -> dict[str, float | int]:
    """Return the figures of our own processes."""
    figures: dict[str, float | int] = {}
    socket_path = folder / "inference.sock"
    async with child("inference", str(socket_path)) as inference:
        for name, looks in LOOKS.items():
            assigned = assignment(camera)
            path = folder / f"{name}.sock"
            arguments = ("worker", str(path), str(socket_path), str(looks))
            async with child(*arguments, told=json.dumps(assigned)) as worker:
                both = [worker, inference]
                if name == "redacted":
                    say("nobody looks")
                    await asyncio.sleep(2)
                    figures["read_core_pct"] = await core_pct(both, seconds / 2)
                    say("masked")
                    async with viewer(path, assigned["id"], "masked"):
                        figures["masked_core_pct"] = await core_pct(both, seconds / 2)
                    await asyncio.sleep(4)  # until its encoder has ended
                say(name)
                async with viewer(path, assigned["id"], "redacted") as pictures:
                    before = pictures[0]
                    figures[f"{name}_core_pct"] = await core_pct(both, seconds)
                    figures[f"{name}_fps"] = round((pictures[0] - before) / seconds, 1)
    return figures


async def ffmpeg_boxblur(camera: VirtualCamera, seconds: float) -> float | None:
    """Return percent of a core that ffmpeg takes to blur and encode the same stream."""
    if shutil.which("ffmpeg") is None:
        return None
    url = camera.rtsp_url.replace("rtsp://", f"rtsp://{camera.username}:{camera.password}@")
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-loglevel", "error", "-rtsp_transport", "tcp", "-threads", "1", "-i", url),
        *("-vf", "fps=12,boxblur=20", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-tune", "zerolatency", "-g", "12", "-threads", "1", "-f", "null", "-"),
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.sleep(4)
        return await core_pct([psutil.Process(process.pid)], seconds)
    finally:
        process.terminate()
        await process.wait()


async def measure(long: bool) -> dict[str, Any]:
    """Run the phases one after another."""
    seconds = 40.0 if long else 12.0
    site = SimulatedSite(work_dir=PREPARED, clock=SystemClock(), cameras=1)
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-") as name:
        async with site:
            camera = site.cameras[0]
            figures: dict[str, Any] = await measure_worker(camera, Path(name), seconds)
            say("ffmpeg")
            peer = await ffmpeg_boxblur(camera, seconds / 2)
    figures["redaction_core_pct"] = figures["redacted_core_pct"]
    figures["peer_ffmpeg_boxblur_core_pct"] = peer
    if peer:
        figures["redaction_ratio_ffmpeg"] = round(figures["redaction_core_pct"] / peer, 2)
    return figures


def run(*, long: bool) -> dict[str, Any]:
    """Measure; `long` takes three minutes instead of one.

    Skips, saying so, where there is no model that finds people and vehicles.
    """
    from analytics.models.registry import YOLO11N, find

    if find(YOLO11N, Path("models")) is None:
        say("no model that finds people and vehicles: set CAMERA_HUB_SHARED")
        return {"redaction_core_pct": None}
    return asyncio.run(measure(long))


async def _be_inference(socket_path: str) -> None:
    from analytics.detectors.factory import open_detector
    from analytics.detectors.server import InferenceServer
    from analytics.models.registry import YOLO11N, find

    clock = SystemClock()
    spec = find(YOLO11N, Path("models"))
    assert spec is not None
    detector = open_detector(spec, clock)
    server = InferenceServer(detector, clock, Path(socket_path))
    await server.serve(asyncio.Event(), lambda: print("ready", flush=True))


async def _be_worker(path: str, inference: str, looks: str) -> None:
    from analytics.detectors.client import InferenceClient
    from analytics.redaction.painters import MaskPainter
    from analytics.redaction.redactor import Redactor
    from camera_hub.live.runtime import MediaRuntime
    from camera_hub.live.worker_server import MediaServer
    from camera_hub.streams.types import AssignedCamera
    from core.settings import MediaSettings

    clock = SystemClock()
    camera = AssignedCamera.from_json(json.loads(sys.stdin.readline()))
    detector = InferenceClient(Path(inference), clock)
    runtime = MediaRuntime(
        clock=clock,
        settings=MediaSettings(),
        painters=lambda _id, rendition, masks: (
            MaskPainter(masks)
            if rendition == "masked"
            else Redactor(detector, clock, source="bench", masks=masks, looks_per_s=float(looks))
        ),
    )
    runtime.apply([camera])
    await MediaServer(runtime, Path(path)).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    # The children's standard output is for `ready` alone.
    configure_logging("error")
    match sys.argv[1:]:
        case ["inference", where]:
            asyncio.run(_be_inference(where))
        case ["worker", where, inference, looks]:
            asyncio.run(_be_worker(where, inference, looks))
        case arguments:
            print(json.dumps(run(long="--long" in arguments)))
