"""A stream's state and counters, safe to read from any thread."""

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime

from camera_hub.streams.diagnosis import ARRIVING, Failure, Note
from camera_hub.streams.types import ReasonCode, SoundState, StreamInfo, StreamState, StreamStatus
from core.clock import Clock

_WINDOW_S = 5.0
_SAMPLE_S = 0.5


class Health:
    """Keeps the `StreamStatus` of one reader and tells `on_change` about new states.

    `on_change` is called without any lock held, on the thread that made the change.
    """

    def __init__(
        self, clock: Clock, stall_after_s: float, on_change: Callable[[StreamStatus], None]
    ) -> None:
        self._clock = clock
        self._stall_after_s = stall_after_s
        self._on_change = on_change
        self._lock = threading.Lock()
        self._state = StreamState.CONNECTING
        self._code = ReasonCode.STARTING
        self._reason = "Connecting to the camera."
        self._since = clock.now()
        self._was_online = False
        self._note = ARRIVING
        self._packets = self._bytes = self._keyframes = self._connections = 0
        self._info: StreamInfo | None = None
        self._sound = SoundState.OFF
        self._last_packet = 0.0
        self._last_frame_at: datetime | None = None
        self._samples: deque[tuple[float, int, int]] = deque()

    def starting(self) -> None:
        """Begin anew, as with a changed address or password."""
        with self._lock:
            self._was_online = False
        self._become(StreamState.CONNECTING, ReasonCode.STARTING, "Connecting to the camera.")

    def connected(self, note: Note | None = None) -> None:
        """Count a connection that stands; the state changes with its first packet.

        `note` is the reason then shown, if there is more to say than that pictures arrive.
        """
        with self._lock:
            self._note = note or ARRIVING
            self._connections += 1
            self._samples.clear()

    def note(self, note: Note | None) -> None:
        """Change the reason that is shown while the stream is online."""
        with self._lock:
            self._note = note or ARRIVING
            online = self._state is StreamState.ONLINE
        if online:
            self._become(StreamState.ONLINE, *self._note)

    def opened(self, info: StreamInfo) -> None:
        """Remember what the stream is."""
        with self._lock:
            self._info = info

    def sound(self, state: SoundState) -> None:
        """Remember how the sound is doing."""
        with self._lock:
            self._sound = state

    def received(self, size: int, keyframe: bool, arrived: float, arrived_at: datetime) -> None:
        """Count a packet of `size` bytes."""
        with self._lock:
            self._packets += 1
            self._bytes += size
            self._keyframes += keyframe
            self._last_packet = arrived
            self._last_frame_at = arrived_at
            self._sample(arrived)
            if self._state is StreamState.ONLINE:
                return
            self._was_online = True
        self._become(StreamState.ONLINE, *self._note)

    def failed(self, failure: Failure) -> None:
        """Take the state that `failure` means."""
        state = failure.state
        if state is None:
            state = StreamState.STALLED if self._was_online else StreamState.CONNECTING
        self._become(state, failure.code, failure.reason)

    def check(self) -> None:
        """Say `stalled` as soon as pictures stay away, before the media library notices."""
        with self._lock:
            if self._state is not StreamState.ONLINE:
                return
            rate = self._rates(self._last_packet)[0]
            allowed = max(self._stall_after_s, 4.0 / rate if rate > 0.05 else 0.0)
            quiet = self._clock.monotonic() - self._last_packet
        if quiet > allowed:
            self._become(
                StreamState.STALLED,
                ReasonCode.NO_DATA,
                "The connection stands but no picture comes. Check the camera and the network "
                "to it; trying again.",
            )

    def status(self) -> StreamStatus:
        """Return state and counters as they are now."""
        with self._lock:
            fps, kbps = self._rates(self._clock.monotonic())
            info = self._info
            return StreamStatus(
                state=self._state,
                reason_code=self._code,
                reason=self._reason,
                since=self._since,
                packets=self._packets,
                bytes=self._bytes,
                keyframes=self._keyframes,
                fps=fps,
                bitrate_kbps=kbps,
                width=info.width if info else 0,
                height=info.height if info else 0,
                codec=info.codec if info else "",
                last_frame_at=self._last_frame_at,
                reconnects=max(0, self._connections - 1),
                sound=self._sound,
            )

    def _become(self, state: StreamState, code: ReasonCode, reason: str) -> None:
        with self._lock:
            if (state, code, reason) == (self._state, self._code, self._reason):
                return
            if state is not self._state:
                self._since = self._clock.now()
            self._state, self._code, self._reason = state, code, reason
        self._on_change(self.status())

    def _sample(self, now: float) -> None:
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE_S:
            self._samples.append((now, self._packets, self._bytes))
            while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW_S:
                self._samples.popleft()

    def _rates(self, now: float) -> tuple[float, float]:
        """Return packets per second and kilobits per second over the window that ends `now`."""
        if not self._samples:
            return 0.0, 0.0
        start, packets, size = self._samples[0]
        seconds = now - start
        if seconds < _SAMPLE_S:
            return 0.0, 0.0
        return (
            (self._packets - packets) / seconds,
            (self._bytes - size) * 8 / 1000 / seconds,
        )
