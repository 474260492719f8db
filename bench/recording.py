"""Recording: what forty cameras cost, beside ffmpeg and motion; the index; the way to a picture.

The streams come from Debian's gst-rtsp-server in processes of their own that are not counted.
Ratios are of CPU per camera: ours to theirs, on the same streams.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from app.supervisor import CHILD_ENVIRONMENT
from bench import lib_reader as reading
from bench import lib_recording_index as index
from bench import lib_telling as telling
from bench.lib_reader import served
from bench.lib_recording_peers import ffmpeg, motion
from bench.lib_recording_seek import seek

CAMERAS = 40
MOTION_CAMERAS = 8
"""Motion decodes every picture: forty cameras would not fit on the machine."""


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def recorded(
    urls: list[str], folder: Path, *, seconds: float, warm_up_s: float, live: bool = False
) -> dict[str, Any]:
    """Record the streams in a process of its own; return what it cost."""
    folder.mkdir()
    command = [sys.executable, "-m", "bench.lib_recording_worker", str(folder), str(seconds)]
    command += [str(warm_up_s), "1" if live else "0", *urls]
    # As the hub itself starts its workers.
    environment = {**CHILD_ENVIRONMENT, **os.environ}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def streams(stack: ExitStack, cameras: int) -> list[str]:
    """Serve so many streams, half of them from each of two processes."""
    half = cameras // 2
    return stack.enter_context(served(half)) + stack.enter_context(served(cameras - half))


def costs(long: bool) -> dict[str, Any]:
    """Return what recording costs here and with others."""
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hub-bench-")))
        urls = streams(stack, CAMERAS)
        seconds = 1200.0 if long else 60.0
        say(f"recording {CAMERAS} streams for {seconds:.0f} s")
        own = recorded(urls, folder / "own", seconds=seconds, warm_up_s=90.0 if long else 10.0)
        say(json.dumps(own))
        say("the same with a viewer of each")
        seen = recorded(urls, folder / "live", seconds=30.0, warm_up_s=5.0, live=True)
        say(json.dumps(seen))
        figures["record40_core_pct"] = own["core_pct"]
        figures["record40_pictures_per_s"] = own["pictures_per_s"]
        figures["record40_memory_first_mb"] = own["memory_first_mb"]
        figures["record40_memory_last_mb"] = own["memory_last_mb"]
        figures["per_camera_core_pct"] = round(seen["core_pct"] / CAMERAS, 3)
        say(f"ffmpeg -c copy -f segment, {CAMERAS} processes")
        theirs = ffmpeg(urls, folder / "ffmpeg", warm_up_s=15.0, seconds=30.0)
        own_each = own["core_pct"] / CAMERAS
        if theirs is not None:
            say(json.dumps(theirs))
            figures["ffmpeg_per_camera_core_pct"] = round(theirs["core_pct"] / CAMERAS, 3)
            figures["ratio_to_ffmpeg_cpu"] = round(own_each / (theirs["core_pct"] / CAMERAS), 3)
        say(f"motion in pass-through, {MOTION_CAMERAS} cameras")
        theirs = motion(urls[:MOTION_CAMERAS], folder / "motion", warm_up_s=15.0, seconds=30.0)
        if theirs is None:
            say("no motion here: apt-get install motion")
        else:
            say(json.dumps(theirs))
            each = theirs["core_pct"] / MOTION_CAMERAS
            figures["motion_per_camera_core_pct"] = round(each, 3)
            figures["ratio_to_motion_cpu"] = round(own_each / each, 3)
    return figures


def run(long: bool = False) -> dict[str, Any]:
    """Return all figures of recording; `long` records for twenty minutes."""
    figures = costs(long)
    say("reading over TCP and over UDP, ours and the media library")
    figures |= reading.figures()
    say("cameras that see for themselves, and cameras whose pictures are looked at")
    figures |= telling.figures()
    say("the index")
    figures |= index.figures(long)
    say("from a press to the first picture")
    return figures | seek()
