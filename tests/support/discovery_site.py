"""A network with IPv6 only: a camera answers there to a call, and the hub listens.

Run in a new network namespace (`unshare --user --map-root-user --net`). Prints one line of JSON:
the addresses that the hub calls from, the camera's port, and what was found.
"""

import asyncio
import json
import subprocess
import sys

from camera_hub.devices import discovery
from camera_hub.simulator.discovery import DiscoveryResponder
from camera_hub.simulator.onvif import OnvifDevice
from camera_hub.simulator.onvif_xml import StreamProfile
from camera_hub.streams.reach import Reach
from core.clock import SystemClock

HERE = "fd00:1::1"
_STREAM = StreamProfile("one", "rtsp://127.0.0.1:8554/one", 1280, 720, 25, 2000, 25)
_LINKS = (
    "link set lo up",
    "link add va type veth peer name vb",
    "link set va up",
    "link set vb up",
    f"addr add {HERE}/64 dev va nodad",
)


async def called(on: list[str], port: int) -> list[str]:
    """Return the addresses of what answers a call."""
    found = discovery.call_out(SystemClock(), Reach(), on, seconds=1.0, port=port)
    return [one.address async for one in found]


async def main() -> None:
    """Set all up, call from all interfaces and from one, say what came."""
    for link in _LINKS:
        subprocess.run(["ip", *link.split()], check=True)
    device = OnvifDevice([_STREAM], username="viewer", password="secret", clock=SystemClock())
    await device.start()
    responder = DiscoveryResponder(lambda: [device], interface=HERE, port=0)
    await responder.start()
    interfaces = discovery.interfaces()
    found = {
        "interfaces": interfaces,
        "port": device.port,
        "called": await called(interfaces, responder.port),
        "named": await called([HERE], responder.port),
    }
    await responder.close()
    await device.close()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
