"""The same work done by others, on the same camera, in the same run."""

import asyncio
import shutil

import psutil


async def ffmpeg_reader_mb(url: str) -> float | None:
    """Return the memory (USS, MB) of one ffmpeg process that decodes a camera to raw frames.

    That is how systems with a process per camera read (Frigate, Viseron). None without ffmpeg.
    """
    if shutil.which("ffmpeg") is None:
        return None
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-loglevel", "error", "-rtsp_transport", "tcp", "-i", url),
        *("-vf", "fps=5", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-y", "/dev/null"),
        stdin=asyncio.subprocess.DEVNULL,
    )
    await asyncio.sleep(4)
    used = float(psutil.Process(process.pid).memory_full_info().uss) / 1e6
    process.terminate()
    await process.wait()
    return round(used, 1)
