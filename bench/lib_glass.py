"""A camera whose pictures tell when they were sent: a child process of the benchmarks.

Each frame carries its number as a row of black and white squares. Frames are sent when they are
due on CLOCK_MONOTONIC, which all processes of a machine share, so that whoever reads a number
from a screen knows when that picture left the camera.
"""

import asyncio
import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from camera_hub.simulator.broadcast import Broadcast
from camera_hub.simulator.clip import load
from camera_hub.simulator.rtsp import RtspServer
from core.clock import SystemClock

BITS = 10
SQUARE = 24
WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 25, 20
PATH = "/glass"


def picture(number: int) -> np.ndarray:
    """Return frame `number`, uint8 of shape (HEIGHT, WIDTH, 3): a moving scene and its number."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    scene = ((x + 3 * number) // 2 + y) % 256
    frame = np.repeat(scene[:, :, None].astype(np.uint8), 3, axis=2)
    for bit in range(BITS):
        left = 8 + bit * SQUARE
        frame[8 : 8 + SQUARE, left : left + SQUARE] = 255 if number >> bit & 1 else 0
    return frame


def make_clip(path: Path) -> None:
    """Write the clip: H.264, a key frame each second, no B-frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        stream.options = {"preset": "ultrafast", "bf": "0", "g": str(FPS), "crf": "24"}
        for number in range(FPS * SECONDS):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


async def serve(path: Path) -> None:
    """Serve the clip until standard input ends; print where and when it began."""
    clock = SystemClock()
    began = clock.monotonic()
    broadcast = Broadcast(load(path), began=began, clock=clock)
    server = RtspServer({PATH: broadcast}, username="glass", password="glass")
    await server.start()
    about = {"url": server.url(PATH), "began_unix": clock.now().timestamp(), "fps": FPS}
    about["frames"] = FPS * SECONDS
    print(json.dumps(about), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


if __name__ == "__main__":
    clip = Path(sys.argv[1])
    make_clip(clip)
    asyncio.run(serve(clip))
