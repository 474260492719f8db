"""A camera that stays away becomes an event; one that blinks does not."""

from analytics.rules.signal import Signal, fault_signal
from analytics.rules.types import CameraRef
from camera_hub.streams.types import StreamState, StreamStatus
from core.clock import Clock


class OfflineWatch:
    """Follows one camera's stream status; not thread-safe."""

    def __init__(
        self, camera: CameraRef, clock: Clock, *, source: str, after_s: float, event_key: str = ""
    ) -> None:
        """Make a watch.

        Args:
            camera: as the signals name it.
            clock: measures how long the camera is away.
            source: CloudEvents source, as `/workers/media-0`.
            after_s: seconds a camera may be away before a signal is sent.
            event_key: of an event that an earlier process began and did not end.
        """
        self._camera = camera
        self._clock = clock
        self._source = source
        self._after_s = after_s
        self._away_since_s: float | None = None
        self._event_key = event_key

    @property
    def camera(self) -> CameraRef:
        """Whose status it follows."""
        return self._camera

    @property
    def event_key(self) -> str:
        """Key of the running event; empty while there is none."""
        return self._event_key

    def update(self, status: StreamStatus) -> Signal | None:
        """Take the camera's status; return `started` once it was away too long, `ended` once back.

        A camera that somebody switched off is not away.
        """
        if status.state in {StreamState.ONLINE, StreamState.DISABLED}:
            self._away_since_s = None
            online = status.state is StreamState.ONLINE
            return self._end("is online again" if online else "is switched off")
        now_s = self._clock.monotonic()
        if self._away_since_s is None:
            self._away_since_s = now_s
        if self._event_key or now_s - self._away_since_s < self._after_s:
            return None
        self._event_key = f"{self._camera.id}:offline:{int(self._clock.now().timestamp())}"
        return self._signal("started", f"{self._camera.name} is offline: {status.reason}", status)

    def finish(self) -> Signal | None:
        """Return `ended` if the camera was away and nobody waits for it any more."""
        return self._end("is no longer watched")

    def _end(self, what: str) -> Signal | None:
        if not self._event_key:
            return None
        signal = self._signal("ended", f"{self._camera.name} {what}", None)
        self._event_key = ""
        return signal

    def _signal(self, phase: str, headline: str, status: StreamStatus | None) -> Signal:
        return fault_signal(
            self._clock,
            source=self._source,
            kind="camera.offline",
            phase="started" if phase == "started" else "ended",
            event_key=self._event_key,
            headline=headline,
            severity="moderate",
            subject=str(self._camera.id),
            area=self._camera.area,
            camera_id=str(self._camera.id),
            detail={"state": status.state.value, "reason_code": status.reason_code.value}
            if status
            else None,
        )
