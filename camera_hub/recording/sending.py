"""Tells the hub of each closed segment until it says that it has it.

What is to be told lies in `pending` on the segment's own disk; here only the ids are kept. Files
on a disk are touched on that disk's thread alone, so that one that hangs delays only its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson

from camera_hub.recording.disks import PENDING, Disk
from core.logging import get_logger
from core.metrics import counter

AT_ONCE = 200
_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_DISK_TIMEOUT_S = 20.0

log = get_logger(__name__)
SENT = counter("recording_segments_sent", "Segments that the hub has taken")
REFUSED = counter("recording_segments_refused", "Segments that the hub does not take")

Post = Callable[[list[dict[str, Any]]], Awaitable["Answer | None"]]
"""Posts segments; None where the hub cannot be reached or does not answer as agreed."""

Answer = tuple[set[UUID], dict[UUID, str]]
"""The ids that were taken, and those that were refused with the reason."""


class Sender:
    """Sends what waits, oldest first, for ever. `add` may be called from any thread."""

    def __init__(self, post: Post, loop: asyncio.AbstractEventLoop) -> None:
        self._post = post
        self._loop = loop
        self._waiting: dict[UUID, Disk] = {}
        self._news = asyncio.Event()
        self._away = False
        self._answered = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many segments the hub has not been told of."""
        return len(self._waiting)

    def add(self, disk: Disk, ids: Iterable[UUID]) -> None:
        """Send these, whose markers lie on `disk`."""
        found = dict.fromkeys(ids, disk)
        with suppress(RuntimeError):  # the loop has ended: the markers stay where they are
            self._loop.call_soon_threadsafe(self._add, found)

    def _add(self, found: dict[UUID, Disk]) -> None:
        self._waiting.update(found)
        if found:
            self._news.set()

    async def drain(self, within_s: float) -> bool:
        """Wait while `run` sends, for `within_s` at most; say whether all was sent.

        A hub that is away is not waited for: the markers stay where they are.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled(), within_s)
        return not self._waiting

    async def _settled(self) -> None:
        while self._waiting and not self._away:
            self._answered.clear()
            await self._answered.wait()

    async def run(self) -> None:
        """Send until cancelled."""
        delay = _FIRST_DELAY_S
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                done = await self.send_some()
                self._answered.set()
                if done:
                    delay = _FIRST_DELAY_S
                else:
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, _LONGEST_DELAY_S)

    async def send_some(self) -> bool:
        """Send one batch; False where it must be tried again later."""
        for disk in dict.fromkeys(self._waiting.values()):
            ids = sorted(i for i, d in self._waiting.items() if d is disk)[:AT_ONCE]
            if await self._send_from(disk, ids):
                return True
        return not self._waiting

    async def _send_from(self, disk: Disk, ids: list[UUID]) -> bool:
        if not disk.usable and disk.state.value != "full":
            return False
        segments = await self._on_disk(disk, lambda: _read(disk, ids))
        if segments is None:
            return False
        for gone in set(ids) - segments.keys():
            self._waiting.pop(gone, None)
        if not segments:
            return True
        answer = await self._post(list(segments.values()))
        self._away = answer is None
        if answer is None:
            return False
        taken, refused = answer
        done = taken & segments.keys()
        SENT.inc(len(done))
        for segment_id in refused.keys() & segments.keys():
            REFUSED.inc()
            log.error(
                "the hub does not take a recording; its file stays",
                file=segments[segment_id]["path"],
                disk=disk.name,
                reason=refused[segment_id],
            )
            self._waiting.pop(segment_id, None)
        # A marker that could not be removed is sent again at the next start: the same id.
        await self._on_disk(disk, lambda: _remove(disk, done))
        for segment_id in done:
            self._waiting.pop(segment_id, None)
        return bool(done or refused)

    async def _on_disk(self, disk: Disk, job: Callable[[], Any]) -> Any:
        """Have a job done on the disk's thread; None where it refuses or does not answer."""
        try:
            future = asyncio.wrap_future(disk.ask(job))
            return await asyncio.wait_for(future, _DISK_TIMEOUT_S)
        except (OSError, TimeoutError):
            return None


def _read(disk: Disk, ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Read markers whose files are there; one that cannot be read is left where it is."""
    found = {}
    for segment_id in ids:
        marker = disk.path / PENDING / f"{segment_id}.json"
        try:
            content = orjson.loads(marker.read_bytes())
            there = (disk.path / content["path"]).is_file()
        except FileNotFoundError:
            continue
        except (orjson.JSONDecodeError, KeyError, TypeError):
            log.error("a marker cannot be read and is left aside", file=str(marker))
            continue
        if there:
            found[segment_id] = content
        elif not (disk.path / content["path"]).with_suffix(".part").exists():
            marker.unlink(missing_ok=True)  # its recording was deleted meanwhile
    return found


def _remove(disk: Disk, ids: Iterable[UUID]) -> bool:
    for segment_id in ids:
        (disk.path / PENDING / f"{segment_id}.json").unlink(missing_ok=True)
    return True


def read_answer(body: Mapping[str, Any]) -> tuple[set[UUID], dict[UUID, str]]:
    """Read the hub's answer to segments: taken, and refused with the reason.

    Raises:
        KeyError, ValueError, TypeError, AttributeError: it has not the agreed shape.
    """
    taken = {UUID(segment_id) for segment_id in body["taken"]}
    refused = {UUID(item["id"]): str(item["message"]) for item in body.get("refused", ())}
    return taken, refused
