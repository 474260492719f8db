"""How long a blurred copy takes to make, beside ffmpeg that blurs everything and finds nobody.

The shared clip with people (filmed at 10 fps) is played at 25 fps and recorded as the recorder does
it, 640x360 and 1280x720. Then, with the inference process beside it as on a node:

- `blur_<height>_s_per_s`: seconds of recorded video that become a blurred copy in one second.
- `blur_<height>_detector_core_s_per_s`: what the detector takes of a core for a second of video.
- `peer_ffmpeg_<height>_s_per_s`: seconds of video a second of one ffmpeg that decodes
  the same file, blurs all of each picture once (`boxblur=20`) and encodes with the same encoder,
  preset and threads.
- `blur_<height>_ratio_ffmpeg`: how many times longer the copy takes than ffmpeg does. ffmpeg finds
  nobody, so it is what decoding, painting and encoding cost without a look.

- `blur_covered_pct`: of the people that the detector finds from a score of 0.4 in every fifth
  picture of the clip in its full size, how many are covered to 90 % or more in the copy (640x360).

Both run with the low priority (nice 10) that the hub makes exports with.

Run by itself: `python -m bench.access.blurring [--long]`.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from analytics.detectors.client import InferenceClient
from analytics.detectors.types import Picture
from analytics.models.registry import YOLO11N, find
from analytics.redaction.cover import PEOPLE
from analytics.redaction.film import FilmRedactor
from bench.access.redaction import child, say
from camera_hub.live.muxer import Muxer
from camera_hub.recording.clip_pieces import Source
from camera_hub.recording.clips import make_clip
from camera_hub.recording.format import SegmentHeader, microseconds
from camera_hub.recording.index.schemas import SegmentRow
from camera_hub.recording.writing import SegmentWriter
from camera_hub.streams.frames import open_file
from camera_hub.streams.painting import FilmShot
from camera_hub.streams.parameters import parameter_sets, read_info
from core.clock import SystemClock
from core.ids import new_id
from core.logging import configure_logging

CLIP = "one-by-one-person-detection.mp4"
FPS = 25
SIZES = ((640, 360), (1280, 720))
BEGIN = datetime(2026, 1, 1, 7, tzinfo=UTC)
CONNECT_S = 60.0
NICE = 10
_TICKS = 90_000 // FPS
_EVERY = 5
_DEADLINE_MS = 20_000
_SURE = 0.4
_COVERED = 0.9


def encoded(clip: Path, size: tuple[int, int], seconds: float) -> list[Any]:
    """Return the clip as a camera of this size would send it."""
    width, height = size
    with tempfile.NamedTemporaryFile(suffix=".h264") as made:
        subprocess.run(
            ["ffmpeg", "-loglevel", "error", "-y", "-i", str(clip), "-an",
             "-vf", f"setpts=PTS*10/{FPS},fps={FPS},scale={width}:{height}", "-t", str(seconds),
             "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-g", str(FPS * 2),
             "-x264-params", "scenecut=0:repeat-headers=1:slices=1", made.name],
            check=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        with av.open(made.name, format="h264") as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
    for number, packet in enumerate(packets):
        packet.dts = packet.pts = number * _TICKS
        packet.time_base = Fraction(1, 90_000)
    return packets


def recorded(folder: Path, packets: list[Any], size: tuple[int, int]) -> Source:
    """Write the packets as a closed recording."""
    first = bytes(packets[0])
    info = read_info("h264", parameter_sets("h264", first), first, Fraction(1, 90_000))
    init = Muxer(info, first).init
    header = SegmentHeader(
        "bench", new_id(), "main", new_id(), 1, BEGIN, init.codec, *size, "always"
    )
    writer = SegmentWriter(init.data, Fraction(1, 90_000), 0)
    pieces = [writer.begin(header)]
    for start in range(0, len(packets), FPS):
        some = packets[start : start + FPS]
        wall = microseconds(BEGIN) + start * 1_000_000 // FPS
        pieces.append(writer.part(some, (start + len(some)) * _TICKS, wall))
    data = b"".join((*pieces, writer.finish()))
    path = folder / f"{size[1]}.mp4"
    path.write_bytes(data)
    row = SegmentRow(
        id=header.segment_id, camera_id=header.camera_id, role="main", started_at=BEGIN,
        ends_at=writer.parts[-1].ends_at, bytes=len(data), sha256=sha256(data).hexdigest(),
        disk="bench", path=path.name, sequence=1, codec=init.codec, width=size[0], height=size[1],
        cause="always", clock="steady", motion="", deleting=False,
    )  # fmt: skip
    return Source(row, path)


def blurred(client: InferenceClient, folder: Path, source: Source) -> tuple[float, int]:
    """Make a blurred copy; return how long it took in seconds, and its frames."""
    clock = SystemClock()
    painting = FilmRedactor(client, masks=(), people_suffice=False, stopped=threading.Event())
    begun = clock.monotonic()
    span = source.row.started_at, source.row.ends_at
    clip = make_clip(folder, "copy", [source], span, masking=painting)
    took = clock.monotonic() - begun
    if painting.blurred > painting.covered:
        raise RuntimeError("most pictures were blurred as a whole: nothing was measured")
    return took, clip.files[0].frames


def covered_pct(client: InferenceClient, clip: Path, seconds: float) -> float:
    """Return how many of the people in the clip are covered in a copy, in percent."""
    pictures: dict[datetime, tuple[Picture, FilmShot]] = {}

    def shots() -> Iterator[FilmShot]:
        begun = None
        for number, frame in enumerate(open_file(clip)):
            at_s = frame.arrived_monotonic
            begun = at_s if begun is None else begun
            if at_s - begun > seconds:
                return
            planes = cv2.cvtColor(frame.rgb(*SIZES[0]), cv2.COLOR_RGB2YUV_I420)
            at = BEGIN + timedelta(seconds=at_s - begun)
            shot = FilmShot(np.asarray(planes, np.uint8), at_s - begun, at)
            if number % _EVERY == 0:
                pictures[at] = frame.rgb(), FilmShot(shot.data.copy(), shot.at_s, at)
            yield shot

    painting = FilmRedactor(client, masks=(), people_suffice=False, stopped=threading.Event())
    found = covered = 0
    for shot in painting.through(shots()):
        if shot.at not in pictures:
            continue
        picture, before = pictures.pop(shot.at)
        changed = shot.planes[0] != before.planes[0]
        scale = np.array([*picture.shape[1::-1]] * 2) / np.array([*shot.size] * 2)
        rows = client.submit(picture, deadline_ms=_DEADLINE_MS).result()
        for *box, score, number in rows.tolist():
            if score >= _SURE and client.describe().label(number) in PEOPLE:
                left, top, right, bottom = (np.array(box) / scale).astype(int)
                found += 1
                covered += bool(changed[top : bottom + 1, left : right + 1].mean() >= _COVERED)
    return round(100 * covered / max(1, found), 1)


def by_ffmpeg(source: Source) -> float:
    """Return how long ffmpeg takes, in seconds."""
    clock = SystemClock()
    begun = clock.monotonic()
    subprocess.run(
        ["nice", "-n", str(NICE), "ffmpeg", "-loglevel", "error", "-threads", "1",
         "-i", str(source.path), "-vf",
         "boxblur=20", "-filter_threads", "1", "-c:v", "libx264", "-preset", "ultrafast", "-tune",
         "zerolatency", "-g", str(FPS), "-threads", "1", "-f", "null", "-"],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return clock.monotonic() - begun


def after_everything_else() -> None:
    """Give this thread the priority of one that makes exports."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


async def measure(clip: Path, seconds: float) -> dict[str, Any]:
    """Run one after another what is compared."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="camera-hub-bench-") as name:
        folder, loop = Path(name), asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, "export", after_everything_else)
        async with child("inference", str(folder / "inference.sock")) as process:
            client = InferenceClient(folder / "inference.sock", SystemClock())
            try:
                await asyncio.to_thread(client.wait_connected, CONNECT_S)
                for size in SIZES:
                    say(f"{size[0]}x{size[1]}")
                    packets = await asyncio.to_thread(encoded, clip, size, seconds)
                    source = recorded(folder, packets, size)
                    used = sum(process.cpu_times()[:2])
                    took, frames = await loop.run_in_executor(pool, blurred, client, folder, source)
                    length = frames / FPS
                    figures[f"blur_{size[1]}_s_per_s"] = round(length / took, 2)
                    looks = sum(process.cpu_times()[:2]) - used
                    figures[f"blur_{size[1]}_detector_core_s_per_s"] = round(looks / length, 2)
                    alone = await asyncio.to_thread(by_ffmpeg, source)
                    figures[f"peer_ffmpeg_{size[1]}_s_per_s"] = round(length / alone, 2)
                    figures[f"blur_{size[1]}_ratio_ffmpeg"] = round(took / alone, 1)
                say("who is covered")
                figures["blur_covered_pct"] = await asyncio.to_thread(
                    covered_pct, client, clip, seconds
                )
            finally:
                pool.shutdown()
                client.close()
    return figures


def run(*, long: bool) -> dict[str, Any]:
    """Measure; `long` takes 50 seconds of video instead of 16.

    Skips, saying so, where there is no model that finds people and vehicles, or no footage.
    """
    clip = Path(os.environ.get("CAMERA_HUB_SHARED") or "../shared") / "clips" / CLIP
    if not clip.is_file() or find(YOLO11N, Path("models")) is None:
        say("no footage or no model that finds people and vehicles: set CAMERA_HUB_SHARED")
        return {"blur_360_s_per_s": None}
    return asyncio.run(measure(clip, 50.0 if long else 16.0))


if __name__ == "__main__":
    configure_logging("error")
    print(json.dumps(run(long="--long" in sys.argv[1:])))
