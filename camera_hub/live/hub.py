"""The API's side of live view: one connection per stream to its worker, any number of viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from camera_hub.live.channel import Snapshot
from camera_hub.live.messages import (
    StreamKey,
    connect,
    known_rendition,
    read_item,
    refusal,
    request,
    text_of,
)
from camera_hub.live.muxer import Fragment, Init, LiveItem, StateChange
from camera_hub.live.queue import ViewerQueue
from camera_hub.streams.painting import Rendition
from camera_hub.streams.types import ReasonCode, StreamRole, StreamState
from camera_hub.streams.wire import Message, WireError, read_message
from core.errors import UnavailableError
from core.logging import get_logger
from core.metrics import gauge

log = get_logger(__name__)
VIEWERS = gauge("live_viewers", "Viewers of live streams")

LINGER_S = 5.0
"""How long a stream is kept after its last viewer left."""
RETRY_S = 0.5
SILENCE_S = 15.0
"""A worker sends something every few seconds; after this long without, it hangs."""
SNAPSHOT_TIMEOUT_S = 10.0
CACHE_BYTES = 8 * 1024 * 1024

Resolve = Callable[[UUID], Awaitable[str | None]]
"""Gives the address (`unix:` and a path) of the worker that has a camera, or None."""

_LOST = StateChange(
    StreamState.STALLED,
    ReasonCode.WORKER_LOST,
    "The part of Camera Hub that reads this camera is restarting; trying again.",
)


class Viewer:
    """One viewer of one stream's rendition. `tag` is whatever the caller wants to find it by.

    `ended` is set when the viewing was cut; `close_code` and `close_reason` say how.
    """

    def __init__(
        self,
        camera_id: UUID,
        stream: StreamRole,
        rendition: Rendition,
        tag: Any,
        leave: Callable[[Viewer], None],
    ) -> None:
        self.camera_id = camera_id
        self.stream = stream
        self.rendition = rendition
        self.tag = tag
        self.queue = ViewerQueue()
        self.ended = asyncio.Event()
        self.close_code = 1000
        self.close_reason = ""
        self._leave = leave

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what goes to the browser: text and bytes as in docs/design/api.md."""
        while items := await self.queue.get():
            pieces: list[bytes] = []
            for item in items:
                if isinstance(item, Fragment):
                    pieces.append(item.data)
                    continue
                if pieces:
                    yield b"".join(pieces)
                    pieces = []
                yield text_of(item)
                if isinstance(item, Init):
                    yield item.data
            if pieces:
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def cut(self, code: int, reason: str) -> None:
        """End the viewing now; what waits is thrown away."""
        self.close_code, self.close_reason = code, reason
        self.queue.close()
        self.ended.set()

    def close(self) -> None:
        """Leave; more than once does no harm."""
        self.queue.close()
        self._leave(self)


class LiveHub:
    """All live streams that this API process shows."""

    def __init__(self, resolve: Resolve, *, linger_s: float = LINGER_S) -> None:
        self._resolve = resolve
        self._linger_s = linger_s
        self._upstreams: dict[StreamKey, _Upstream] = {}

    def view(
        self,
        camera_id: UUID,
        stream: StreamRole,
        rendition: Rendition = "raw",
        *,
        tag: Hashable = None,
        masks: str = "",
        sound: bool = False,
    ) -> Viewer:
        """Begin a viewing; the caller closes it. Its first messages wait already if others look.

        With `masks` (`masks_digest`) nothing comes before the worker has heard of these masks.
        With `sound` it is heard too, where the camera has any and nothing of it is painted over.
        Whether it may go on is for the caller to ask (`api.guards`), and to `cut`.

        Raises:
            InvalidInputError: code `unknown-rendition`.
        """
        key = (camera_id, stream, known_rendition(rendition), masks, sound)
        upstream = self._upstreams.get(key)
        if upstream is None:
            upstream = self._upstreams[key] = _Upstream(
                key, self._resolve, self._linger_s, lambda: self._forget(key)
            )
        viewer = Viewer(camera_id, stream, rendition, tag, upstream.leave)
        upstream.join(viewer)
        return viewer

    def cut(
        self,
        predicate: Callable[[Viewer], bool],
        *,
        code: int = 4403,
        reason: str = "This viewing is no longer permitted.",
    ) -> int:
        """End every viewing for which `predicate` holds, at once; return how many."""
        found = [viewer for viewer in self._viewers() if predicate(viewer)]
        for viewer in found:
            viewer.cut(code, reason)
            viewer.close()
        return len(found)

    async def drop(self, camera_id: UUID, *, reason: str) -> int:
        """End every viewing of a camera and forget its pictures; return how many ended.

        Browsers come back by themselves (code 4503) and are given what they may see then.
        """
        cut = self.cut(
            lambda viewer: viewer.camera_id == camera_id,
            code=4503,
            reason=reason,
        )
        for key in [key for key in self._upstreams if key[0] == camera_id]:
            await self._upstreams.pop(key).stop()
        return cut

    async def snapshot(
        self,
        camera_id: UUID,
        stream: StreamRole = "sub",
        rendition: Rendition = "raw",
        masks: str = "",
    ) -> Snapshot:
        """Return the newest picture of a camera, with the masks of this digest (see `view`).

        Raises:
            UnavailableError: code `no-picture`: the worker or the camera gives none just now, or
                does not give this rendition.
            InvalidInputError: code `unknown-rendition`.
        """
        key = (camera_id, stream, known_rendition(rendition), masks, False)
        try:
            async with asyncio.timeout(SNAPSHOT_TIMEOUT_S):
                answer = await self._ask(key)
        except (OSError, WireError, TimeoutError) as error:
            raise _no_picture("Nobody reads this camera just now.") from error
        if answer is None:
            raise _no_picture("Nobody reads this camera just now.")
        header, payload = answer
        if not header.get("ok"):
            raise _no_picture(str(header.get("message", "The camera sends no picture.")))
        return Snapshot(
            datetime.fromisoformat(header["at"]), header["width"], header["height"], payload
        )

    async def close(self) -> None:
        """End every viewing and connection."""
        self.cut(lambda _viewer: True, code=1001, reason="The server is stopping.")
        await asyncio.gather(*(u.stop() for u in list(self._upstreams.values())))
        self._upstreams.clear()

    def _viewers(self) -> list[Viewer]:
        return [viewer for upstream in self._upstreams.values() for viewer in upstream.viewers]

    async def _ask(self, key: StreamKey) -> Message | None:
        address = await self._resolve(key[0])
        if address is None:
            return None
        reader, writer = await connect(address)
        try:
            writer.write(request("snapshot", key))
            return await read_message(reader)
        finally:
            writer.close()

    def _forget(self, key: StreamKey) -> None:
        self._upstreams.pop(key, None)


class _Upstream:
    """One stream from its worker: keeps the newest group of pictures and fans out."""

    def __init__(
        self,
        key: StreamKey,
        resolve: Resolve,
        linger_s: float,
        forget: Callable[[], None],
    ) -> None:
        self.viewers: list[Viewer] = []
        self._key = key
        self._resolve = resolve
        self._linger_s = linger_s
        self._forget = forget
        self._state: StateChange | None = None
        self._refused: StateChange | None = None
        self._init: Init | None = None
        self._fragments: list[Fragment] = []
        self._cached = 0
        self._closing: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run())

    def join(self, viewer: Viewer) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self.viewers.append(viewer)
        VIEWERS.inc()
        missed: list[LiveItem | None] = [self._state, self._init, *self._fragments]
        for item in missed:
            if item is not None:
                viewer.queue.put(item)

    def leave(self, viewer: Viewer) -> None:
        if viewer not in self.viewers:
            return
        self.viewers.remove(viewer)
        VIEWERS.dec()
        if not self.viewers:
            self._closing = asyncio.get_running_loop().call_later(self._linger_s, self._end)

    async def stop(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def _end(self) -> None:
        self._forget()
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except (OSError, WireError, TimeoutError) as error:
                log.info(
                    "live stream lost", camera_id=str(self._key[0]), error=type(error).__name__
                )
            self._clear()
            self._take(self._refused or _LOST)
            await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        self._refused = None
        address = await self._resolve(self._key[0])
        if address is None:
            return
        reader, writer = await connect(address)
        loop = asyncio.get_running_loop()
        try:
            writer.write(request("live", self._key))
            async with asyncio.timeout(SILENCE_S) as silence:
                while (message := await read_message(reader)) is not None:
                    silence.reschedule(loop.time() + SILENCE_S)
                    if message[0].get("ok") is False:
                        self._refused = refusal(message[0])
                        return
                    item = read_item(message)
                    if item is not None:
                        self._take(item)
        finally:
            writer.close()

    def _take(self, item: LiveItem) -> None:
        if isinstance(item, Fragment):
            self._keep(item)
        elif isinstance(item, Init):
            self._clear()
            self._init = item
        elif item == self._state:
            return
        else:
            self._state = item
        for viewer in self.viewers:
            viewer.queue.put(item)

    def _keep(self, fragment: Fragment) -> None:
        if fragment.keyframe:
            self._fragments = []
            self._cached = 0
        elif not self._fragments:
            return
        self._fragments.append(fragment)
        self._cached += len(fragment.data)
        if self._cached > CACHE_BYTES:
            self._fragments = []

    def _clear(self) -> None:
        self._init = None
        self._fragments = []
        self._cached = 0


def _no_picture(message: str) -> UnavailableError:
    return UnavailableError(
        message, remedy="Look at the camera's state and try again.", code="no-picture"
    )
