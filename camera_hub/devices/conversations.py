"""Conversations that are kept for a while, so that a step of a joystick needs one request only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from camera_hub.devices import ptz
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.errors import CameraUnauthorisedError
from core.clock import Clock

MOST = 32
_TIME_COUNTS_FOR_S = 600.0
"""So long a camera's clock is believed to run beside ours; then it is read again."""


@dataclass(eq=False)
class Kept:
    """A conversation, what is known of the camera's head, and how many use it now."""

    talk: Conversation
    head: ptz.Head | None = None
    timed_at: float = field(default=float("-inf"))
    users: int = 0

    async def begin(self) -> None:
        """Read the camera's clock if that has not been done lately.

        Raises:
            CameraError: the camera cannot be asked.
        """
        now = self.talk.clock.monotonic()
        if now - self.timed_at > _TIME_COUNTS_FOR_S:
            await self.talk.read_time()
            self.timed_at = now

    async def head_of(self) -> ptz.Head:
        """Return what the camera's head can do; asked once.

        Raises:
            NoPtzError: it has none.
            CameraError: the camera cannot be asked.
        """
        if self.head is None:
            self.head = await ptz.read_head(self.talk)
        return self.head


class Conversations:
    """The conversations with the cameras asked last, at most 32 of them at rest."""

    def __init__(self, clock: Clock, *, timeout_s: float = 5.0) -> None:
        """Use `timeout_s` for each request."""
        self._clock = clock
        self._timeout_s = timeout_s
        self._kept: OrderedDict[UUID, Kept] = OrderedDict()

    @asynccontextmanager
    async def use(self, camera_id: UUID, camera: CameraAddress) -> AsyncIterator[Kept]:
        """Give the conversation with a camera; a new one when its address or account changed.

        After a refusal of the account it is begun anew: the camera's clock may have been set.

        Raises:
            CameraError: the camera cannot be asked.
        """
        kept = self._kept.get(camera_id)
        if kept is None or _account(kept.talk.camera) != _account(camera):
            kept = Kept(Conversation(camera, self._clock, timeout_s=self._timeout_s))
            self._kept[camera_id] = kept
        self._kept.move_to_end(camera_id)
        kept.users += 1
        try:
            await kept.begin()
            yield kept
        except CameraUnauthorisedError:
            self.forget(camera_id)
            raise
        finally:
            kept.users -= 1
            await self._tidy(camera_id, kept)

    def forget(self, camera_id: UUID) -> None:
        """Begin anew the next time: what was known of the camera may have changed."""
        self._kept.pop(camera_id, None)

    async def close(self) -> None:
        """Let go of every connection."""
        for kept in self._kept.values():
            await kept.talk.close()
        self._kept.clear()

    async def _tidy(self, camera_id: UUID, used: Kept) -> None:
        if used.users == 0 and self._kept.get(camera_id) is not used:
            await used.talk.close()
        idle = [key for key, kept in self._kept.items() if kept.users == 0]
        for key in idle[: max(len(self._kept) - MOST, 0)]:
            await self._kept.pop(key).talk.close()


def _account(camera: CameraAddress) -> tuple[str, str, str]:
    return camera.url, camera.username, camera.password
