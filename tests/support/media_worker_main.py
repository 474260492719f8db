"""A media worker's cameras and socket as a process of its own, to be killed by tests.

Arguments: path of the socket. Stdin: the assigned cameras as JSON, one line. Says `ready` when the
socket is there, and ends with its parent (stdin closes).
"""

import asyncio
import json
import sys
from pathlib import Path

from analytics.detectors.client import InferenceClient
from analytics.redaction.painters import painters
from camera_hub.live.runtime import MediaRuntime
from camera_hub.live.worker_server import MediaServer
from camera_hub.streams.types import AssignedCamera
from core.clock import SystemClock
from core.logging import configure_logging
from core.settings import MediaSettings


async def main() -> None:
    """Serve until stdin closes."""
    cameras = [AssignedCamera.from_json(item) for item in json.loads(sys.stdin.readline())]
    clock = SystemClock()
    detector = InferenceClient(Path(sys.argv[1]).with_name("inference.sock"), clock)
    runtime = MediaRuntime(
        clock=clock, settings=MediaSettings(), painters=painters(detector, clock)
    )
    runtime.apply(cameras)
    server = MediaServer(runtime, Path(sys.argv[1]))
    await server.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.close()
    runtime.stop()
    detector.close()


# Standard output is for `ready` alone.
configure_logging("error")
asyncio.run(main())
