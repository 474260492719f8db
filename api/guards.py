"""Guards of open views: whether they may go on is asked again and again, and they are cut if not.

All views of one sign-in are asked about together, so that a wall of twenty cameras costs no more
than one. A slow answer cuts nothing as long as the last yes is fresh; without a fresh yes nothing
is shown.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from access.policy.types import Actor
from camera_hub.live.hub import LiveHub
from camera_hub.streams.painting import Rendition
from core.logging import get_logger
from core.metrics import counter

LOOK_AGAIN_S = 0.5
FRESH_FOR_S = 1.8
"""A view is cut when the newest yes was asked for longer ago: below two seconds, with the cut."""

UNGUARDED = counter("views_unguarded", "Times that views were cut because nobody could check them")
log = get_logger("api.guards")


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who watches what, and how: views with equal watchers stand or fall together.

    `purpose` and `reference` are those that the view began with; `grant_id` is the consent;
    with `sound` it is heard too.
    """

    actor: Actor
    camera_id: UUID
    rendition: Rendition
    purpose: str = ""
    reference: bool = False
    grant_id: UUID | None = None
    sound: bool = False


Still = Callable[[Actor, frozenset[Watcher]], Awaitable[frozenset[Watcher]]]
"""Returns those of these watchers, all of one sign-in, that may go on."""


class Guards:
    """The guards of this process, one for each sign-in that watches anything."""

    def __init__(self, live: LiveHub) -> None:
        self._live = live
        self._watchers: Counter[Watcher] = Counter()
        self._tasks: dict[UUID | None, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()

    @contextmanager
    def watching(self, watcher: Watcher, still: Still) -> Iterator[None]:
        """Guard the views whose tag is `watcher` while the block runs."""
        self._watchers[watcher] += 1
        group = watcher.actor.session_id
        if group not in self._tasks:
            self._tasks[group] = asyncio.create_task(self._guard(group, still))
        try:
            yield
        finally:
            self._watchers[watcher] -= 1
            if not self._watchers[watcher]:
                del self._watchers[watcher]

    def look_now(self) -> None:
        """Ask at once: a right has just changed. Without it each is asked within half a second."""
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guard(self, group: UUID | None, still: Still) -> None:
        loop = asyncio.get_running_loop()
        sure = loop.time()
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._woken.wait()
                asked = frozenset(w for w in self._watchers if w.actor.session_id == group)
                if not asked:
                    return
                began = loop.time()
                try:
                    async with asyncio.timeout_at(sure + FRESH_FOR_S):
                        kept = await still(next(iter(asked)).actor, asked)
                except Exception as error:  # noqa: BLE001 - top of a guard: counted, logged, denied
                    UNGUARDED.inc()
                    log.error("views cannot be guarded and are cut", error=type(error).__name__)
                    reason = "Whether this may still be shown cannot be checked just now."
                    self._cut(asked, 4503, reason)
                else:
                    sure = began
                    self._cut(asked - kept, 4403, "This viewing is no longer permitted.")
        finally:
            self._tasks.pop(group, None)

    def _cut(self, watchers: frozenset[Watcher], code: int, reason: str) -> None:
        if watchers:
            self._live.cut(lambda viewer: viewer.tag in watchers, code=code, reason=reason)
