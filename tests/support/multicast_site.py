"""Two machines in one: a camera in a network of its own sends to a group, a reader joins it.

Run in a new network namespace (`unshare --user --map-root-user --net`): on one machine the media
library cannot bind the group's port beside the server. Prints one line of JSON: for each
transport the reason that is shown and how many packets came; for a group of IPv6 what was heard by
whoever wants its sender (`six`), and by whoever wants another (`others`).
"""

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from camera_hub.streams.reader import StreamReader
from camera_hub.streams.rtsp.ports import Group, joined
from camera_hub.streams.types import StreamInfo, StreamSource, Transport
from core.clock import SystemClock
from core.ids import new_id

HERE, CAMERA = "10.99.0.1", "10.99.0.2"
HERE_6, CAMERA_6, GROUP_6 = "fd99::1", "fd99::2", "ff15::4d2"
ENOUGH = 20
_SERVER = Path(__file__).with_name("multicast_server.py")


class Count:
    """A sink that counts."""

    def __init__(self) -> None:
        self.packets = 0

    def opened(self, info: StreamInfo) -> None:
        """See `Sink`."""

    def packet(self, packet: Any, arrived_monotonic: float, arrived_at: datetime) -> None:
        """See `Sink`."""
        self.packets += 1

    def closed(self) -> None:
        """See `Sink`."""


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def network() -> list[str]:
    """Lay a cable to a second namespace; return the beginning of a command that runs in it."""
    other = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
    own = Path("/proc/self/ns/net").readlink()
    while Path(f"/proc/{other.pid}/ns/net").readlink() == own:
        time.sleep(0.01)
    inside = ["nsenter", "--target", str(other.pid), "--net"]
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
    run("ip", "link", "set", "vb", "netns", str(other.pid))
    here: list[str] = []
    ends = ((here, "va", HERE, HERE_6, CAMERA), (inside, "vb", CAMERA, CAMERA_6, HERE))
    for command, device, address, six, way in ends:
        run(*command, "ip", "addr", "add", f"{address}/24", "dev", device)
        run(*command, "ip", "addr", "add", f"{six}/64", "dev", device, "nodad")
        run(*command, "ip", "link", "set", device, "up")
        run(*command, "ip", "route", "add", "default", "via", way)
    return inside


def read(transport: Transport) -> dict[str, Any]:
    """Read the camera until enough has come, for 20 s at most."""
    source = StreamSource(new_id(), "sub", f"rtsp://{CAMERA}:8554/cam", transport=transport)
    reader, sink = StreamReader(source, clock=SystemClock()), Count()
    reader.add_sink(sink)
    reader.start()
    until = time.monotonic() + 20
    while sink.packets < ENOUGH and time.monotonic() < until:
        time.sleep(0.05)
    status = reader.status()
    reader.stop()
    return {"packets": sink.packets, "reason": status.reason}


def hear_six(inside: list[str]) -> dict[str, str]:
    """Let the other machine send to a group of IPv6; say what came."""
    local = (HERE_6, 0, 0, 0)
    wanted = {"six": CAMERA_6, "others": "fd99::77", "anybody": ""}
    socks = {name: joined(Group(GROUP_6, 5004, local, one, 4)) for name, one in wanted.items()}
    send = (
        "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM);"
        f"s.bind(({CAMERA_6!r}, 0)); i = socket.if_nametoindex('vb');"
        "s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, i);"
        f"s.sendto(b'hello', ({GROUP_6!r}, 5004))"
    )
    found = dict.fromkeys(wanted, "")
    until = time.monotonic() + 5
    while not (found["six"] and found["anybody"]) and time.monotonic() < until:
        run(*inside, sys.executable, "-c", send)
        for name, sock in socks.items():
            try:
                found[name] = sock.recv(99).decode()
            except BlockingIOError:
                continue
    for sock in socks.values():
        sock.close()
    return found


def main() -> None:
    """Set all up, read with both transports, say what came."""
    inside = network()
    server = subprocess.Popen(
        [*inside, "/usr/bin/python3", str(_SERVER), CAMERA],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    server.stdout.readline()
    try:
        found = {"multicast": read("multicast"), "tcp": read("tcp"), **hear_six(inside)}
    finally:
        server.kill()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
