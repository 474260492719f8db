"""`python -m camera_hub.simulator`: virtual cameras in a process of their own.

Speaks JSON lines: progress, an error or the cameras on standard output; commands on standard
input, each with a camera's number from 1: `kill`, `restart`, `stall`, `resume`, `reboot`, and with
`on` or `off` behind the number `motion`, `tamper` and `input`. Ends at SIGTERM, and at the end of
standard input, so that it never outlives whoever started it.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from camera_hub.simulator.onvif import OnvifDevice
from camera_hub.simulator.quirks import Quirk
from camera_hub.simulator.site import SimulatedSite
from core.clock import SystemClock
from core.errors import HubError


def _say(message: dict[str, Any]) -> None:
    # One write for a line: progress comes from other tasks.
    os.write(sys.stdout.fileno(), orjson.dumps(message) + b"\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m camera_hub.simulator", description=__doc__)
    parser.add_argument("--footage", type=Path, help="video file to play on every camera")
    parser.add_argument("--cameras", type=int, default=4, help="how many cameras (default 4)")
    parser.add_argument("--work-dir", type=Path, required=True, help="where prepared clips lie")
    parser.add_argument("--json", action="store_true", help="JSON lines; the only format there is")
    parser.add_argument(
        "--quirk",
        action="append",
        default=[],
        type=_quirk,
        metavar="[N:]NAME",
        help="how cameras misbehave, all or number N; more than once. NAME is one of "
        + ", ".join(Quirk),
    )
    parser.add_argument("--sound", choices=("pcmu", "aac"), help="let every camera have a tone")
    parser.add_argument(
        "--tells", action="store_true", help="let every camera say what it sees (metadata)"
    )
    parser.add_argument(
        "--discoverable", action="store_true", help="answer WS-Discovery on loopback"
    )
    return parser.parse_args()


def _quirk(text: str) -> tuple[int, Quirk]:
    number, _, name = text.rpartition(":")
    return int(number or 0), Quirk(name)


_EVENTS: dict[str, Callable[[OnvifDevice, bool], None]] = {
    "motion": lambda device, active: device.events.motion(active),
    "tamper": lambda device, active: device.events.tamper(active),
    "input": lambda device, active: device.events.digital_input("door", active),
}


async def _obey(site: SimulatedSite, line: str) -> dict[str, Any]:
    """Carry out one command line and return the answer to it."""
    verb, _, rest = line.strip().partition(" ")
    rest, _, how = rest.strip().partition(" ")
    if not site.cameras:
        return {"error": "The cameras are not ready yet.", "remedy": "Wait for their list."}
    number = int(rest) if rest.strip().isdecimal() else 0
    if not 1 <= number <= len(site.cameras):
        return {
            "error": f"There is no camera {rest.strip() or '(none named)'}.",
            "remedy": f"Cameras have the numbers 1 to {len(site.cameras)}.",
        }
    camera = site.cameras[number - 1]
    active = how.strip() == "on"
    if verb == "kill":
        await camera.kill()
    elif verb == "restart":
        await camera.kill()
        await camera.start()
    elif verb == "stall":
        camera.stall()
    elif verb == "resume":
        camera.resume()
    elif verb == "reboot":
        camera.onvif.reboot()
    elif verb in _EVENTS:
        _EVENTS[verb](camera.onvif, active)
    else:
        return {
            "error": f"{verb} is no command.",
            "remedy": "Commands are kill, restart, stall, resume, reboot, and motion, tamper and "
            "input with on or off, each with a camera's number.",
        }
    return {"done": f"{verb} {number}{' ' + how if how else ''}"}


def _by_number(pairs: Iterable[tuple[int, Quirk]]) -> dict[int, list[Quirk]]:
    found: dict[int, list[Quirk]] = {}
    for number, quirk in pairs:
        found.setdefault(number, []).append(quirk)
    return found


async def _commands(site: SimulatedSite) -> None:
    """Obey the lines of standard input until it ends."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        try:
            _say(await _obey(site, line.decode("utf-8", "replace")))
        except OSError as error:
            _say(_port_taken(error))


def _port_taken(error: OSError) -> dict[str, Any]:
    return {
        "error": f"A virtual camera cannot listen: {error.strerror}.",
        "remedy": "Another program has taken its port; start the simulator again.",
    }


async def _run(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    site = SimulatedSite(
        work_dir=arguments.work_dir,
        clock=SystemClock(),
        footage=arguments.footage,
        cameras=arguments.cameras,
        quirks=_by_number(arguments.quirk),
        discoverable=arguments.discoverable,
        sound=arguments.sound,
        tells=arguments.tells,
        progress=lambda text: _say({"progress": text}),
    )
    serving = asyncio.create_task(_serve(site))
    tasks = [serving, asyncio.create_task(_commands(site)), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if not serving.cancelled():
        serving.result()


async def _serve(site: SimulatedSite) -> None:
    async with site:
        _say({"cameras": [camera.describe() for camera in site.cameras]})
        await asyncio.Event().wait()


def main() -> int:
    """Run the simulator; returns the exit code."""
    try:
        asyncio.run(_run(_arguments()))
    except HubError as error:
        _say({"error": error.message, "remedy": error.remedy})
        return 1
    except BrokenPipeError:
        return 0  # whoever started it is gone
    except OSError as error:
        _say(_port_taken(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
