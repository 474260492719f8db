"""Listening to one camera's events for ever: subscribe, pull, and again after every loss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Literal

from camera_hub.devices.address import CameraAddress
from camera_hub.devices.conversation import Conversation
from camera_hub.devices.errors import CameraError, CameraUnauthorisedError
from camera_hub.devices.events import CameraEvent, LostSubscriptionError, NoEventsError, PullPoint
from camera_hub.streams.backoff import Backoff
from core.clock import Clock
from core.errors import InvalidInputError

ListenerState = Literal["connecting", "open", "away", "refused", "none"]

WAIT_S = 20.0
"""How long a camera may wait for something to tell before it answers with nothing."""
NOTHING_AGAIN_S = 3600.0
"""A camera without events is asked again so often: a setting or its firmware may change."""
REFUSED_AGAIN_S = 900.0
"""Cameras lock accounts after wrong passwords, sometimes for everybody: seldom."""
TIME_EVERY_S = 3600.0
_NOT_FASTER_S = 1.0
"""A camera that answers at once is asked once a second, as one that does not wait at all."""
_GOODBYE_S = 2.0


class Listener:
    """Listens to the camera at `camera`. `run` it in a task; cancel the task to end.

    `tell` gets what was pulled, `lost` is called when nothing is heard any more (what held then
    is unknown), `time_read` gets how many seconds its clock is ahead, at each beginning and every
    hour. All are called on the event loop, and may not block. `state` is `open` while
    a subscription lives, `none` where the camera has no events; `reason` says why it is not open.
    """

    def __init__(
        self,
        camera: CameraAddress,
        clock: Clock,
        *,
        tell: Callable[[Sequence[CameraEvent]], None],
        lost: Callable[[], None],
        time_read: Callable[[float], None] = lambda _offset_s: None,
        wait_s: float = WAIT_S,
        most_pause_s: float = 300.0,
    ) -> None:
        self.state: ListenerState = "connecting"
        self.reason = ""
        self.subscriptions = 0
        self._camera = camera
        self._clock = clock
        self._tell = tell
        self._lost = lost
        self._time_read = time_read
        self._read_at = 0.0
        self._wait_s = wait_s
        self._backoff = Backoff(first_s=1.0, max_s=most_pause_s)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except (CameraError, InvalidInputError) as error:
                pause = self._pause_after(error)
                self.reason = error.message
            self._lost()
            await self._clock.sleep(pause)

    def _pause_after(self, error: CameraError | InvalidInputError) -> float:
        if isinstance(error, NoEventsError):
            self.state = "none"
            return NOTHING_AGAIN_S
        if isinstance(error, CameraUnauthorisedError | InvalidInputError):
            self.state = "refused"
            return REFUSED_AGAIN_S
        was_open, self.state = self.state == "open", "away"
        if was_open and isinstance(error, LostSubscriptionError):
            # It answers, and has only forgotten: nothing speaks against asking anew at once.
            self._backoff.reset()
        return self._backoff.next()

    def _note_time(self, talk: Conversation) -> None:
        self._read_at = self._clock.monotonic()
        if talk.offset is not None:
            self._time_read(talk.offset.total_seconds())

    async def _listen(self) -> None:
        async with Conversation(self._camera, self._clock) as talk:
            point = PullPoint(talk)
            try:
                await point.open()
            finally:
                self._note_time(talk)
            self.subscriptions += 1
            self.state, self.reason = "open", ""
            try:
                while True:
                    began = self._clock.monotonic()
                    events = await point.pull(self._wait_s)
                    self._backoff.reset()
                    if events:
                        self._tell(events)
                    if self._clock.monotonic() - self._read_at >= TIME_EVERY_S:
                        await talk.read_time()
                        self._note_time(talk)
                    spent = self._clock.monotonic() - began
                    if not events and spent < _NOT_FASTER_S:
                        await self._clock.sleep(_NOT_FASTER_S - spent)
            except asyncio.CancelledError:
                # Some cameras have room for few listeners: leave no place taken.
                with contextlib.suppress(TimeoutError, CameraError):
                    async with asyncio.timeout(_GOODBYE_S):
                        await point.close()
                raise
