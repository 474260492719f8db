"""One thread for all connections of a process: it sleeps, then reads all that has come.

Measured with 20 cameras of 700 kbit/s (bench/lib_reader.py): 0.10 % of a core each; a thread per
camera that sleeps as long 0.25 %, the media library 0.24 %. The price is that a picture waits for
the next look, half of `TICK_S` on average (p50 27 ms, p95 41 ms from the camera's `send` to the
sink; the media library, which waits for the next picture, needs 40 and 43 ms).
"""

from __future__ import annotations

import heapq
import itertools
import select
import threading
from collections import deque
from collections.abc import Callable
from functools import cache

from camera_hub.streams.diagnosis import Failure
from camera_hub.streams.rtsp.connection import Connection
from camera_hub.streams.rtsp.taking import Read
from camera_hub.streams.types import ReasonCode
from core.clock import Clock, SystemClock
from core.logging import get_logger
from core.metrics import counter

log = get_logger(__name__)
CRASHES = counter("stream_poller_errors", "Errors inside the poller of streams nobody expected")

TICK_S = 0.04
CROWDED_TICK_S = 0.01
"""The pause while datagrams of some camera nearly fill what the kernel keeps of them."""
_LOOK_S = 0.25
_BUFFER = 1 << 18


class Poller:
    """Reads connections and calls what is due, on a daemon thread that begins with the first use.

    Every method may be called from any thread.
    """

    def __init__(self, clock: Clock, *, tick_s: float = TICK_S) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._wake = threading.Event()
        self._commands: deque[Callable[[], None]] = deque()
        self._connections: dict[Connection, tuple[int, ...]] = {}
        self._readers: dict[int, tuple[Connection, Read]] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._epoll = select.epoll()
        self._buffer = memoryview(bytearray(_BUFFER))
        self._look_at = 0.0
        self._pause_s = tick_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, connection: Connection) -> None:
        """Read `connection` from now on."""
        self._command(lambda: self._add(connection))

    def leave(self, connection: Connection) -> None:
        """End `connection`; its receiver is told nothing more about it."""
        self._command(lambda: connection.leave(self._clock.monotonic()))

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Call `action` on the poller's thread in `delay_s` seconds; it must not block."""
        due = (self._clock.monotonic() + delay_s, next(self._numbers), action)
        self._command(lambda: heapq.heappush(self._due, due))

    def _command(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="poll", daemon=True)
                    self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._guard(self._turn)

    def _turn(self) -> None:
        self._wake.wait(self._pause())
        self._wake.clear()
        while self._commands:
            self._guard(self._commands.popleft())
        now = self._clock.monotonic()
        while self._due and self._due[0][0] <= now:
            self._guard(heapq.heappop(self._due)[2])
        if self._connections:
            self._poll(now)

    def _pause(self) -> float | None:
        """Return how long to sleep, None while there is nothing at all to do."""
        if self._connections:
            return self._pause_s
        if self._due:
            return max(0.0, self._due[0][0] - self._clock.monotonic())
        return None

    def _poll(self, now: float) -> None:
        for number, _ in self._epoll.poll(0):
            known = self._readers.get(number)
            if known is None:
                continue
            connection, read = known
            self._guard(lambda r=read: r(self._buffer, now), connection)  # type: ignore[misc]
            if not connection.alive:
                self._forget(connection)
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            crowded = any(connection.crowded for connection in self._connections)
            self._pause_s = min(self._tick_s, CROWDED_TICK_S) if crowded else self._tick_s
            for connection in list(self._connections):
                self._guard(lambda c=connection: c.look(now), connection)  # type: ignore[misc]
                if not connection.alive:
                    self._forget(connection)

    def _add(self, connection: Connection) -> None:
        readers = connection.readers
        self._connections[connection] = tuple(readers)
        for number, read in readers.items():
            self._readers[number] = (connection, read)
            self._epoll.register(number, select.EPOLLIN)
        self._guard(lambda: connection.begin(self._clock.monotonic()), connection)
        if not connection.alive:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        # Closing its sockets has taken them out of the epoll already. Their numbers may have
        # gone to another connection meanwhile.
        for number in self._connections.pop(connection, ()):
            if self._readers.get(number, (None,))[0] is connection:
                del self._readers[number]

    def _guard(self, action: Callable[[], None], connection: Connection | None = None) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - top of the poller's loop: counted, shown, gone on
            CRASHES.inc()
            log.error("poller failed", error=type(error).__name__)
            if connection is not None:
                self._give_up(connection, error)

    def _give_up(self, connection: Connection, error: Exception) -> None:
        failure = Failure(
            ReasonCode.ERROR,
            f"Reading failed inside Camera Hub ({type(error).__name__}). "
            "Please report this with the log; trying again.",
        )
        self._guard(lambda: connection.end(failure))


@cache
def shared_poller() -> Poller:
    """Return the poller of this process."""
    return Poller(SystemClock())
