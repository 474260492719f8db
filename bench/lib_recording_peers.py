"""The same recording work done by others: `ffmpeg -c copy` and Debian's `motion` in pass-through.

Each reads the same streams over RTSP/TCP and writes files without encoding anything. ffmpeg is one
process a camera, as such a script runs it; motion is one process for all, with its detection of
motion set to the least that it can do, for it decodes every picture in any case.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil


def _used(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(t.user + t.system for t in times)


def _measured(
    started: list[subprocess.Popen[bytes]],
    written: Callable[[], int],
    *,
    warm_up_s: float,
    seconds: float,
) -> dict[str, float] | None:
    """Return CPU and bytes of processes; None where they record nothing."""
    try:
        time.sleep(warm_up_s)
        processes = [psutil.Process(process.pid) for process in started if process.poll() is None]
        if len(processes) < len(started):
            return None
        before, bytes_before, began = _used(processes), written(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        used, grown = _used(processes) - before, written() - bytes_before
        memory = sum(process.memory_full_info().uss for process in processes) / 1e6
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    if grown <= 0:
        return None
    return {
        "core_pct": round(100 * used / took, 2),
        "kbps": round(grown * 8 / took / 1000),
        "memory_mb": round(memory, 1),
    }


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def ffmpeg(
    urls: list[str], folder: Path, *, warm_up_s: float, seconds: float
) -> dict[str, float] | None:
    """Record with `ffmpeg -c copy -f segment`; None where there is no ffmpeg."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    started = []
    for number, url in enumerate(urls):
        own = folder / str(number)
        own.mkdir(parents=True)
        movflags = "movflags=frag_keyframe+empty_moov+default_base_moof"
        command = [program, "-nostdin", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url]
        command += ["-an", "-c", "copy", "-f", "segment", "-segment_time", "60"]
        command += ["-reset_timestamps", "1", "-segment_format_options", movflags]
        command.append(str(own / "%05d.mp4"))
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
    return _measured(started, lambda: _size_of(folder), warm_up_s=warm_up_s, seconds=seconds)


def motion(
    urls: list[str], folder: Path, *, warm_up_s: float, seconds: float
) -> dict[str, float] | None:
    """Record all the time with motion's `movie_passthrough`; None where there is no motion."""
    program = shutil.which("motion")
    if program is None:
        return None
    folder.mkdir(parents=True)
    common = [
        "daemon off",
        "log_level 3",
        "webcontrol_port 0",
        "emulate_motion on",
        "picture_output off",
        "movie_output on",
        "movie_passthrough on",
        "movie_container mp4",
        "movie_max_time 60",
        "framerate 2",
        "width 640",
        "height 360",
    ]
    cameras = []
    for number, url in enumerate(urls, 1):
        own = folder / str(number)
        own.mkdir()
        path = folder / f"camera{number}.conf"
        lines = [f"camera_id {number}", f"netcam_url {url}", f"target_dir {own}"]
        path.write_text("\n".join(lines) + "\n")
        cameras.append(f"camera {path}")
    config = folder / "motion.conf"
    config.write_text("\n".join(common + cameras) + "\n")
    command = [program, "-n", "-c", str(config)]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    return _measured(started, lambda: _size_of(folder), warm_up_s=warm_up_s, seconds=seconds)
