"""Guards of open playbacks: whether each may go on is asked again, and it ends when it may not.

A request is answered under a yes that was asked for at most a second before; without one nothing
leaves. Twice a second all playbacks that this process has seen are asked about, those of one
sign-in together, so that the view record ends with the right and not with the next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from access.policy.types import Actor
from access.views.service import Views
from api.guards import FRESH_FOR_S, LOOK_AGAIN_S, UNGUARDED, Still, Watcher
from camera_hub.recording.index.models import Playback
from camera_hub.recording.playback.service import PlaybackEndedError, Playbacks
from core.database import Database
from core.logging import get_logger

ASK_AGAIN_S = 1.0
_SWEEP_EVERY_S = 30.0
_FORGET_AFTER_S = 700.0

_log = get_logger("api.playbacks")


@dataclass
class _Known:
    """A playback of this process. `sure` and `used` are seconds of the loop's clock."""

    actor: Actor
    watchers: dict[UUID, Watcher]
    still: Still
    used: float
    sure: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class PlaybackGuard:
    """The guard of this process."""

    def __init__(self, database: Database, playbacks: Playbacks, views: Views) -> None:
        self._database = database
        self._playbacks = playbacks
        self._views = views
        self._known: dict[UUID, _Known] = {}

    async def check(self, row: Playback, actor: Actor, camera_id: UUID, still: Still) -> None:
        """Let a request for a camera of `row` go on, or raise.

        Args:
            row: a playback of `actor`, not ended.
            actor: who asks, as the door found them.
            camera_id: a camera of the playback.
            still: says which of its watchers may go on.

        Raises:
            PlaybackEndedError: it may not be shown any more.
        """
        now = asyncio.get_running_loop().time
        known = self._known.get(row.id)
        if known is None:
            known = self._known[row.id] = _Known(actor, _watchers(row, actor), still, now())
        known.used = now()
        if now() - known.sure >= ASK_AGAIN_S:
            async with known.lock:
                if now() - known.sure >= ASK_AGAIN_S:
                    began = now()
                    asked = frozenset(known.watchers.values())
                    await self._keep(row.id, known, await still(actor, asked), began)
        if camera_id not in known.watchers:
            raise PlaybackEndedError

    def open(self, playback_id: UUID, camera_id: UUID) -> bool:
        """Say whether what is being sent may go on being sent. Never blocks."""
        known = self._known.get(playback_id)
        fresh = asyncio.get_running_loop().time() - FRESH_FOR_S
        return known is not None and camera_id in known.watchers and known.sure >= fresh

    async def end(self, playback_id: UUID, camera_ids: Sequence[UUID] | None = None) -> None:
        """End a playback, or some of its cameras, and their view records."""
        async with self._database.transaction() as session:
            for view_id in await self._playbacks.end(session, playback_id, camera_ids):
                await self._views.close_view(session, view_id)
        known = self._known.get(playback_id)
        if known is not None and camera_ids is not None:
            known.watchers = {k: v for k, v in known.watchers.items() if k not in camera_ids}
        if known is not None and (camera_ids is None or not known.watchers):
            del self._known[playback_id]

    async def run(self) -> None:
        """Guard for ever; the supervisor starts it again when it fails."""
        loop = asyncio.get_running_loop()
        swept = float("-inf")
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            for session_id in {known.actor.session_id for known in self._known.values()}:
                await self._look(session_id)
            if loop.time() - swept >= _SWEEP_EVERY_S:
                swept = loop.time()
                await self.sweep()

    async def sweep(self) -> None:
        """End the playbacks that nobody has used for long, whoever began them."""
        async with self._database.read() as session:
            over = await self._playbacks.unused(session)
        for playback_id in over:
            await self.end(playback_id)
        since = asyncio.get_running_loop().time() - _FORGET_AFTER_S
        for playback_id in [k for k, known in self._known.items() if known.used < since]:
            del self._known[playback_id]

    async def _look(self, session_id: UUID | None) -> None:
        """Ask about the playbacks of one sign-in, and end what may not go on."""
        loop = asyncio.get_running_loop()
        mine = {k: v for k, v in self._known.items() if v.actor.session_id == session_id}
        asked = frozenset(w for known in mine.values() for w in known.watchers.values())
        if not asked:
            return
        first, began = next(iter(mine.values())), loop.time()
        try:
            async with asyncio.timeout(FRESH_FOR_S):
                kept = await first.still(first.actor, asked)
        except Exception as error:  # noqa: BLE001 - top of a guard: counted, logged, denied
            # Without a fresh yes nothing is sent; the next request asks for itself.
            UNGUARDED.inc()
            _log.error("playbacks cannot be checked", error=type(error).__name__)
            return
        for playback_id, known in mine.items():
            await self._keep(playback_id, known, kept, began)

    async def _keep(
        self, playback_id: UUID, known: _Known, kept: frozenset[Watcher], began: float
    ) -> None:
        lost = [k for k, watcher in known.watchers.items() if watcher not in kept]
        known.sure = max(known.sure, began)
        if lost:
            known.watchers = {k: v for k, v in known.watchers.items() if k not in lost}
            await self.end(playback_id, lost)


async def end_left_open(database: Database, playbacks: Playbacks, views: Views) -> None:
    """End the playbacks that a killed process left: at the start of a site's only API."""
    while True:
        async with database.transaction() as session:
            left = await playbacks.left_open(session)
            for playback_id in left:
                for view_id in await playbacks.end(session, playback_id):
                    await views.close_view(session, view_id)
        if not left:
            return


def _watchers(row: Playback, actor: Actor) -> dict[UUID, Watcher]:
    return {
        UUID(one["camera_id"]): Watcher(
            actor=actor,
            camera_id=UUID(one["camera_id"]),
            rendition=one["rendition"],
            purpose=row.purpose,
            reference=bool(row.purpose),
            sound=bool(one.get("sound")),
        )
        for one in row.cameras
        if not one.get("ended")
    }
