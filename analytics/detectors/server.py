"""The inference process: one model, one queue, the pictures of all workers of the node.

The protocol is described in docs/design/processes.md. The process holds nothing that matters:
when it is killed, the pictures in its queue are lost and counted as dropped by their senders.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np

from analytics.detectors.types import DetectionLateError, Detector, Rows
from camera_hub.streams.wire import PAYLOAD_LIMIT, Message, WireError, encode, read_message
from core.clock import Clock
from core.logging import get_logger

# Two pictures of a full-size stream: reading pauses beyond that instead of filling memory.
_READ_AHEAD = 4 * 1024 * 1024
_LONGEST_DEADLINE_MS = 60_000

log = get_logger("analytics.inference")


class InferenceServer:
    """Serves one detector on a Unix socket."""

    def __init__(self, detector: Detector, clock: Clock, socket_path: Path) -> None:
        self._detector = detector
        self._clock = clock
        self._path = socket_path
        self._connections = 0
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None] | None = None) -> None:
        """Listen until `stop` is set; call `ready` once connections are taken.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(
                self._connected, path=str(self._path), limit=_READ_AHEAD
            )
        finally:
            os.umask(mask)
        async with server:
            model = self._detector.describe()
            log.info("inference is ready", model=model.name, version=model.version)
            if ready is not None:
                ready()
            await stop.wait()
            server.close()
            for task in self._open:
                task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._connections += 1
        connection = f"{self._connections}/"
        try:
            while (message := await read_message(reader)) is not None:
                self._handle(message, connection, writer)
                await writer.drain()
        except (WireError, OSError) as error:
            log.warning("a worker's connection ended", reason=str(error))
        except asyncio.CancelledError:
            # Closing down: the connection's task ends here and has no one to tell.
            log.debug("a worker's connection was closed")
        finally:
            self._open.discard(task)
            writer.close()

    def _handle(self, message: Message, connection: str, writer: asyncio.StreamWriter) -> None:
        header, payload = message
        if header.get("op") == "hello":
            writer.write(encode({"model": self._detector.describe().to_json()}))
            return
        number, width, height, deadline_ms, source = _read_request(header, payload)
        started = self._clock.monotonic()
        loop = asyncio.get_running_loop()
        picture = np.frombuffer(payload, dtype=np.uint8).reshape(height, width, 3)
        future = self._detector.submit(
            picture, deadline_ms=deadline_ms, source=connection + source if source else ""
        )

        def answer(done: "Future[Rows]") -> None:
            if writer.is_closing():
                return
            taken_ms = round((self._clock.monotonic() - started) * 1000, 2)
            writer.write(_answer(number, done, taken_ms))

        # The detector answers on its own threads; the socket belongs to the loop's.
        future.add_done_callback(lambda done: _call(loop, answer, done))


def _call(
    loop: asyncio.AbstractEventLoop,
    answer: "Callable[[Future[Rows]], None]",
    done: "Future[Rows]",
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(answer, done)


def _read_request(header: dict[str, Any], payload: bytes) -> tuple[int, int, int, int, str]:
    """Return id, width, height, deadline in ms and source of an `infer` request.

    Raises:
        WireError: it is no such request, or its picture has another size than it says.
    """
    try:
        number, width, height = int(header["id"]), int(header["width"]), int(header["height"])
        deadline_ms = min(int(header["deadline_ms"]), _LONGEST_DEADLINE_MS)
    except (KeyError, TypeError, ValueError) as error:
        raise WireError("A request has not the agreed form.") from error
    if header.get("op") != "infer" or width < 1 or height < 1 or width * height * 3 > PAYLOAD_LIMIT:
        raise WireError("A request has not the agreed form.")
    if len(payload) != width * height * 3:
        raise WireError(f"A picture of {width}x{height} came with {len(payload)} bytes.")
    return number, width, height, deadline_ms, str(header.get("source", ""))


def _answer(number: int, done: "Future[Rows]", taken_ms: float) -> bytes:
    error = done.exception()
    if error is None:
        rows = np.ascontiguousarray(done.result(), dtype="<f4")
        return encode({"id": number, "ok": True, "ms": taken_ms}, rows.tobytes())
    code = "late" if isinstance(error, DetectionLateError) else "failed"
    return encode({"id": number, "ok": False, "code": code, "message": str(error)})
