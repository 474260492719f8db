"""A camera that is to say what it sees and does not becomes an event: nobody would watch it."""

from pathlib import Path
from uuid import UUID

from analytics.pipeline.standing import StandingFault
from analytics.rules.signal import Signal
from analytics.rules.types import CameraRef
from camera_hub.streams.types import StreamState, StreamStatus
from core.clock import Clock

SILENT_AFTER_S = 30.0
WELL_AFTER_S = 10.0
_FRESH_S = 5.0
"""Told so lately, a camera is telling."""


class SilenceWatch:
    """Follows whether one camera tells. Not thread-safe."""

    def __init__(self, clock: Clock, *, silent: bool) -> None:
        """Begin; `silent` says that it was so before, and has been said."""
        self.silent = silent
        self._clock = clock
        self._due_since: float | None = None
        self._well_since: float | None = None

    def update(self, status: StreamStatus, told_s: float) -> bool | None:
        """Return True when the camera has become silent, False when it tells again.

        A camera that is away is somebody else's to report, and its silence begins with its return.

        Args:
            status: of the stream that brings what it tells.
            told_s: when it last told something that could be read (monotonic).
        """
        now_s = self._clock.monotonic()
        if status.state is not StreamState.ONLINE:
            self._due_since = self._well_since = None
            return None
        if self._due_since is None:
            self._due_since = now_s
        if now_s - told_s > _FRESH_S:
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now_s
        if self.silent:
            if self._well_since is None or now_s - self._well_since < WELL_AFTER_S:
                return None
            self.silent = False
            return False
        if now_s - max(told_s, self._due_since) < SILENT_AFTER_S:
            return None
        self.silent = True
        return True


class SilenceFaults:
    """Follows the cameras of a worker that tell what they see. Not thread-safe.

    Which are said to be silent lies in the file `state`, for a restart.
    """

    def __init__(self, clock: Clock, *, source: str, state: Path) -> None:
        self._clock = clock
        self.fault = StandingFault(
            clock, kind="camera.not_analysed", source=source, state=state, severity="severe"
        )
        self._cameras: dict[UUID, tuple[CameraRef, SilenceWatch]] = {}

    def add(self, camera: CameraRef) -> None:
        """Begin with a camera, or anew."""
        watch = SilenceWatch(self._clock, silent=self.fault.stands(camera.id))
        self._cameras[camera.id] = (camera, watch)

    def remove(self, camera: CameraRef) -> Signal | None:
        """End with a camera that is not to tell; return the end of what was said of it."""
        self._cameras.pop(camera.id, None)
        return self._over(camera) if self.fault.stands(camera.id) else None

    def update(
        self, camera_id: UUID, status: StreamStatus, told_s: float, why: str
    ) -> Signal | None:
        """Take how a camera does; return what is to be said. `why` nothing of it can be read."""
        found = self._cameras.get(camera_id)
        if found is None:
            return None
        camera, watch = found
        turned = watch.update(status, told_s)
        if turned is None:
            return None
        if not turned:
            return self._over(camera)
        what = (
            "sends what it sees in a form that cannot be read"
            if why
            else "does not say what it sees"
        )
        return self.fault.begin(camera, what, {"reason": why or "silent"})

    def _over(self, camera: CameraRef) -> Signal:
        return self.fault.end(camera, "says again what it sees")
