"""Reading one RTSP stream: a thread that connects, hands packets to sinks, and never gives up.

The media library cannot be interrupted inside a call. So a changed source or a stop does not
wait for the call: the thread is left behind (it ends by itself within its timeouts) and may no
longer touch anything, because each thread carries a number and only the newest one counts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import av.error

from camera_hub.streams.address import AddressError, endpoint, with_credentials
from camera_hub.streams.backoff import Backoff
from camera_hub.streams.diagnosis import (
    CLOSED,
    NOT_VIDEO,
    Failure,
    StreamFailure,
    explain,
    unsupported_codec,
)
from camera_hub.streams.health import Health
from camera_hub.streams.parameters import Codec, parameter_sets, read_info
from camera_hub.streams.reach import ANYWHERE, Reach
from camera_hub.streams.timestamps import Timeline
from camera_hub.streams.types import (
    ReasonCode,
    Sink,
    StreamInfo,
    StreamSource,
    StreamState,
    StreamStatus,
)
from core.clock import Clock
from core.errors import InvalidInputError
from core.logging import get_logger
from core.metrics import counter

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from camera_hub.streams.types import Packet

log = get_logger(__name__)
FAILURES = counter("stream_failures", "Connections to cameras that failed or ended", ("code",))
CRASHES = counter("stream_reader_errors", "Errors inside a stream reader that nobody expected")

_OPTIONS = {
    "rtsp_transport": "tcp",
    # Without it the library counts frames for two seconds before it gives the first.
    "fpsprobesize": "0",
    # With few pictures a second it would look at five seconds of them, as long as opening may take.
    "analyzeduration": "1500000",
    "allowed_media_types": "video",
}
_HEALTHY_S = 10.0
"""A connection that held this long was healthy: the next failure starts with short delays."""


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
    `check()` or `update()`; it must neither block nor call the reader.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        clock: Clock,
        options: ReaderOptions | None = None,
        on_change: Callable[[StreamStatus], None] | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._options = options or ReaderOptions()
        self._health = Health(clock, self._options.stall_after_s, on_change or _ignore)
        self._lock = threading.Lock()
        # Held while packets are handed on, so that a thread left behind cannot hand on any.
        self._delivery = threading.Lock()
        self._sinks: tuple[Sink, ...] = ()
        self._open_sinks: list[Sink] = []
        self._info: StreamInfo | None = None
        self._generation = 0
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def source(self) -> StreamSource:
        """The address and credentials in use."""
        return self._source

    def add_sink(self, sink: Sink) -> None:
        """Hand packets to `sink` from the next keyframe on."""
        with self._lock:
            self._sinks = (*self._sinks, sink)

    def remove_sink(self, sink: Sink) -> None:
        """Hand `sink` nothing any more; it is closed before this returns."""
        with self._lock:
            self._sinks = tuple(s for s in self._sinks if s is not sink)
        with self._delivery:
            if sink in self._open_sinks:
                self._open_sinks.remove(sink)
                sink.closed()

    def start(self) -> None:
        """Begin to read."""
        with self._lock:
            self._begin()

    def update(self, source: StreamSource) -> None:
        """Read from `source` from now on, without waiting out a delay or a blocked call."""
        with self._lock:
            if source == self._source:
                return
            self._source = source
            if self._thread is None:
                return
            # From here on the old thread may neither deliver nor report.
            self._generation += 1
        with self._delivery:
            self._close_sinks()
            self._health.starting()
        with self._lock:
            if self._thread is not None:
                self._begin()

    def stop(self, timeout: float = 0.0) -> None:
        """Stop reading and close the sinks; wait up to `timeout` seconds for the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._generation += 1
            self._wake.set()
        with self._delivery:
            self._close_sinks()
        if thread is not None and timeout > 0:
            thread.join(timeout)

    def check(self) -> None:
        """Notice a stall, and a thread that died; to be called a few times a second."""
        self._health.check()
        with self._lock:
            if self._thread is not None and not self._thread.is_alive():
                CRASHES.inc()
                self._begin()

    def status(self) -> StreamStatus:
        """Return state and counters as they are now."""
        self.check()
        return self._health.status()

    def _begin(self) -> None:
        self._generation += 1
        self._wake.set()
        self._wake = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._generation, self._source, self._wake),
            name=f"read-{self._source.camera_id.hex[-6:]}-{self._source.role}",
            daemon=True,
        )
        self._thread.start()

    def _current(self, generation: int) -> bool:
        return generation == self._generation

    def _run(self, generation: int, source: StreamSource, wake: threading.Event) -> None:
        backoff = Backoff(first_s=self._options.backoff_first_s, max_s=self._options.backoff_max_s)
        while self._current(generation):
            started = self._clock.monotonic()
            failure = self._attempt(generation, source)
            with self._delivery:
                if not self._current(generation):
                    return
                self._close_sinks()
                self._health.failed(failure)
            FAILURES.labels(failure.code.value).inc()
            log.info(
                "stream ended",
                camera_id=str(source.camera_id),
                role=source.role,
                reason_code=failure.code.value,
            )
            if self._clock.monotonic() - started > _HEALTHY_S + self._options.open_timeout_s:
                backoff.reset()
            wake.wait(backoff.longest() if failure.patient else backoff.next())

    def _attempt(self, generation: int, source: StreamSource) -> Failure:
        """Connect and read until it ends; return why it ended."""
        opening = True
        try:
            timeout = (self._options.open_timeout_s, self._options.read_timeout_s)
            source = _pinned(source, self._options)
            container = av.open(
                with_credentials(source), mode="r", options=_OPTIONS, timeout=timeout
            )
            with container:
                opening = False
                self._read(generation, container)
            return CLOSED
        except StreamFailure as error:
            return error.failure
        except AddressError as error:
            return Failure(
                ReasonCode.ERROR,
                f"{error} Correct the camera's address.",
                StreamState.NOT_FOUND,
                patient=True,
            )
        except av.error.FFmpegError as error:
            seconds = timeout[0] if opening else 2 * timeout[1]
            return explain(error, source, opening=opening, timeout_s=seconds)
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

    def _read(self, generation: int, container: InputContainer) -> None:
        stream, codec = _video_of(container)
        time_base = stream.time_base or Fraction(1, 90000)
        timeline = Timeline(time_base)
        sets = parameter_sets(codec, stream.codec_context.extradata or b"")
        self._health.connected()
        with self._delivery:
            if not self._current(generation):
                return
            self._close_sinks()
            self._info = None
        for packet in container.demux(stream):
            if packet.size == 0:
                return
            arrived, arrived_at = self._clock.monotonic(), self._clock.now()
            timeline.fix(packet, arrived)
            with self._delivery:
                if not self._current(generation):
                    return
                self._health.received(packet.size, packet.is_keyframe, arrived, arrived_at)
                if packet.is_keyframe:
                    sets = self._keyframe(codec, sets, packet, time_base)
                for sink in self._open_sinks:
                    sink.packet(packet, arrived, arrived_at)

    def _keyframe(
        self, codec: Codec, sets: tuple[bytes, ...], packet: Packet, time_base: Fraction
    ) -> tuple[bytes, ...]:
        """Open the sinks that wait, all of them anew if the parameters changed."""
        data = bytes(packet)
        inside = parameter_sets(codec, data)
        changed = inside and not set(inside) <= set(sets)
        if changed:
            sets = inside
        if self._info is None or changed:
            try:
                info = read_info(codec, sets, data, time_base)
            except av.error.FFmpegError:
                # A damaged keyframe: the next one will do.
                return sets
            if self._info is not None:
                self._close_sinks()
            self._info = info
            self._health.opened(info)
        for sink in self._sinks:
            if sink not in self._open_sinks:
                sink.opened(self._info)
                self._open_sinks.append(sink)
        return sets

    def _close_sinks(self) -> None:
        sinks, self._open_sinks = self._open_sinks, []
        for sink in sinks:
            sink.closed()


def _video_of(container: InputContainer) -> tuple[VideoStream, Codec]:
    """Return the video stream and its codec.

    Raises:
        StreamFailure: there is no video, or it is of another kind than H.264 and H.265.
    """
    if not container.streams.video:
        raise StreamFailure(NOT_VIDEO)
    stream = container.streams.video[0]
    name = stream.codec_context.name if stream.codec_context else ""
    if name not in ("h264", "hevc"):
        raise StreamFailure(unsupported_codec(name))
    return stream, cast("Codec", name)


def _ignore(_status: StreamStatus) -> None:
    pass


def _pinned(source: StreamSource, options: ReaderOptions) -> StreamSource:
    """Return `source` with its name replaced by an address that was checked.

    Raises:
        StreamFailure: the name is unknown, or leads where no camera may be.
        AddressError: it is no address of a stream.
    """
    host, port = endpoint(source.url)
    try:
        url = options.reach.pinned(source.url, port, options.open_timeout_s)
    except OSError:
        raise StreamFailure(
            Failure(
                ReasonCode.UNREACHABLE,
                f"There is no way to {host}:{port}. Check the address and the network.",
            )
        ) from None
    except InvalidInputError as error:
        raise StreamFailure(
            Failure(ReasonCode.ERROR, str(error), StreamState.NOT_FOUND, patient=True)
        ) from None
    return source if url == source.url else replace(source, url=url)
