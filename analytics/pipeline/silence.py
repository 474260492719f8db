"""A camera that is to say what it sees and does not becomes an event: nobody would watch it."""

from pathlib import Path
from uuid import UUID

from analytics.pipeline.offline import OfflineJournal
from analytics.rules.signal import Signal, fault_signal
from analytics.rules.types import CameraRef
from camera_hub.streams.types import StreamState, StreamStatus
from core.clock import Clock
from core.logging import get_logger

SILENT_AFTER_S = 30.0
WELL_AFTER_S = 10.0
_FRESH_S = 5.0
"""Told so lately, a camera is telling."""

_log = get_logger("analytics.pipeline")


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
        self._source = source
        self._journal = OfflineJournal(state)
        self._cameras: dict[UUID, tuple[CameraRef, SilenceWatch]] = {}

    def add(self, camera: CameraRef) -> None:
        """Begin with a camera, or anew."""
        silent = bool(self._journal.key(camera.id))
        self._cameras[camera.id] = (camera, SilenceWatch(self._clock, silent=silent))

    def remove(self, camera: CameraRef) -> Signal | None:
        """End with a camera that is not to tell; return the end of what was said of it."""
        self._cameras.pop(camera.id, None)
        if not self._journal.key(camera.id):
            return None
        return self._signal(camera, silent=False, why="")

    def update(
        self, camera_id: UUID, status: StreamStatus, told_s: float, why: str
    ) -> Signal | None:
        """Take how a camera does; return what is to be said. `why` nothing of it can be read."""
        found = self._cameras.get(camera_id)
        if found is None:
            return None
        camera, watch = found
        turned = watch.update(status, told_s)
        return None if turned is None else self._signal(camera, silent=turned, why=why)

    def _signal(self, camera: CameraRef, *, silent: bool, why: str) -> Signal:
        moment = int(self._clock.now().timestamp())
        fresh = f"{camera.id}:not-analysed:{moment}"
        key = fresh if silent else self._journal.key(camera.id) or fresh
        try:
            self._journal.note(camera.id, key if silent else "")
        except OSError as error:
            _log.warning("the journal of silent cameras cannot be written", reason=error.strerror)
        what = "does not say what it sees" if silent else "says again what it sees"
        if silent and why:
            what = "sends what it sees in a form that cannot be read"
        return fault_signal(
            self._clock,
            source=self._source,
            kind="camera.not_analysed",
            phase="started" if silent else "ended",
            event_key=key,
            headline=f"{camera.name} {what}",
            severity="severe",
            subject=str(camera.id),
            area=camera.area,
            camera_id=str(camera.id),
            detail={"reason": why or "silent"} if silent else None,
        )
