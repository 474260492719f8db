"""What a camera costs that says itself what it sees, beside one whose pictures the hub looks at.

The simulator serves the same streams to both, in a process of its own; each way is a process of
its own too, of which the CPU time is counted: reading, live channel, zones and rules, and either
the words or decoding, motion and detection (in the same process here). `python -m
bench.lib_telling [CAMERAS]` prints one line of JSON: per cent of a core for each camera.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import psutil

from analytics.detectors.factory import open_detector
from analytics.models.registry import resolve
from analytics.pipeline.host import AnalyticsHost
from camera_hub.live.runtime import MediaRuntime
from camera_hub.streams.types import AssignedCamera, StreamSource, StreamState
from core.clock import SystemClock
from core.ids import new_id
from core.settings import Settings

WARM_UP_S, MEASURED_S = 6.0, 20.0
Way = Literal["camera", "hub"]
_ZONE = {
    "id": str(UUID(int=1)),
    "name": "All",
    "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]],
    "rules": [{"kind": "intrusion"}],
}


@contextmanager
def served(cameras: int) -> Iterator[list[dict[str, Any]]]:
    """Serve `cameras` that say what they see while the block runs; give what they describe."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--tells", "--json", "--cameras", str(cameras), "--work-dir", folder]
        server = subprocess.Popen(
            [sys.executable, "-m", "camera_hub.simulator", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            for line in server.stdout:
                message = json.loads(line)
                if "cameras" in message:
                    yield message["cameras"]
                    return
                if "error" in message:
                    raise RuntimeError(message["error"])
        finally:
            server.stdin.close()
            server.wait(20)


def watch(way: Way, described: list[dict[str, Any]]) -> dict[str, float]:
    """Watch all cameras for a while in this process; return what it cost and what came of it."""
    clock = SystemClock()
    signals: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        detector = open_detector(resolve(settings.analytics.model, settings.models_path), clock)
        host = AnalyticsHost(
            detector,
            signals.append,
            clock=clock,
            settings=settings,
            time_zone=ZoneInfo("UTC"),
            worker="media-0",
        )
        runtime = MediaRuntime(clock=clock, settings=settings.media, on_metadata=host.told)
        cameras = [_camera(one, way) for one in described]
        runtime.apply(cameras)
        for camera in cameras:
            if way == "camera":
                host.add(camera, None, partial(runtime.picture, camera.id))
            else:
                host.add(camera, runtime.frames(camera.id))
        while any(one.state is not StreamState.ONLINE for one in runtime.statuses().values()):
            time.sleep(0.1)
        time.sleep(WARM_UP_S)
        process = psutil.Process()
        before, looks, began = process.cpu_times(), _looks(host, cameras), time.monotonic()
        time.sleep(MEASURED_S)
        after, seconds = process.cpu_times(), time.monotonic() - began
        looks = _looks(host, cameras) - looks
        host.close()
        runtime.stop()
        detector.close()
    used = after.user + after.system - before.user - before.system
    return {
        "core_pct_per_camera": round(100 * used / seconds / len(cameras), 3),
        "looks_per_s": round(looks / seconds / len(cameras), 2),
        "signals": len(signals),
    }


def _camera(described: dict[str, Any], way: Way) -> AssignedCamera:
    camera_id = new_id()
    source = StreamSource(
        camera_id,
        "sub",
        described["rtsp_url"],
        described["username"],
        described["password"],
        metadata=way == "camera",
    )
    return AssignedCamera(
        camera_id, described["name"], "", 1, {"sub": source}, zones=(_ZONE,), analysed_by=way
    )


def _looks(host: AnalyticsHost, cameras: list[AssignedCamera]) -> int:
    return sum(host.counters(camera.id).frames_analysed for camera in cameras)


def figures(cameras: int = 8) -> dict[str, float]:
    """Return both costs in per cent of a core for each camera, and how many times one is the other.

    The keys: `metadata_per_camera_core_pct`, `decode_detect_per_camera_core_pct`,
    `ratio_metadata_to_decode_detect`.
    """
    found: dict[str, dict[str, float]] = {}
    with served(cameras) as described:
        for way in ("camera", "hub"):
            child = subprocess.run(
                [sys.executable, "-m", "bench.lib_telling", "watch", way],
                check=True,
                input=json.dumps(described),
                stdout=subprocess.PIPE,
                text=True,
            )
            found[way] = json.loads(child.stdout.splitlines()[-1])
            if not found[way]["looks_per_s"]:
                raise RuntimeError(f"nothing was looked at: {found[way]}")
    told, looked = (found[way]["core_pct_per_camera"] for way in ("camera", "hub"))
    return {
        "metadata_per_camera_core_pct": told,
        "decode_detect_per_camera_core_pct": looked,
        "ratio_metadata_to_decode_detect": round(told / looked, 4),
        "metadata_looks_per_s": found["camera"]["looks_per_s"],
        "decode_looks_per_s": found["hub"]["looks_per_s"],
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        chosen: Way = "camera" if sys.argv[2] == "camera" else "hub"
        print(json.dumps(watch(chosen, json.load(sys.stdin))))
    else:
        print(json.dumps(figures(int(sys.argv[1]) if sys.argv[1:] else 8)))
