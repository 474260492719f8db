"""First light: alert latency, glass to glass, cost of viewers, memory of a camera.

Everything is the running product: the demo's node, its virtual cameras, a real Chromium. The
load generators are processes of their own and are not counted.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from app.cli.demo import demo_settings
from app.demo import Demo, add_camera, follow, running_demo, signed_in
from app.demo_home import AREA
from bench.lib_page import glass_to_glass
from bench.lib_peers import ffmpeg_reader_mb

VIEWERS = 32
PREPARED = Path(tempfile.gettempdir()) / "camera-hub-bench-footage"


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def process_of(demo: Demo, name: str) -> psutil.Process:
    """Return a supervised process."""
    process = demo.supervisor.children[name].process
    assert process is not None
    return psutil.Process(process.pid)


def memory_mb(process: psutil.Process) -> float:
    """Return the memory that only this process uses (USS), in MB."""
    return float(process.memory_full_info().uss) / 1e6


async def strip_zones(client: httpx.AsyncClient, camera_id: str, strips: int = 8) -> None:
    """Cover the picture with zones side by side, so that one walk makes many alerts."""
    current = (await client.get(f"/cameras/{camera_id}/zones")).json()
    rule = {
        "kind": "intrusion",
        "severity": "minor",
        "objects": ["person", "car", "bicycle"],
        "dwell_seconds": 0,
        "cooldown_seconds": 0,
    }
    zones = [
        {
            "name": f"Strip {n}",
            "polygon": [
                [n / strips, 0.0],
                [(n + 1) / strips, 0.0],
                [(n + 1) / strips, 1.0],
                [n / strips, 1.0],
            ],
            "rules": [rule],
        }
        for n in range(strips)
    ]
    body = {"version": current["version"], "zones": zones}
    (await client.put(f"/cameras/{camera_id}/zones", json=body)).raise_for_status()


async def viewers_cost(demo: Demo, seconds: float) -> float:
    """Return what `VIEWERS` viewers add to api and media worker, in percent of a core."""
    processes = [process_of(demo, "api"), process_of(demo, "media-0")]

    async def used(while_s: float) -> float:
        before = [sum(p.cpu_times()[:2]) for p in processes]
        await asyncio.sleep(while_s)
        after = [sum(p.cpu_times()[:2]) for p in processes]
        return sum(b - a for a, b in zip(before, after, strict=True)) / while_s * 100

    async with signed_in(demo.url, demo.login("duty")) as client:
        cameras = [c["id"] for c in (await client.get("/cameras")).json()["items"]][:4]
        cookie = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
        idle = await used(seconds)
        load = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.lib_viewers", demo.url, cookie, str(VIEWERS)),
            *(str(seconds + 3), *cameras),
            stdout=asyncio.subprocess.PIPE,
        )
        await asyncio.sleep(2)
        busy = await used(seconds)
        out, _ = await load.communicate()
    got = json.loads(out)["bytes"]
    if min(got) < 10_000:
        raise RuntimeError(f"a viewer got no video: {got}")
    return busy - idle


@asynccontextmanager
async def glass_camera(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """Run the camera whose pictures tell when they were sent."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.lib_glass", str(folder / "glass.mp4")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        await process.wait()


async def measure_glass(demo: Demo, glass: dict[str, Any], seconds: float) -> list[float]:
    """Return milliseconds from leaving the camera to being shown in Chromium, a value a frame."""
    body = {
        "name": "Glass",
        "area": AREA,
        "source_kind": "rtsp",
        "address": glass["url"],
        "username": "glass",
        "password": "glass",
        "analyse": False,
    }
    async with signed_in(demo.url, demo.login("admin")) as admin:
        answer = await admin.post("/cameras", json=body)
        answer.raise_for_status()
    login = demo.login("duty")
    return await glass_to_glass(
        demo.url, login.username, login.password, answer.json()["id"], glass, seconds
    )


async def measure(long: bool) -> dict[str, Any]:
    """Run the phases one after another on one node."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-") as name:
        folder = Path(name)
        settings = demo_settings(folder / "demo", port=0)
        more = 12 if long else 4
        async with (
            glass_camera(folder) as glass,
            running_demo(settings, None, more, lambda _: None, add=1, prepared=PREPARED) as demo,
            signed_in(demo.url, demo.login("admin")) as admin,
        ):
            say("one camera: memory")
            media = process_of(demo, "media-0")
            # Meanwhile the peer reads the same kind of camera; memory does not mind company.
            peer = await peer_memory(glass)
            await asyncio.sleep(8 if long else 2)
            one_mb = memory_mb(media)
            for camera in demo.site.cameras[1:]:
                await add_camera(admin, camera)
            for camera in (await admin.get("/cameras")).json()["items"][:4]:
                await strip_zones(admin, camera["id"])
            say(f"{more} cameras: alerts")
            follower = asyncio.create_task(follow(demo, lambda _: None))
            await asyncio.sleep(60 if long else 10)
            figures["alert_latency_ms_p50"] = demo.tally.percentile(0.5)
            figures["alert_latency_ms_p95"] = demo.tally.percentile(0.95)
            figures["alerts"] = len(demo.tally.latencies_ms)
            follower.cancel()
            figures["rss_per_camera_mb"] = round((memory_mb(media) - one_mb) / (more - 1), 2)
            say(f"{VIEWERS} viewers")
            figures["viewers32_core_pct"] = round(await viewers_cost(demo, 15 if long else 4), 1)
            say("glass to glass in Chromium")
            delays = await measure_glass(demo, glass, 30 if long else 4)
            figures["glass_to_glass_ms_p50"] = round(statistics.median(delays), 1)
            figures["glass_to_glass_frames"] = len(delays)
            figures["peer_ffmpeg_process_per_camera_mb"] = peer
            if peer is not None:
                ours = max(figures["rss_per_camera_mb"], 0.01)
                figures["memory_ratio_ffmpeg"] = round(peer / ours, 1)
    return figures


async def peer_memory(glass: dict[str, Any]) -> float | None:
    """Return the memory (MB) of one ffmpeg process that decodes the same camera, None without."""
    return await ffmpeg_reader_mb(glass["url"].replace("rtsp://", "rtsp://glass:glass@"))


def run(*, long: bool) -> dict[str, Any]:
    """Measure; `long` takes about four minutes instead of one."""
    return asyncio.run(measure(long))
