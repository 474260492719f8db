"""One file per waiting signal. A signal that `put` returned for survives a kill and a power cut.

A file is written under a temporary name, flushed to the disk, renamed, and the directory is
flushed: at any instant a signal is either wholly there or not there at all.
"""

import bisect
import errno
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import orjson

from analytics.rules.signal import Signal
from core.durable import UNFINISHED, replace_file, write_new
from core.logging import get_logger

_SUFFIX = ".json"
_REJECTED = "rejected"
_PROBLEM = ".problem"
# As much as a signal with its picture takes.
_PROBE_BYTES = 256 * 1024
_UNREADABLE = frozenset({errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.EISDIR, errno.ELOOP})

log = get_logger("analytics.spool")


@dataclass(frozen=True, slots=True)
class Waiting:
    """The next signal to post: its id and its JSON text."""

    id: str
    body: bytes


class Spool:
    """Signals that wait, oldest first (by UUIDv7). One process owns a directory; threads share it.

    When the disk takes nothing more, signals wait in memory, at most `memory_limit` of them, and
    are written as soon as the disk has room. Only when that is full too is a signal lost, the
    oldest of the least important: then `lost` counts it.
    """

    def __init__(self, directory: Path, *, memory_limit: int = 256) -> None:
        """Open the spool, making the directory, and take up what an earlier process left there.

        Raises:
            OSError: the directory cannot be made or read.
        """
        self._directory = directory
        self._rejected = directory / _REJECTED
        self._memory_limit = memory_limit
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._memory: deque[Signal] = deque()
        self.rejected = 0
        self.lost = 0
        self.trouble = ""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ids: list[str] = sorted(self._resume())

    def _resume(self) -> list[str]:
        found: list[str] = []
        for path in self._directory.iterdir():
            if path.name.endswith(UNFINISHED):
                # Its writer died before `put` returned: nobody was told it is safe.
                path.unlink(missing_ok=True)
            elif path.name.endswith(_SUFFIX):
                found.append(path.name.removesuffix(_SUFFIX))
        return found

    @property
    def depth(self) -> int:
        """How many signals wait, on disk and in memory."""
        with self._lock:
            return len(self._ids) + len(self._memory)

    def put(self, signal: Signal) -> bool:
        """Keep a signal until it is posted, and wake the poster.

        Returns:
            True when it is on the disk; False when the disk refused and it waits in memory,
            with the reason in `trouble`.
        """
        with self._changed:
            # Behind others in memory it must stay behind them.
            durable = not self._memory and self._write(signal)
            if not durable:
                self._remember(signal)
            self._changed.notify_all()
        return durable

    def wait(self, timeout: float) -> bool:
        """Wait until a signal waits, at most `timeout` seconds; return whether one does."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._ids or self._memory), timeout)

    def wake(self) -> None:
        """Wake whoever waits, for closing down."""
        with self._changed:
            self._changed.notify_all()

    def head(self) -> Waiting | None:
        """Return the oldest signal, moving what waits in memory to the disk if that has room now.

        A file that is no JSON any more, or that the disk does not give (a damaged disk), is put
        aside as rejected and counted.
        """
        with self._lock:
            self._flush_memory()
            while self._ids:
                first = self._ids[0]
                path = self._directory / (first + _SUFFIX)
                try:
                    body = path.read_bytes()
                    orjson.loads(body)
                except FileNotFoundError:
                    self._ids.pop(0)
                except orjson.JSONDecodeError:
                    self._set_aside(first, {"detail": "The file was damaged on the disk."})
                except OSError as error:
                    if error.errno not in _UNREADABLE:
                        raise
                    # It will not be read the next time either, and others wait behind it.
                    self._set_aside(first, {"detail": "The disk does not give the file."})
                else:
                    return Waiting(first, body)
            if self._memory:
                return Waiting(str(self._memory[0]["id"]), orjson.dumps(self._memory[0]))
            return None

    def recheck(self) -> None:
        """After trouble, try whether the disk has room for a signal again; clears `trouble`."""
        probe = self._directory / ("probe" + UNFINISHED)
        with self._lock:
            try:
                probe.unlink(missing_ok=True)
                write_new(probe, bytes(_PROBE_BYTES))
            except OSError as error:
                self.trouble = error.strerror or type(error).__name__
            else:
                self.trouble = ""
            _discard(probe)

    def done(self, signal_id: str) -> None:
        """Forget a signal the hub has answered for."""
        with self._lock:
            self._forget_memory(signal_id)
            if self._known(signal_id):
                # A file that cannot be removed is posted again after a restart: the hub knows it.
                _discard(self._directory / (signal_id + _SUFFIX))
                self._ids.remove(signal_id)

    def reject(self, signal_id: str, problem: dict[str, object]) -> None:
        """Put aside a signal the hub will never take, with its reason beside it."""
        with self._lock:
            if self._known(signal_id):
                self._set_aside(signal_id, problem)
            else:
                self._forget_memory(signal_id)
                self.rejected += 1

    def _known(self, signal_id: str) -> bool:
        index = bisect.bisect_left(self._ids, signal_id)
        return index < len(self._ids) and self._ids[index] == signal_id

    def _forget_memory(self, signal_id: str) -> None:
        self._memory = deque(item for item in self._memory if str(item["id"]) != signal_id)

    def _set_aside(self, signal_id: str, problem: dict[str, object]) -> None:
        self.rejected += 1
        self._ids.remove(signal_id)
        path = self._directory / (signal_id + _SUFFIX)
        try:
            self._rejected.mkdir(mode=0o700, exist_ok=True)
            path.replace(self._rejected / path.name)
            note = self._rejected / (signal_id + _PROBLEM + _SUFFIX)
            note.write_bytes(orjson.dumps(problem, default=str))
        except OSError as error:
            # It must not block those behind it; what is still there is found at the next start.
            log.error("a rejected signal could not be put aside", id=signal_id, reason=str(error))

    def _flush_memory(self) -> None:
        while self._memory and self._write(self._memory[0]):
            self._memory.popleft()

    def _remember(self, signal: Signal) -> None:
        if len(self._memory) >= self._memory_limit:
            self.lost += 1
            repeated = (i for i, s in enumerate(self._memory) if _phase(s) == "continuing")
            dropped = next(repeated, 0)
            log.error("a signal was lost: disk and memory are full", id=self._memory[dropped]["id"])
            del self._memory[dropped]
        self._memory.append(signal)

    def _write(self, signal: Signal) -> bool:
        """Write one signal durably; on failure note the reason and leave nothing behind."""
        name = str(UUID(str(signal["id"])))
        final = self._directory / (name + _SUFFIX)
        try:
            replace_file(final, orjson.dumps(signal))
        except OSError as error:
            self.trouble = error.strerror or type(error).__name__
            _discard(final)
            return False
        bisect.insort(self._ids, name)
        return True


def _phase(signal: Signal) -> str:
    data = signal.get("data")
    return str(data.get("phase", "")) if isinstance(data, dict) else ""


def _discard(*paths: Path) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a file could not be removed", file=path.name, reason=str(error))
