"""A camera that stays away becomes an event; one that blinks does not."""

from pathlib import Path
from uuid import UUID

from analytics.pipeline.standing import StandingFault
from analytics.rules.signal import Signal
from analytics.rules.types import CameraRef
from camera_hub.streams.types import StreamState, StreamStatus
from core.clock import Clock


class OfflineFaults:
    """Follows the streams of a worker's cameras. Not thread-safe.

    Which are said to be away lies in the file `state`, for a restart.
    """

    def __init__(self, clock: Clock, *, source: str, state: Path, after_s: float) -> None:
        """Make it without cameras.

        Args:
            clock: measures how long a camera is away.
            source: CloudEvents source, as `/workers/media-0`.
            state: which cameras are said to be away.
            after_s: seconds a camera may be away before that is said.
        """
        self._clock = clock
        self.fault = StandingFault(clock, kind="camera.offline", source=source, state=state)
        self._after_s = after_s
        self._cameras: dict[UUID, CameraRef] = {}
        self._away_since_s: dict[UUID, float] = {}

    def add(self, camera: CameraRef) -> None:
        """Begin with a camera, or anew; that it is said to be away goes on."""
        self._cameras[camera.id] = camera
        self._away_since_s.pop(camera.id, None)

    def remove(self, camera_id: UUID) -> Signal | None:
        """End with a camera; return the end of what was said of it."""
        camera = self._cameras.pop(camera_id, None)
        return self._over(camera, "is no longer watched") if camera else None

    def update(self, camera_id: UUID, status: StreamStatus) -> Signal | None:
        """Take a camera's status; return what is to be said.

        A camera that somebody switched off is not away.
        """
        camera = self._cameras.get(camera_id)
        if camera is None:
            return None
        if status.state in {StreamState.ONLINE, StreamState.DISABLED}:
            self._away_since_s.pop(camera_id, None)
            online = status.state is StreamState.ONLINE
            return self._over(camera, "is online again" if online else "is switched off")
        now_s = self._clock.monotonic()
        away_s = now_s - self._away_since_s.setdefault(camera_id, now_s)
        if away_s < self._after_s or self.fault.stands(camera_id):
            return None
        detail = {"state": status.state.value, "reason_code": status.reason_code.value}
        return self.fault.begin(camera, f"is offline: {status.reason}", detail)

    def _over(self, camera: CameraRef, what: str) -> Signal | None:
        return self.fault.end(camera, what) if self.fault.stands(camera.id) else None
