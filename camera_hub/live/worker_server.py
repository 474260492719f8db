"""The media worker's socket: live streams and snapshots for the API (docs/design/processes.md)."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from camera_hub.live.muxer import Fragment, Init, LiveItem
from camera_hub.live.queue import ViewerQueue
from camera_hub.live.runtime import MediaRuntime
from camera_hub.streams.painting import RENDITIONS, Rendition
from camera_hub.streams.types import StreamRole
from camera_hub.streams.wire import WireError, encode, read_message, write_message
from core.errors import ForbiddenError, UnavailableError
from core.logging import get_logger

log = get_logger(__name__)

KEEPALIVE_S = 5.0
SNAPSHOT_WAIT_S = 4.0
_SNAPSHOTS_AT_ONCE = 2


class _Wanted(NamedTuple):
    camera_id: UUID
    role: StreamRole
    rendition: Rendition
    sound: bool


class MediaServer:
    """Serves the streams of a `MediaRuntime` on a Unix socket, within one event loop."""

    def __init__(self, runtime: MediaRuntime, path: Path) -> None:
        self._runtime = runtime
        self._path = path
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._snapshots = asyncio.Semaphore(_SNAPSHOTS_AT_ONCE)

    @property
    def address(self) -> str:
        """What the heartbeat names: `unix:` and the path of the socket."""
        return f"unix:{self._path}"

    async def start(self) -> None:
        """Listen; a socket left by a killed process is replaced.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, path=self._path)
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            message = await read_message(reader)
            if message is not None:
                await self._answer(message[0], reader, writer)
        except (WireError, OSError) as error:
            log.info("connection ended", error=type(error).__name__)
        except asyncio.CancelledError:
            # Only `close` cancels; the connection ends with the server.
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(
        self,
        request: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            camera_id = UUID(str(request.get("camera_id")))
        except ValueError:
            raise WireError("A request names no camera.") from None
        role: StreamRole = "main" if request.get("stream") == "main" else "sub"
        rendition = request.get("rendition", "raw")
        if rendition not in RENDITIONS:
            await write_message(writer, _UNKNOWN_RENDITION)
            return
        masks = request.get("masks")
        known = self._runtime.knows(camera_id)
        # They were drawn a moment ago: until they are here nothing must leave without them.
        if masks and known and not self._runtime.has_masks(camera_id, str(masks)):
            await write_message(writer, _OTHER_MASKS)
            return
        try:
            match request.get("op"):
                case "snapshot":
                    await self._snapshot(camera_id, role, rendition, writer)
                case "live":
                    sound = request.get("sound") is True
                    stream = _Wanted(camera_id, role, rendition, sound)
                    await self._live(stream, reader, writer)
                case _:
                    raise WireError("A request asks for what is not offered.")
        except (ForbiddenError, UnavailableError) as error:
            await write_message(writer, {"ok": False, "code": error.code, "message": error.message})

    async def _snapshot(
        self,
        camera_id: UUID,
        role: StreamRole,
        rendition: Rendition,
        writer: asyncio.StreamWriter,
    ) -> None:
        if not self._runtime.knows(camera_id):
            await write_message(writer, _UNKNOWN)
            return
        async with self._snapshots:
            picture = await asyncio.to_thread(
                self._runtime.snapshot, camera_id, role, SNAPSHOT_WAIT_S, rendition
            )
        if picture is None:
            await write_message(
                writer,
                {"ok": False, "code": "no-picture", "message": "The camera sends no picture."},
            )
            return
        header = {
            "ok": True,
            "at": picture.at.isoformat(),
            "width": picture.width,
            "height": picture.height,
        }
        await write_message(writer, header, picture.jpeg)

    async def _live(
        self,
        wanted: _Wanted,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        loop = asyncio.get_running_loop()
        queue = ViewerQueue()

        def on_loop(item: LiveItem | None) -> None:
            if item is None:
                queue.close()
            else:
                queue.put(item)

        def listener(item: LiveItem | None) -> None:
            # The loop may be closing while a reader still delivers.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(on_loop, item)

        camera_id, role, rendition, sound = wanted
        missed = self._runtime.listen(camera_id, role, listener, rendition, sound=sound)
        if missed is None:
            await write_message(writer, _UNKNOWN)
            return
        # Before anything is awaited: what the reader delivers meanwhile must come after it.
        for item in missed:
            queue.put(item)
        gone = asyncio.create_task(_until_closed(reader, queue))
        try:
            await _send_all(queue, writer)
        finally:
            gone.cancel()
            self._runtime.leave(camera_id, role, listener, rendition)


_UNKNOWN = {
    "ok": False,
    "code": "unknown-camera",
    "message": "This worker does not have the camera (yet).",
}

_OTHER_MASKS = {
    "ok": False,
    "code": "masks-changed",
    "message": "The privacy masks of this camera have just changed.",
}

_UNKNOWN_RENDITION = {
    "ok": False,
    "code": "unknown-rendition",
    "message": "This worker does not know this way to show a camera.",
}


async def _until_closed(reader: asyncio.StreamReader, queue: ViewerQueue) -> None:
    """Close the queue once the peer has gone; it sends nothing after its request."""
    with contextlib.suppress(OSError):
        await reader.read(1)
    queue.close()


async def _send_all(queue: ViewerQueue, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            async with asyncio.timeout(KEEPALIVE_S):
                items = await queue.get()
        except TimeoutError:
            await write_message(writer, {"type": "ping"})
            continue
        if not items:
            return
        writer.writelines([_message(item) for item in items])
        await writer.drain()


def _message(item: LiveItem) -> bytes:
    if isinstance(item, Fragment):
        header = {"type": "fragment", "keyframe": item.keyframe, "at": item.at.isoformat()}
        return encode(header, item.data)
    if isinstance(item, Init):
        size = {"width": item.width, "height": item.height}
        return encode({"type": "init", "codec": item.codec, **size}, item.data)
    return encode(
        {
            "type": "state",
            "state": item.state.value,
            "reason_code": item.reason_code.value,
            "reason": item.reason,
        }
    )
