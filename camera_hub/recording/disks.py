"""The disks that take recordings: each with a thread of its own, so that one hangs alone.

A disk is known by a file `.camera-hub-disk` with its name, written when it is first taken into use
on an empty folder. A folder without it, on a disk that has been used before, is a mount point
that nothing is mounted on: nothing is written there.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from camera_hub.recording.busy import WorkShare
from core.clock import Clock
from core.durable import UNFINISHED, write_once
from core.logging import get_logger
from core.metrics import counter
from core.settings_recording import DiskSettings

MARKER = ".camera-hub-disk"
PENDING = "pending"
GIGABYTE = 1_000_000_000
LEAST_ROOM = 64_000_000
"""A disk with less than this left is full: a file needs room until it is closed."""
HANGS_AFTER_S = 5.0
LEFT_FOR_S = 10.0
"""How long a disk that failed is left alone."""
_LOOK_EVERY_S = 1.0
BUSY = 0.5
"""A disk whose thread works for more than this share of the time is not given new files."""
_OF_THE_SYSTEM = {"lost+found", ".Trash-0", "System Volume Information"}

log = get_logger(__name__)
FAILURES = counter("recording_disk_failures", "Times a disk of recordings failed", ("disk",))
ERRORS = counter("recording_disk_errors", "Errors on a disk's thread that nobody expected")

T = TypeVar("T")


class DiskState(StrEnum):
    """How a disk is doing; only an `ok` one is written to."""

    OK = "ok"
    FULL = "full"
    READ_ONLY = "read_only"
    GONE = "gone"
    HANGING = "hanging"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DiskReport:
    """A disk at one instant; bytes of the whole file system, 0 where it cannot be asked.

    `used` and `free` are the file system's; `recorded` is what recordings take, counted only
    where a quota makes it matter (else None).
    """

    name: str
    state: DiskState
    reason: str
    total: int
    used: int
    free: int
    recorded: int | None = None


class OpenFile(Protocol):
    """A file that is being written on a disk; both are called on the disk's thread."""

    def sync(self) -> None:
        """Bring what was written to the disk.

        Raises:
            OSError: the disk refuses.
        """

    def abandon(self, error: OSError | None) -> None:
        """The disk failed: let go of the file without raising anything."""


class Disk:
    """One folder that takes recordings. Its methods may be called from any thread and never block.

    Jobs run one after another on the disk's thread. A job that raises OSError makes the disk fail:
    its open files are abandoned, and it is looked at again after `LEFT_FOR_S`.
    """

    def __init__(
        self, settings: DiskSettings, clock: Clock, known: Path, *, flush_s: float = 2.0
    ) -> None:
        """Make a disk; `start` it.

        Args:
            settings: name, folder, quota.
            clock: measures how long things take.
            known: a folder outside of the disk that remembers which disks were in use.
            flush_s: what is written is flushed so often.
        """
        self.name = settings.name
        self.path = settings.path
        self.quota = int(settings.quota_gb * GIGABYTE)
        self.keep_free = int(settings.keep_free_gb * GIGABYTE)
        self.recorded: int | None = None
        """Bytes of recordings, where there is a quota; kept by `care.py`."""
        self.returned = threading.Event()
        """Set whenever the disk became usable: what was left unfinished can be mended."""
        self._clock = clock
        self._known = known / settings.name
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._flush_s = flush_s
        self._busy_since: float | None = None
        self._work = WorkShare(clock)
        self._state = DiskState.FAILED
        self._reason = "The disk has not been looked at yet."
        self._retry_at = float("-inf")
        self._total = self._free = 0
        self._files: set[OpenFile] = set()
        self._looked = self._synced = float("-inf")
        self._thread = threading.Thread(target=self._run, name=f"disk-{self.name}", daemon=True)

    def start(self) -> None:
        """Begin to look at the disk and to do its jobs."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Do what waits, then end; say whether that was done within `timeout` seconds."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def state(self) -> DiskState:
        """How it is doing now."""
        return DiskState.HANGING if self._hangs() else self._state

    @property
    def usable(self) -> bool:
        """Whether a file may be begun or gone on with."""
        return self._state is DiskState.OK and not self._hangs()

    @property
    def busy(self) -> bool:
        """Whether it works most of the time, as one that fails or is shared does."""
        return self._work.share > BUSY

    @property
    def room(self) -> int:
        """Bytes that recordings may still take."""
        room = self._free - self.keep_free
        if self.quota:
            room = min(room, self.quota - (self.recorded or 0))
        return room

    def report(self) -> DiskReport:
        """Return how it is doing, for the hub."""
        state = self.state
        reason = self._reason
        if state is DiskState.HANGING:
            reason = "The disk does not answer. Check its cable and its health."
        used = max(0, self._total - self._free)
        return DiskReport(self.name, state, reason, self._total, used, self._free, self.recorded)

    def put(self, job: Callable[[], None]) -> None:
        """Have `job` done on the disk's thread."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    def ask(self, job: Callable[[], T]) -> Future[T]:
        """Have `job` done on the disk's thread; its result, or what it raised, comes later."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except OSError as error:
                future.set_exception(error)

        self.put(run)
        return future

    def opened(self, file: OpenFile) -> None:
        """Note an open file (on the disk's thread)."""
        self._files.add(file)

    def closed(self, file: OpenFile, size: int) -> None:
        """Note that a file of `size` bytes is closed (on the disk's thread)."""
        self._files.discard(file)
        if self.recorded is not None:
            self.recorded += size

    def _hangs(self) -> bool:
        since = self._busy_since
        return since is not None and self._clock.monotonic() - since > HANGS_AFTER_S

    def _run(self) -> None:
        self._do(None)
        while True:
            with self._wake:
                if not self._jobs and not self._stopping:
                    self._wake.wait(_LOOK_EVERY_S)
                job = self._jobs.popleft() if self._jobs else None
                if job is None and self._stopping:
                    return
            self._do(job)

    def _do(self, job: Callable[[], None] | None) -> None:
        began = self._busy_since = self._clock.monotonic()
        try:
            self._upkeep()
            if job is not None:
                job()
        except OSError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 - top of the disk's loop: counted, logged, gone on
            ERRORS.inc()
            log.error("a disk's job failed", disk=self.name, error=repr(error))
        self._busy_since = None
        self._work.worked(began)

    def _upkeep(self) -> None:
        now = self._clock.monotonic()
        if now - self._looked >= _LOOK_EVERY_S and now >= self._retry_at:
            self._looked = now
            self._look()
        if self._state is DiskState.OK and now - self._synced >= self._flush_s:
            self._synced = now
            for file in list(self._files):
                file.sync()

    def fail(self, error: OSError) -> None:
        """Leave the disk for a while (on the disk's thread)."""
        state, reason = explained(error)
        self._leave(state, reason, error)

    def _leave(self, state: DiskState, reason: str, error: OSError | None) -> None:
        if self._state is DiskState.OK:
            FAILURES.labels(self.name).inc()
            log.error("a disk is left for a while", disk=self.name, state=state.value, why=reason)
        files, self._files = self._files, set()
        if self._state is not DiskState.FULL or state is not DiskState.FULL:
            self._retry_at = self._clock.monotonic() + LEFT_FOR_S
        self._state, self._reason = state, reason
        for file in files:
            file.abandon(error)

    def _look(self) -> None:
        """Find out how the disk is doing.

        Raises:
            OSError: badly.
        """
        problem = self._unknown()
        if problem:
            self._leave(*problem, None)
            return
        found = os.statvfs(self.path)
        self._total = found.f_blocks * found.f_frsize
        self._free = found.f_bavail * found.f_frsize
        if found.f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if self.room < LEAST_ROOM:
            what = "its quota is used up" if self.quota and self._over_quota() else "it is full"
            reason = f"The disk takes no more: {what}. Shorten the retention, or add a disk."
            self._leave(DiskState.FULL, reason, OSError(errno.ENOSPC, reason))
            return
        if self._state is not DiskState.OK:
            self._try_out()
            log.info("a disk is in use", disk=self.name, was=self._state.value)
            self._state, self._reason = DiskState.OK, ""
            self.returned.set()

    def _over_quota(self) -> bool:
        return self.quota - (self.recorded or 0) < LEAST_ROOM

    def _unknown(self) -> tuple[DiskState, str] | None:
        """Take an empty folder into use; return what is wrong with one that is not this disk."""
        marker = self.path / MARKER
        try:
            name = marker.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return self._take_into_use(marker)
        if name != self.name:
            reason = (
                f"The folder holds the disk '{name[:40]}', not this one. Check what is mounted."
            )
            return DiskState.FAILED, reason
        if not self._known.exists():
            self._remember()
        return None

    def _take_into_use(self, marker: Path) -> tuple[DiskState, str] | None:
        if self._known.exists():
            return DiskState.GONE, (
                "The disk is not mounted. Mount it; if a new one takes its place, write a file "
                f"'{MARKER}' with the text '{self.name}' on it."
            )
        self.path.mkdir(mode=0o750, exist_ok=True)
        there = {
            entry.name
            for entry in os.scandir(self.path)
            # A start that was killed here may have left its marker half made.
            if not (entry.name.startswith(f".{MARKER}.") and entry.name.endswith(UNFINISHED))
        } - _OF_THE_SYSTEM
        if MARKER in there:
            return None  # another worker was faster
        if there:
            return DiskState.FAILED, (
                "The folder is not empty and holds no recordings of Camera Hub. Give an empty one."
            )
        (self.path / PENDING).mkdir(mode=0o750, exist_ok=True)
        try:
            write_once(marker, f"{self.name}\n".encode(), mode=0o640)
        except FileExistsError:
            return None
        self._remember()
        return None

    def _remember(self) -> None:
        self._known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._known.touch()

    def _try_out(self) -> None:
        """Write, flush and remove a small file.

        Raises:
            OSError: the disk cannot be written to.
        """
        (self.path / PENDING).mkdir(mode=0o750, exist_ok=True)
        probe = self.path / PENDING / f".try-{os.getpid()}"
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, b"camera-hub\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)


class Disks:
    """All disks of this node."""

    def __init__(self, disks: Iterable[Disk]) -> None:
        self._disks = tuple(disks)

    @classmethod
    def of(
        cls, settings: Iterable[DiskSettings], data_dir: Path, clock: Clock, *, flush_s: float
    ) -> Disks:
        """Return the disks of the settings; `data_dir` remembers which were in use."""
        known = data_dir / "state" / "disks"
        return cls(Disk(disk, clock, known, flush_s=flush_s) for disk in settings)

    def __iter__(self) -> Iterator[Disk]:
        return iter(self._disks)

    def choose(self) -> Disk | None:
        """Return the usable disk with the most room, a busy one only where all are; else None."""
        usable = [disk for disk in self._disks if disk.usable]
        return max(usable, key=lambda disk: (not disk.busy, disk.room), default=None)

    def start(self) -> None:
        """Begin with all disks."""
        for disk in self._disks:
            disk.start()

    def stop(self, timeout: float) -> None:
        """End all disks' threads; one that hangs is left behind after `timeout` seconds."""
        for disk in self._disks:
            if not disk.stop(timeout):
                log.error("a disk still hangs", disk=disk.name)


def explained(error: OSError) -> tuple[DiskState, str]:
    """Return the state and the sentence for what a disk refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskState.FULL, "The disk is full. Shorten the retention, or add a disk."
    if error.errno == errno.EROFS:
        return DiskState.READ_ONLY, (
            "The disk is read-only, as the system makes one that has errors. Check its health."
        )
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN):
        return DiskState.GONE, "The disk is gone. Check its cable and mount it again."
    if error.errno in (errno.EACCES, errno.EPERM):
        return DiskState.FAILED, "The folder may not be written to. Give Camera Hub the right to."
    what = error.strerror or "unknown error"
    return DiskState.FAILED, f"The disk refused ({what}). Check its health."
