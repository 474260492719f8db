"""A media worker's side of the inference process: a detector that lives elsewhere."""

import socket
import struct
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analytics.detectors.failing import fail
from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    DetectorUnavailableError,
    ModelInfo,
    Picture,
    Rows,
)
from camera_hub.streams.wire import WireError, receive_message, send_message
from core.clock import Clock
from core.logging import get_logger

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0
_CONNECT_S = 2.0
# A process that takes pictures and answers none for so long hangs: start anew.
_HANGS_AFTER_S = 10.0

log = get_logger("analytics.inference")


@dataclass(slots=True)
class _Request:
    picture: Picture
    expires: float
    future: "Future[Rows]"


def _away() -> DetectorUnavailableError:
    return DetectorUnavailableError(
        "The inference process is away.",
        remedy="It is restarted by itself; see its log if that lasts.",
    )


class InferenceClient:
    """Shared by all cameras of a worker; survives the death of the process it talks to.

    What was in flight when the connection broke fails at once; what comes while it is broken
    fails at once too, so that a camera never waits for a process that is not there.
    """

    def __init__(self, socket_path: Path, clock: Clock) -> None:
        """Make the client and start connecting in the background."""
        self._path = socket_path
        self._clock = clock
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._outbox: dict[str, _Request] = {}
        self._flying: dict[int, _Request] = {}
        self._next_id = 0
        self._socket: socket.socket | None = None
        self._model: ModelInfo | None = None
        self._closed = False
        self._answered_s = 0.0
        self.ms = 0.0
        """Milliseconds a picture took lately inside the inference process, queue included."""
        self._thread = threading.Thread(target=self._work, name="inference-client", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the inference process is there."""
        return self._socket is not None

    def describe(self) -> ModelInfo:
        """Return the model of the last greeting; raises DetectorUnavailableError before one."""
        if self._model is None:
            raise _away()
        return self._model

    def wait_connected(self, timeout: float) -> bool:
        """Wait until the inference process answers; return whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._socket is not None, timeout)

    def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> "Future[Rows]":
        """Start a detection and return at once; see `Detector.submit`."""
        future: Future[Rows] = Future()
        request = _Request(picture, self._clock.monotonic() + deadline_ms / 1000, future)
        with self._changed:
            if self._socket is None or self._closed:
                future.set_exception(_away())
                return future
            older = self._outbox.pop(source, None) if source else None
            if not source:
                self._next_id += 1
                source = f"\0{self._next_id}"
            self._outbox[source] = request
            self._changed.notify_all()
        if older is not None:
            fail(older.future, DetectionLateError("A newer picture of the same source came first."))
        return future

    def close(self) -> None:
        """Fail what waits and hang up."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._hang_up(self._socket)
        self._thread.join()

    def _work(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._closed:
            connection = self._connect()
            if connection is not None:
                pause = _FIRST_PAUSE_S
                reader = threading.Thread(
                    target=self._read, args=(connection,), name="inference-answers", daemon=True
                )
                reader.start()
                self._send_all(connection)
                self._hang_up(connection)
                reader.join()
                connection.close()
                self._fail_all()
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_CONNECT_S)
        try:
            connection.connect(str(self._path))
            send_message(connection, {"op": "hello"})
            greeting = receive_message(connection)
            if greeting is None:
                raise WireError("The connection ended before the greeting.")
            model = ModelInfo.from_json(greeting[0]["model"])
        except (OSError, WireError, KeyError, TypeError, ValueError) as error:
            log.debug("the inference process is not there", reason=str(error))
            connection.close()
            return None
        log.info("connected to the inference process", model=model.name, version=model.version)
        connection.settimeout(None)
        # A send may wait this long for a busy process; reading waits for ever on its own thread.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_HANGS_AFTER_S))
        with self._changed:
            self._model = model
            self._socket = connection
            self._answered_s = self._clock.monotonic()
            self._changed.notify_all()
        return connection

    def _send_all(self, connection: socket.socket) -> None:
        """Send what comes until the connection breaks, hangs, or the client is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or self._outbox or self._socket is not connection, 1.0
                )
                if self._closed or self._socket is not connection or self._hangs():
                    return
                if not self._outbox:
                    continue
                source = next(iter(self._outbox))
                request = self._outbox.pop(source)
                now = self._clock.monotonic()
                if request.expires > now:
                    if not self._flying:
                        self._answered_s = now
                    self._next_id += 1
                    number = self._next_id
                    self._flying[number] = request
            if request.expires <= now:
                fail(request.future, DetectionLateError("Its deadline passed before it was sent."))
                continue
            height, width = request.picture.shape[:2]
            header: dict[str, Any] = {
                "op": "infer",
                "id": number,
                "width": width,
                "height": height,
                "deadline_ms": round((request.expires - now) * 1000),
                "source": "" if source.startswith("\0") else source,
            }
            try:
                send_message(
                    connection, header, np.ascontiguousarray(request.picture).data.cast("B")
                )
            except (OSError, WireError) as error:
                log.warning("the inference process went away", reason=str(error))
                return

    def _hangs(self) -> bool:
        silent = self._clock.monotonic() - self._answered_s
        if self._flying and silent > _HANGS_AFTER_S:
            log.warning("the inference process hangs; connecting anew", silent_s=round(silent, 1))
            return True
        return False

    def _read(self, connection: socket.socket) -> None:
        try:
            while (message := receive_message(connection)) is not None:
                self._take(*message)
        except (OSError, WireError, KeyError, TypeError, ValueError) as error:
            log.warning("the inference process went away", reason=str(error))
        with self._changed:
            if self._socket is connection:
                self._socket = None
            self._changed.notify_all()

    def _take(self, header: dict[str, Any], payload: bytes) -> None:
        with self._lock:
            request = self._flying.pop(int(header["id"]), None)
            self._answered_s = self._clock.monotonic()
        if request is None:
            return
        if header["ok"]:
            self.ms += (float(header["ms"]) - self.ms) * (0.1 if self.ms else 1.0)
            rows = np.frombuffer(payload, dtype="<f4").reshape(-1, 6).astype(np.float32)
            if request.future.set_running_or_notify_cancel():
                request.future.set_result(rows)
        elif header["code"] == "late":
            fail(request.future, DetectionLateError(str(header["message"])))
        else:
            fail(request.future, DetectionFailedError(str(header["message"])))

    def _hang_up(self, connection: socket.socket | None) -> None:
        with self._changed:
            if self._socket is connection:
                self._socket = None
            self._changed.notify_all()
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the other side was faster

    def _fail_all(self) -> None:
        with self._lock:
            lost = [*self._flying.values(), *self._outbox.values()]
            self._flying.clear()
            self._outbox.clear()
        for request in lost:
            fail(request.future, _away())


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack("ll", whole, int((seconds - whole) * 1_000_000))
