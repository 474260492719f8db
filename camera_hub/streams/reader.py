"""Reading one RTSP stream: connecting, handing packets to sinks, and never giving up.

Our own client (`camera_hub.streams.rtsp`) opens a connection on a short-lived thread; from then
on the poller's one thread reads it. What it cannot read goes through the media library, on a
thread of its own. Each attempt carries a number, and only the newest may touch anything: so
stopping and changing a source wait for nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import av.error

from camera_hub.streams.address import AddressError, endpoint, parse
from camera_hub.streams.backoff import Backoff
from camera_hub.streams.diagnosis import (
    CLOSED,
    METADATA_TRANSPORT,
    OVER_UDP,
    Failure,
    StreamFailure,
    explain,
)
from camera_hub.streams.falling_over import Ways
from camera_hub.streams.feed import Feed
from camera_hub.streams.health import Health
from camera_hub.streams.library import LibraryStream
from camera_hub.streams.pinning import pinned
from camera_hub.streams.reach import ANYWHERE, Reach
from camera_hub.streams.receiving import Attempt, OnMetadata, Receiving
from camera_hub.streams.rtsp.client import (
    LeaveToLibraryError,
    Playing,
    RtspClient,
)
from camera_hub.streams.rtsp.connection import Connection
from camera_hub.streams.rtsp.poller import Poller, shared_poller
from camera_hub.streams.rtsp.ways import TransportRefusedError
from camera_hub.streams.types import (
    ReasonCode,
    Sink,
    SoundState,
    StreamSource,
    StreamState,
    StreamStatus,
    Transport,
)
from core.clock import Clock
from core.logging import get_logger
from core.metrics import counter

log = get_logger(__name__)
FAILURES = counter("stream_failures", "Connections to cameras that failed or ended", ("code",))
CRASHES = counter("stream_reader_errors", "Errors inside a stream reader that nobody expected")

_Library = Transport | Literal["datagrams"]
_HEALTHY_S = 10.0
"""A connection that held this long was healthy: the next failure starts with short delays."""
_TWICE_S = 60.0
_ALONE_S = 600.0
"""How long a camera that fails when asked for more is asked for its video alone."""


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """Times of a reader, in seconds (see `core.settings.MediaSettings`), and where it may go."""

    open_timeout_s: float = 5.0
    read_timeout_s: float = 2.0
    stall_after_s: float = 2.0
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0
    reach: Reach = ANYWHERE


class StreamReader:
    """Reads one stream of one camera until it is stopped.

    `on_change` is called with each new state, on a thread of the reader's or of whoever calls
    `check()` or `update()`; it must neither block nor call the reader. `on_metadata` is given each
    XML document in which the camera says what it sees (`StreamSource.metadata`), with when it
    arrived (monotonic; aware, UTC), on the poller's thread: it must not block. What it raises ends
    the connection, as with a sink.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        clock: Clock,
        options: ReaderOptions | None = None,
        on_change: Callable[[StreamStatus], None] | None = None,
        poller: Poller | None = None,
        on_metadata: OnMetadata | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._options = options or ReaderOptions()
        self._poller = poller or shared_poller()
        self._health = Health(clock, self._options.stall_after_s, on_change or _ignore)
        self._lock = threading.Lock()
        # Its lock is held while packets are handed on: an attempt left behind hands on none.
        self._feed = Feed(self._health)
        self._generation = 0
        self._running = False
        self._attempting = False
        self._thread: threading.Thread | None = None
        self._backoff = self._new_backoff()
        self._client: RtspClient | None = None
        self._connection: Connection | None = None
        self._use_library: _Library | None = None
        self._ways = Ways(source.transport)
        self._on_metadata = on_metadata
        self._alone_until = 0.0
        self._fruitless_at = float("-inf")

    @property
    def source(self) -> StreamSource:
        """The address and credentials in use."""
        return self._source

    def add_sink(self, sink: Sink) -> None:
        """Hand packets to `sink` from the next keyframe on."""
        self._feed.add(sink)

    def remove_sink(self, sink: Sink) -> None:
        """Hand `sink` nothing any more; it is closed before this returns."""
        self._feed.remove(sink)

    def start(self) -> None:
        """Begin to read."""
        with self._lock:
            self._running = True
            self._begin()

    def update(self, source: StreamSource) -> None:
        """Read from `source` from now on, without waiting out a delay or a blocked call."""
        with self._lock:
            if source == self._source:
                return
            self._source = source
            if not self._running:
                return
            # From here on the old connection may neither deliver nor report.
            self._abandon()
        with self._feed.lock:
            self._feed.close()
            self._health.starting()
        with self._lock:
            if self._running:
                self._begin()

    def stop(self, timeout: float = 0.0) -> None:
        """Stop reading and close the sinks; wait up to `timeout` seconds for the thread."""
        with self._lock:
            thread, self._running = self._thread, False
            self._abandon()
        with self._feed.lock:
            self._feed.close()
        if thread is not None and timeout > 0:
            thread.join(timeout)

    def check(self) -> None:
        """Notice a stall, and a thread that died; to be called a few times a second."""
        self._health.check()
        with self._lock:
            dead = self._thread is None or not self._thread.is_alive()
            if self._running and self._attempting and dead:
                CRASHES.inc()
                self._begin()

    def status(self) -> StreamStatus:
        """Return state and counters as they are now."""
        self.check()
        return self._health.status()

    def camera_time(self, pts: int) -> datetime | None:
        """Return what the camera's own clock showed at `pts` (aware, UTC); None if it never said.

        `pts` is that of a packet handed on since the last jump, in the stream's time base. The
        camera's sender reports say so (RFC 3550); its clock may be wrong by any amount.
        """
        connection = self._connection
        report = connection.report if connection is not None else None
        if connection is None or report is None:
            return None
        ticks = self._feed.timeline.before(pts) - report.ticks
        return datetime.fromtimestamp(
            report.unix_s + ticks / connection.playing.track.clock_rate, UTC
        )

    def _new_backoff(self) -> Backoff:
        options = self._options
        return Backoff(first_s=options.backoff_first_s, max_s=options.backoff_max_s)

    def _abandon(self) -> None:
        """Let go of what goes on; `_lock` is held."""
        self._generation += 1
        self._attempting = False
        client, self._client = self._client, None
        if client is not None:
            client.abort()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._poller.leave(connection)

    def _begin(self) -> None:
        """Try to connect, for the first time with this source; `_lock` is held."""
        self._abandon()
        self._backoff = self._new_backoff()
        self._use_library = None
        self._ways = Ways(self._source.transport)
        self._alone_until = 0.0
        self._fruitless_at = float("-inf")
        self._launch(self._generation)

    def _launch(self, generation: int) -> None:
        self._attempting = True
        self._thread = threading.Thread(
            target=self._attempt,
            args=(generation, self._source),
            name=f"read-{self._source.camera_id.hex[-6:]}-{self._source.role}",
            daemon=True,
        )
        self._thread.start()

    def _again(self, generation: int) -> None:
        with self._lock:
            if self._current(generation):
                self._launch(generation)

    def _current(self, generation: int) -> bool:
        return generation == self._generation

    def _attempt(self, generation: int, source: StreamSource) -> None:
        """Connect; what plays is the poller's then, or has been read to its end."""
        started = self._clock.monotonic()
        failure = self._try(generation, source, started)
        if failure is not None:
            self._failed(generation, failure, started)

    def _failed(self, generation: int, failure: Failure, started: float) -> None:
        """Take the state that `failure` means and try again after a while."""
        with self._feed.lock:
            if not self._current(generation):
                return
            self._feed.close()
            self._health.failed(failure)
        FAILURES.labels(failure.code.value).inc()
        log.info(
            "stream ended",
            camera_id=str(self._source.camera_id),
            role=self._source.role,
            reason_code=failure.code.value,
        )
        with self._lock:
            if not self._current(generation):
                return
            self._attempting = False
            self._connection = self._client = None
            if self._clock.monotonic() - started > _HEALTHY_S + self._options.open_timeout_s:
                self._backoff.reset()
            delay = self._backoff.longest() if failure.patient else self._backoff.next()
        self._poller.later(delay, lambda: self._again(generation))

    def _try(self, generation: int, source: StreamSource, started: float) -> Failure | None:
        """Connect and read; return why it ended, None if the poller reads on."""
        ways = self._ways
        try:
            source = pinned(source, self._options.reach, self._options.open_timeout_s)
            while True:
                transport = self._library_transport(source)
                if transport is not None:
                    return self._read_library(generation, source, transport)
                try:
                    self._play(generation, source, started)
                    return None
                except TransportRefusedError:
                    failure = ways.refused("{}:{}".format(*endpoint(source.url)))
                    if failure is not None:
                        return failure
                except LeaveToLibraryError:
                    self._use_library = ways.library
        except StreamFailure as error:
            return error.failure
        except AddressError as error:
            return Failure(
                ReasonCode.ERROR,
                f"{error} Correct the camera's address.",
                StreamState.NOT_FOUND,
                patient=True,
            )
        except Exception as error:  # noqa: BLE001 - top of the reader's loop: counted, shown, retried
            CRASHES.inc()
            log.error(
                "stream reader failed", camera_id=str(source.camera_id), error=type(error).__name__
            )
            return Failure(
                ReasonCode.ERROR,
                f"Reading failed inside Camera Hub ({type(error).__name__}). "
                "Please report this with the log; trying again.",
            )

    def _library_transport(self, source: StreamSource) -> _Library | None:
        """Return over what the media library is to read `source`, None if our own client is."""
        if parse(source.url).scheme == "rtsps":
            return source.transport
        return self._use_library

    def _play(self, generation: int, source: StreamSource, started: float) -> None:
        playing = self._open(generation, source)
        if playing is None:
            return
        attempt = Attempt(
            current=lambda: self._current(generation),
            ended=lambda failure: self._ended(generation, failure, started),
            fruitless=self._fruitless,
        )
        receiving = Receiving(
            playing,
            attempt,
            feed=self._feed,
            health=self._health,
            clock=self._clock,
            on_metadata=self._on_metadata,
            note=OVER_UDP if playing.ports and self._ways.usual else None,
        )
        connection = receiving.connect(2 * self._options.read_timeout_s)
        with self._feed.lock:
            if self._current(generation):
                receiving.begin()
        with self._lock:
            if not self._current(generation):
                playing.close()
                return
            self._client = None
            self._connection = connection
            self._attempting = False
        self._poller.add(connection)

    def _ended(self, generation: int, failure: Failure, started: float) -> None:
        if failure.code is ReasonCode.NO_DATAGRAMS and self._current(generation):
            self._ways.held_up(failure)
        self._failed(generation, failure, started)

    def _open(self, generation: int, source: StreamSource) -> Playing | None:
        """Open the stream; if it fails when asked for more than its video, for that alone.

        Return None when this attempt is no longer the newest. Raises as `RtspClient.open`.
        """
        alone = self._clock.monotonic() < self._alone_until
        while True:
            client = RtspClient(
                source,
                self._clock,
                timeout_s=self._options.open_timeout_s,
                beside=not alone,
                transport=self._ways.current,
            )
            with self._lock:
                if not self._current(generation):
                    return None
                self._client = client
            try:
                playing = client.open()
            except StreamFailure:
                if not client.asked_beside:
                    raise
                alone = True
            else:
                if alone:
                    self._alone_until = self._clock.monotonic() + _ALONE_S
                return playing

    def _fruitless(self) -> None:
        """Ask for the video alone where it has failed twice: once may be a camera that restarts."""
        now = self._clock.monotonic()
        if now - self._fruitless_at < _TWICE_S:
            self._alone_until = now + _ALONE_S
        self._fruitless_at = now

    def _read_library(self, generation: int, source: StreamSource, transport: _Library) -> Failure:
        """Read through the media library until it ends; return why it ended."""
        options = self._options
        opening = True
        note = OVER_UDP if transport == "datagrams" else None
        note = METADATA_TRANSPORT if source.metadata else note
        try:
            with LibraryStream(
                source, transport, open_s=options.open_timeout_s, read_s=options.read_timeout_s
            ) as stream:
                opening = False
                self._health.connected(note)
                self._health.sound(SoundState.TRANSPORT if source.sound else SoundState.OFF)
                with self._feed.lock:
                    if not self._current(generation):
                        return CLOSED
                    self._feed.begin(stream.codec, stream.time_base, stream.sets)
                for packet in stream.packets():
                    arrived = self._clock.monotonic()
                    with self._feed.lock:
                        if not self._current(generation):
                            return CLOSED
                        self._feed.packet(packet, arrived, self._clock.now())
                return CLOSED
        except av.error.FFmpegError as error:
            seconds = options.open_timeout_s if opening else 2 * options.read_timeout_s
            return explain(error, source, opening=opening, timeout_s=seconds)


def _ignore(_status: StreamStatus) -> None:
    pass
