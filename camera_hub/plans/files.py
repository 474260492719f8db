"""Drawings on disk, `<data_dir>/plans/<sha256>.<png|jpg>`, there before the commit that names them.

Whoever writes a drawing holds the folder's lock shared until the row is committed; whoever removes
what no row names holds it alone. So no drawing goes while somebody is about to name it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from camera_hub.plans.drawing import Drawing
from core.clock import Clock
from core.durable import UNFINISHED, replace_file, sync_folder
from core.errors import HubError, UnavailableError

ORPHAN_FOR_S = 24 * 3600.0
"""So long a drawing stays that nothing names: a database put back from yesterday may name it."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_LOCK = ".lock"


class PlanDiskFullError(HubError):
    """The disk that holds the plans is full (507)."""

    status = 507
    code = "storage-full"


class PlanFiles:
    """The folder of drawings; any number of processes may use it."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def path(self, sha256: str, suffix: str) -> Path:
        """Return where a drawing lies."""
        return self._root / f"{sha256}.{suffix}"

    def read(self, sha256: str, suffix: str) -> bytes:
        """Return the bytes of a drawing.

        Raises:
            UnavailableError: code `plan-missing`: the file is not there, or cannot be read.
        """
        try:
            return self.path(sha256, suffix).read_bytes()
        except OSError as error:
            raise UnavailableError(
                f"The drawing of this plan cannot be read: {error.strerror}.",
                remedy="Replace it with a new one, or restore the folder `plans` from the backup.",
                code="plan-missing",
            ) from error

    @asynccontextmanager
    async def keeping(self, drawing: Drawing) -> AsyncIterator[None]:
        """Hold `drawing` durably on the disk while the block commits the row that names it.

        Raises:
            PlanDiskFullError: no space is left; nothing is kept.
            UnavailableError: code `plan-store`: the folder cannot be written to.
        """
        lock = await asyncio.to_thread(self._explained, self._begin, drawing)
        try:
            yield
        finally:
            os.close(lock)

    async def remove_unnamed(
        self, named: Callable[[], Awaitable[set[str]]], only: Collection[str] = ()
    ) -> int:
        """Delete drawings that no row names; return how many. Nothing, while somebody writes.

        Args:
            named: asks which hashes rows name, once nobody can add any.
            only: these hashes, at once; left out: all that are older than a day.
        """
        lock = await asyncio.to_thread(self._alone)
        if lock is None:
            return 0
        try:
            return await asyncio.to_thread(self._remove, await named(), frozenset(only))
        finally:
            os.close(lock)

    def _begin(self, drawing: Drawing) -> int:
        if not self._root.is_dir():
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            sync_folder(self._root.parent)
        lock = self._lock(fcntl.LOCK_SH)
        assert lock is not None
        try:
            self._write(drawing)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _write(self, drawing: Drawing) -> None:
        target = self.path(drawing.sha256, drawing.suffix)
        if target.exists() and target.stat().st_size == len(drawing.content):
            return
        replace_file(target, drawing.content)

    def _alone(self) -> int | None:
        return self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB) if self._root.is_dir() else None

    def _lock(self, how: int) -> int | None:
        handle = os.open(self._root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, how)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle

    def _remove(self, kept: set[str], only: frozenset[str]) -> int:
        gone = 0
        for path in sorted(self._root.iterdir()):
            unfinished = path.suffix == UNFINISHED
            if path.suffix not in (".png", ".jpg", UNFINISHED) or path.stem in kept:
                continue
            if only and path.stem not in only:
                continue
            age = self._clock.now().timestamp() - path.stat().st_mtime
            if only or unfinished or age > ORPHAN_FOR_S:
                path.unlink(missing_ok=True)
                gone += 1
        return gone

    def _explained(self, work: Callable[[Drawing], int], drawing: Drawing) -> int:
        try:
            return work(drawing)
        except OSError as error:
            if error.errno in _FULL:
                raise PlanDiskFullError(
                    "The disk that holds the plans is full; nothing was stored.",
                    remedy="Free some space and send it again.",
                ) from error
            raise UnavailableError(
                f"The drawing cannot be stored: {error.strerror}.",
                remedy="Check the folder `plans` in the data directory and send it again.",
                code="plan-store",
            ) from error
