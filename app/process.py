"""What every child process of the supervisor does: die with it, report ready, beat."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import uvloop
from setproctitle import setproctitle

from core.errors import HubError
from core.logging import configure_logging, get_logger
from core.settings import Settings

BEAT_FD_VARIABLE = "CAMERA_HUB_BEAT_FD"
SUPERVISOR_VARIABLE = "CAMERA_HUB_SUPERVISOR_PID"
BEAT_EVERY_S = 1.0
_PR_SET_PDEATHSIG = 1

log = get_logger("app.process")


def die_with_supervisor() -> None:
    """Ask the kernel for SIGTERM when the supervisor ends (Linux); nothing for one started by hand.

    To be called before anything slow: until then a child would outlive a supervisor that is killed.
    """
    supervisor = os.environ.pop(SUPERVISOR_VARIABLE, "")
    if not supervisor:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have gone before the call above took effect; then somebody else is the parent.
    if os.getppid() != int(supervisor):
        sys.exit(0)


class Pulse:
    """This process's line to its supervisor: `ready`, then `beat` every second, or `error …`.

    Without a supervisor (a process started by hand) it writes nowhere.
    """

    def __init__(self) -> None:
        descriptor = os.environ.pop(BEAT_FD_VARIABLE, "")
        self._fd = int(descriptor) if descriptor else None

    def write(self, word: str) -> None:
        """Send one word; a full or closed pipe is the supervisor's business, not ours."""
        if self._fd is not None:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(self._fd, f"{' '.join(word.split())[:1000]}\n".encode())

    async def beat_forever(self) -> None:
        """Beat from the event loop, so that a loop that hangs falls silent."""
        self.write("ready")
        while True:
            self.write("beat")
            await asyncio.sleep(BEAT_EVERY_S)


@contextlib.contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM or SIGINT while the block runs."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def read_settings(path: Path) -> Settings:
    """Read the settings that the supervisor resolved."""
    return Settings.model_validate_json(path.read_bytes())


ChildMain = Callable[[Settings, Pulse], Coroutine[Any, Any, None]]


def run_child(name: str, settings: Settings, main: ChildMain) -> int:
    """Run `main` as the child `name`; return the exit status."""
    setproctitle(f"camera-hub {name}")
    configure_logging(settings.log.level, settings.log.format, process=name)
    pulse = Pulse()
    try:
        uvloop.run(main(settings, pulse))
    except HubError as error:
        log.error("stopped", error=str(error))
        pulse.write(f"error {error}")
        return 1
    return 0
