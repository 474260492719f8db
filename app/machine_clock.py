"""The clock of this machine: set by more than it may drift, or kept by nobody, is a fault.

Recordings, time limits and evidence carry its time. Whether NTP keeps it is asked of systemd; the
kernel's own answer (adjtimex) is not to be had without calling C.
"""

import asyncio
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from analytics.rules.journal import EventJournal
from analytics.rules.signal import Signal, fault_signal
from analytics.rules.types import Phase
from core.clock import Clock
from core.logging import get_logger
from core.metrics import counter
from core.settings import Settings

SOURCE = "/supervisor"
LOOK_EVERY_S = 5.0
ASK_EVERY_S = 300.0
JUMP_S = 2.0
"""Wall and monotonic time that part by more between two looks: somebody set the clock.

The fastest that a time service bends a clock (chrony, 8 %) is 0.4 s between two looks."""
STEADY_S = 600.0
"""A clock that has not been set again for so long is steady."""
UNKEPT_S = 900.0
"""A machine that has just started, or whose network was away, is given so long."""
_ASK_TIMEOUT_S = 5.0
_TIMESYNC = Path("/run/systemd/timesync")

_log = get_logger("app.machine_clock")
_ERRORS = counter("machine_clock_errors", "Errors in watching the clock that nobody expected")


def synchronised(timesync: Path = _TIMESYNC) -> bool | None:
    """Return whether NTP keeps this machine's clock; None where that cannot be told.

    `timedatectl` knows for any time service, `timesync` is the folder of systemd's own. A
    container has neither, and no clock of its own: its host has to be looked at.
    """
    command = shutil.which("timedatectl")
    if command is not None:
        try:
            asked = subprocess.run(  # noqa: S603 - nothing of it comes from outside
                [command, "show", "--property=NTPSynchronized", "--value"],
                check=False,
                capture_output=True,
                text=True,
                timeout=_ASK_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError):
            asked = None
        if asked is not None and (said := asked.stdout.strip()) in ("yes", "no"):
            return said == "yes"
    if timesync.is_dir():
        return (timesync / "synchronized").exists()
    return None


class ClockWatch:
    """Follows the machine's clock; not thread-safe.

    What was said lies in a file: a fault that began before a restart ends after it.
    """

    def __init__(
        self, clock: Clock, emit: Callable[[Signal], object], journal: Path, *, area: str
    ) -> None:
        """Make a watch.

        Args:
            clock: the one that is watched.
            emit: keeps a signal durably, as `Spool.put` does.
            journal: the file that outlives the process.
            area: of the site.
        """
        self._clock = clock
        self._emit = emit
        self._running = EventJournal(journal)
        self._area = area
        self._machine = platform.node() or "this machine"
        self._ahead = self._wall_ahead()
        self._set_at = clock.monotonic()
        self._unkept_since: float | None = None

    def look(self, kept: bool | None) -> None:
        """Compare the clocks; `kept` is what `synchronised` says. Call it every few seconds."""
        now, ahead = self._clock.monotonic(), self._wall_ahead()
        by, self._ahead = ahead - self._ahead, ahead
        if abs(by) > JUMP_S:
            self._set_at = now
            self._begin("set", f"The clock of {self._machine} was set by {by:+.0f} s", by)
        elif now - self._set_at >= STEADY_S:
            self._end("set", f"The clock of {self._machine} is steady again")
        if kept is not False:
            self._unkept_since = None
            if kept:
                self._end("unkept", f"The clock of {self._machine} is kept by NTP again")
            return
        if self._unkept_since is None:
            self._unkept_since = now
        if now - self._unkept_since >= UNKEPT_S:
            self._begin("unkept", f"The clock of {self._machine} is not kept by NTP", None)

    def _wall_ahead(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    def _begin(self, what: str, headline: str, by: float | None) -> None:
        key = self._running.key(what)
        if key and by is None:
            return
        phase: Phase = "continuing" if key else "started"
        if not key:
            key = f"machine:{self._machine}:{what}:{int(self._clock.now().timestamp())}"
            self._running.begin(what, key)
        detail: dict[str, object] = {"machine": self._machine}
        if by is not None:
            detail["seconds"] = round(by, 1)
        self._say(key, headline, phase, detail)

    def _end(self, what: str, headline: str) -> None:
        key = self._running.end(what)
        if key:
            self._say(key, headline, "ended", {"machine": self._machine})

    def _say(self, key: str, headline: str, phase: Phase, detail: dict[str, object]) -> None:
        self._emit(
            fault_signal(
                self._clock,
                source=SOURCE,
                kind="machine.clock",
                phase=phase,
                event_key=key,
                headline=headline,
                severity="severe",
                subject=self._machine,
                area=self._area,
                detail=detail,
            )
        )
        self._running.save()


def journal_of(settings: Settings) -> Path:
    """Where a node remembers what it said of its clock."""
    return settings.data_dir / "state" / "machine-clock.json"


async def watch_clock(watch: ClockWatch, clock: Clock) -> None:
    """Follow the machine's clock until cancelled."""
    kept: bool | None = None
    asked_at = float("-inf")
    while True:
        try:
            now = clock.monotonic()
            if now - asked_at >= ASK_EVERY_S:
                asked_at, kept = now, await asyncio.to_thread(synchronised)
            watch.look(kept)
        except Exception as error:  # noqa: BLE001 - top of the loop: counted, logged, gone on
            _ERRORS.inc()
            _log.error("watching the clock failed", error=repr(error))
        await clock.sleep(LOOK_EVERY_S)
