"""Movements that end although nobody says so: each is a lease of two seconds.

A browser repeats the move while the key is held. When it does not (the key is up, the page is
closed, the network is gone), the camera is told to stop, again and again until it says yes. The
camera has the same limit in the request itself, for the case that the hub dies. Who turns which
camera is a row as well (`ptz_rows.py`), so that no two people turn one, whatever processes they
speak to, and that what a process leaves when it dies is stopped by another, or by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from camera_hub.devices import ptz
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.conversations import Conversations
from camera_hub.devices.errors import NoPtzError, StopFailedError
from camera_hub.devices.ptz_rows import PtzRows
from core.clock import Clock
from core.errors import HubError
from core.logging import get_logger
from core.metrics import counter

T = TypeVar("T")
LEASE_S = 2.0
STOPS_AT_ONCE = 3
"""So many attempts a person waits for; then they are told, and the hub goes on by itself."""
_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 2.0
_TRIES_FOR_S = 120.0
_STORE_WITHIN_S = 2.0
"""So long a stop waits for the store: stopping matters more than knowing who turns."""

_log = get_logger("camera_hub.ptz")
FAILED = counter("ptz_stops_failed", "Stops that a camera did not accept at once")


@dataclass(eq=False)
class _Lease:
    """A camera that was told to move. `problem` is why it could not be stopped, for a person."""

    camera: CameraAddress
    until: float = 0.0
    moving: bool = False
    problem: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    watcher: asyncio.Task[None] | None = None


class PtzLeases:
    """Who moves until when; every continuous movement goes through here."""

    def __init__(
        self, clock: Clock, conversations: Conversations, rows: PtzRows | None = None
    ) -> None:
        """Keep `rows` for all processes; without them nobody else turns these cameras."""
        self._clock = clock
        self._conversations = conversations
        self._rows = rows
        self._leases: dict[UUID, _Lease] = {}

    def moving(self, camera_id: UUID) -> bool:
        """Say whether the camera moves, or may still move because no stop has arrived."""
        lease = self._leases.get(camera_id)
        return lease is not None and lease.moving

    def problem(self, camera_id: UUID) -> str:
        """Return why the camera could not be stopped; "" if it could, or never moved."""
        lease = self._leases.get(camera_id)
        return "" if lease is None else lease.problem

    async def moving_now(self, camera_id: UUID) -> bool:
        """Say the same of all processes."""
        return self.moving(camera_id) or (
            self._rows is not None and await self._rows.live(camera_id)
        )

    async def move(
        self, camera_id: UUID, camera: CameraAddress, speed: ptz.Place, who: str = ""
    ) -> None:
        """Let `who` move with `speed` for two seconds from now, unless this is repeated before.

        Raises:
            ConflictError: code `ptz-taken`: somebody else turns it now.
            CameraError: the camera cannot be asked, or refuses. It is stopped all the same.
        """
        lease = self._lease(camera_id, camera)
        async with lease.lock:
            if self._rows is not None:
                await self._rows.take(camera_id, who, LEASE_S)
            # Before it is sent: what was lost on the way back has happened as well.
            self._hold(camera_id, lease)
            async with self._conversations.use(camera_id, camera) as kept:
                await ptz.move(kept.talk, await kept.head_of(), speed, LEASE_S)
            lease.until = self._clock.monotonic() + LEASE_S
            lease.problem = ""

    async def instead(
        self,
        camera_id: UUID,
        camera: CameraAddress,
        work: Callable[[], Awaitable[T]],
        who: str = "",
    ) -> T:
        """Do `work` of `who`, a movement that ends by itself, in place of a continuous one.

        A stop of the continuous one would leave the camera half way, so its lease ends.

        Raises:
            ConflictError: code `ptz-taken`: somebody else turns it now.
        """
        lease = self._lease(camera_id, camera)
        async with lease.lock:
            if self._rows is not None:
                await self._rows.check(camera_id, who)
            done = await work()
            await self._done(camera_id, lease)
        return done

    async def adopt(
        self, address_of: Callable[[UUID], Awaitable[CameraAddress | None]]
    ) -> list[UUID]:
        """Stop what processes have left moving that died; return the cameras.

        `address_of` says where a camera is asked, None if it is none any more.
        """
        if self._rows is None:
            return []
        found = await self._rows.adopt()
        for camera_id in found:
            camera = await address_of(camera_id)
            if camera is None:
                await self._rows.drop(camera_id)
                continue
            _log.warning("a camera was left moving and is stopped", camera_id=str(camera_id))
            lease = self._lease(camera_id, camera)
            lease.moving, lease.until = True, self._clock.monotonic()
            self._watch_anew(camera_id, lease)
        return found

    async def stop(self, camera_id: UUID, camera: CameraAddress) -> None:
        """Stop the camera, whoever moves it.

        Raises:
            NoPtzError: it cannot be turned.
            StopFailedError: it has not accepted that yet; the hub goes on trying.
        """
        lease = self._lease(camera_id, camera)
        # The watcher leaves it to this call for as long as it tries.
        lease.moving, lease.until = True, float("inf")
        stopped = False
        try:
            for attempt in range(STOPS_AT_ONCE):
                if attempt:
                    await self._clock.sleep(_PAUSE_S)
                stopped = await self._try_stop(camera_id, lease)
                if stopped:
                    return
        except NoPtzError:
            stopped = True
            await self._done(camera_id, lease)
            raise
        finally:
            if not stopped:
                lease.until = self._clock.monotonic()
                self._watch_anew(camera_id, lease)
        raise StopFailedError(
            f"The camera at {camera.place} has not accepted the stop and may still be turning. "
            f"{lease.problem}",
            remedy="The hub goes on trying for two minutes. If it keeps turning, look at the "
            "network to it, or cut its power.",
        )

    async def close(self) -> None:
        """Stop every camera that moves, once, and end."""
        leases = list(self._leases.items())
        for _, lease in leases:
            if lease.watcher is not None:
                lease.watcher.cancel()
        moving = [(camera_id, lease) for camera_id, lease in leases if lease.moving]
        await asyncio.gather(
            *(self._try_stop(camera_id, lease) for camera_id, lease in moving),
            return_exceptions=True,
        )
        self._leases.clear()

    def _lease(self, camera_id: UUID, camera: CameraAddress) -> _Lease:
        """Return the camera's lease; it is never replaced, for its lock keeps commands in order."""
        lease = self._leases.setdefault(camera_id, _Lease(camera))
        lease.camera = camera
        return lease

    def _hold(self, camera_id: UUID, lease: _Lease) -> None:
        lease.moving = True
        lease.until = self._clock.monotonic() + LEASE_S
        if lease.watcher is None or lease.watcher.done():
            self._watch_anew(camera_id, lease)

    def _watch_anew(self, camera_id: UUID, lease: _Lease) -> None:
        if lease.watcher is not None:
            lease.watcher.cancel()
        lease.watcher = asyncio.create_task(self._watch(camera_id, lease))

    async def _watch(self, camera_id: UUID, lease: _Lease) -> None:
        """Stop the camera once nobody repeats the move, until it says that it does."""
        failing_since: float | None = None
        pause = _PAUSE_S
        while lease.moving:
            now = self._clock.monotonic()
            if (left := lease.until - now) > 0:
                failing_since, pause = None, _PAUSE_S
                await self._clock.sleep(min(left, LEASE_S))
                continue
            failing_since = now if failing_since is None else failing_since
            if now - failing_since > _TRIES_FOR_S:
                _log.error("a camera was not stopped", camera_id=str(camera_id), why=lease.problem)
                await self._store(lambda rows: rows.drop(camera_id))
                return
            try:
                stopped = await self._try_stop(camera_id, lease, only_if_due=True)
            except NoPtzError:
                await self._done(camera_id, lease)
                return
            if not stopped:
                await self._clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _try_stop(self, camera_id: UUID, lease: _Lease, *, only_if_due: bool = False) -> bool:
        """Return whether the camera has accepted a stop; raises NoPtzError if it has no head."""
        async with lease.lock:
            if only_if_due and lease.until > self._clock.monotonic():
                # Somebody moved it again while this waited for its turn.
                return False
            if only_if_due and await self._store(lambda rows: rows.of_another(camera_id)):
                # Somebody turns it by another process, which sees to its stop.
                _end(lease)
                return True
            await self._store(lambda rows: rows.stopping(camera_id))
            try:
                async with self._conversations.use(camera_id, lease.camera) as kept:
                    await ptz.stop(kept.talk, await kept.head_of())
            except NoPtzError:
                raise
            except HubError as error:
                FAILED.inc()
                lease.problem = error.message
                return False
            await self._done(camera_id, lease)
        return True

    async def _done(self, camera_id: UUID, lease: _Lease) -> None:
        _end(lease)
        await self._store(lambda rows: rows.drop(camera_id))

    async def _store(self, work: Callable[[PtzRows], Coroutine[Any, Any, T]]) -> T | None:
        """Do `work` with the rows; None where there are none, or the store is away or slow."""
        if self._rows is None:
            return None
        try:
            async with asyncio.timeout(_STORE_WITHIN_S):
                return await work(self._rows)
        except (SQLAlchemyError, OSError, TimeoutError, HubError) as error:
            _log.warning("who turns a camera could not be written", error=str(error))
            return None


def _end(lease: _Lease) -> None:
    lease.moving, lease.until, lease.problem = False, 0.0, ""
