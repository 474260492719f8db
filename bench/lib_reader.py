"""What reading cameras costs: our own RTSP client and the media library, on the same streams.

Debian's gst-rtsp-server serves the streams in a process of its own; each reader is a process of
its own too, of which the CPU time is counted; both over TCP and over UDP. `python -m
bench.lib_reader [CAMERAS]` prints one line of JSON: per cent of a core for each camera.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

from camera_hub.live.channel import LiveChannel
from camera_hub.streams.reader import StreamReader
from camera_hub.streams.types import StreamSource, StreamState, Transport
from core.clock import SystemClock
from core.ids import new_id

WIDTH, HEIGHT, FPS = 640, 360, 25
KBPS = 700
GOP = 50
WARM_UP_S, MEASURED_S = 4.0, 20.0
KINDS = ("own", "own_with_live_channel", "own_udp", "library", "library_udp")
_SERVER = Path(__file__).parents[1] / "tests" / "support" / "media_rtsp_server.py"


def make_footage(path: Path) -> None:
    """Write 8 s of a moving, noisy scene at about `KBPS`, as the test server reads it."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate = Fraction(FPS)
    encoder.bit_rate = KBPS * 1000
    encoder.time_base = 1 / encoder.framerate
    encoder.gop_size = GOP
    options = f"keyint={GOP}:min-keyint={GOP}:scenecut=0:repeat-headers=1:bframes=0:vbv-bufsize=700"
    encoder.options = {"preset": "veryfast", "tune": "zerolatency", "x264-params": options}
    noise = np.random.default_rng(1)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    units: list[bytes] = []
    for number in range(8 * FPS):
        scene = ((x + 2 * number) // 3 + y // 2) % 200 + noise.integers(0, 24, (HEIGHT, WIDTH))
        picture = np.repeat(scene[:, :, None].astype(np.uint8), 3, axis=2)
        units += (bytes(p) for p in encoder.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
    units += (bytes(p) for p in encoder.encode(None))
    path.write_bytes(b"".join(len(unit).to_bytes(4, "big") + unit for unit in units))


@contextmanager
def served(cameras: int) -> Iterator[list[str]]:
    """Serve `cameras` streams while the block runs; give their addresses."""
    with socket.socket() as sock, tempfile.TemporaryDirectory() as folder:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        sock.close()
        footage = Path(folder) / "footage.aus"
        make_footage(footage)
        server = subprocess.Popen(
            ["/usr/bin/python3", str(_SERVER), str(port), ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            print(file=server.stdin, flush=True)
            server.stdout.readline()
            for number in range(cameras):
                mount = {"op": "mount", "path": f"/{number}", "footage": str(footage), "fps": FPS}
                print(json.dumps({**mount, "codec": "h264"}), file=server.stdin, flush=True)
                server.stdout.readline()
            yield [f"rtsp://127.0.0.1:{port}/{number}" for number in range(cameras)]
        finally:
            server.kill()
            server.wait()


class LibraryReader(StreamReader):
    """A reader that goes through the media library whatever the stream."""

    def _library_transport(self, source: StreamSource) -> Transport:
        return source.transport


def read(kind: str, urls: list[str]) -> dict[str, float]:
    """Read all streams for a while in this process; return what it cost and what came."""
    make = LibraryReader if kind.startswith("library") else StreamReader
    transport: Transport = "udp" if kind.endswith("udp") else "tcp"
    sources = [StreamSource(new_id(), "sub", url, transport=transport) for url in urls]
    readers = [make(source, clock=SystemClock()) for source in sources]
    for reader in readers:
        if kind == "own_with_live_channel":
            reader.add_sink(LiveChannel())
        reader.start()
    while any(reader.status().state is not StreamState.ONLINE for reader in readers):
        time.sleep(0.1)
    time.sleep(WARM_UP_S)
    process = psutil.Process()
    before, packets, began = process.cpu_times(), _packets(readers), time.monotonic()
    time.sleep(MEASURED_S)
    after, seconds = process.cpu_times(), time.monotonic() - began
    used = after.user + after.system - before.user - before.system
    return {
        "core_pct_per_camera": round(100 * used / seconds / len(urls), 3),
        "pictures_per_s": round((_packets(readers) - packets) / seconds / len(urls), 2),
        "memory_mb": round(process.memory_full_info().uss / 1e6, 1),
    }


def _packets(readers: list[StreamReader]) -> int:
    return sum(reader.status().packets for reader in readers)


def measure(cameras: int = 20) -> dict[str, dict[str, float]]:
    """Return the cost of each kind of reader, one after the other on the same streams."""
    found = {}
    with served(cameras) as urls:
        for kind in KINDS:
            child = subprocess.run(
                [sys.executable, "-m", "bench.lib_reader", "read", kind, *urls],
                check=True,
                capture_output=True,
                text=True,
            )
            found[kind] = json.loads(child.stdout.splitlines()[-1])
    return found


def figures(cameras: int = 20) -> dict[str, float]:
    """Return what reading costs over each way, and how many times the library's is ours."""
    each = {kind: found["core_pct_per_camera"] for kind, found in measure(cameras).items()}
    return {
        "read_tcp_per_camera_core_pct": each["own"],
        "read_udp_per_camera_core_pct": each["own_udp"],
        "ratio_to_library_tcp": round(each["own"] / each["library"], 3),
        "ratio_to_library_udp": round(each["own_udp"] / each["library_udp"], 3),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        print(json.dumps(read(sys.argv[2], sys.argv[3:])))
    else:
        print(json.dumps(measure(int(sys.argv[1]) if sys.argv[1:] else 20)))
