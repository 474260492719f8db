"""Cameras of which nobody decodes the pictures: one keyframe every ten seconds is looked at.

One thread serves all of a worker's, so that a camera costs what its keyframes cost and no wake-up
of its own.
"""

import threading
from collections.abc import Callable, Sequence
from uuid import UUID

from analytics.health.memory import HealthMemory
from analytics.health.watch import LOOK_EVERY_S, HealthWatch, TakePicture
from analytics.rules.signal import Signal
from analytics.rules.types import CameraRef
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import Frame
from core.clock import Clock
from core.logging import get_logger
from core.metrics import counter

_POLL_S = 1.0

TakeKeyframe = Callable[[float], Frame | None]
"""Decodes the newest keyframe if it arrived at that instant (monotonic) or later; None if not."""

_log = get_logger("analytics.health")
_ERRORS = counter("still_errors", "Errors in looking at single pictures that nobody expected")


class StillCamera:
    """One camera that is looked at now and then. `step` is for one thread at a time."""

    def __init__(
        self,
        camera: CameraRef,
        keyframe: TakeKeyframe,
        emit: Callable[[Signal], object],
        *,
        clock: Clock,
        source: str,
        memory: HealthMemory,
        picture: TakePicture | None,
        masks: Sequence[Polygon] = (),
    ) -> None:
        """Make it; parameters as of `HealthWatch`."""
        self.camera = camera
        self._keyframe = keyframe
        self._emit = emit
        self._watch = HealthWatch(camera, clock, source=source, memory=memory, picture=picture)
        self.masks = tuple(masks)
        """What is hidden in its pictures."""
        self._due_s = float("-inf")
        self._turned = threading.Event()
        self._busy = threading.Lock()
        self._closed = False

    def set_masks(self, masks: Sequence[Polygon]) -> None:
        """Replace the masks: nothing in them is judged."""
        with self._busy:
            self.masks = tuple(masks)
            self._watch.forget_pictures()

    def turned(self) -> None:
        """The camera was turned on purpose: what it shows from now on is its view."""
        self._turned.set()

    def close(self) -> None:
        """Look no more; returns when no look is going on."""
        with self._busy:
            self._closed = True

    def step(self) -> None:
        """Look, if it is time and there is a newer keyframe."""
        with self._busy:
            if self._closed:
                return
            signals = []
            if self._turned.is_set():
                self._turned.clear()
                signals = self._watch.relearn()
            frame = self._keyframe(self._due_s)
            if frame is not None:
                self._due_s = frame.arrived_monotonic + LOOK_EVERY_S
                signals += self._watch.look(frame, self.masks)
            for signal in signals:
                self._emit(signal)
                _log.info("picture", kind=signal["type"], phase=signal["data"]["phase"])


class StillCameras:
    """The thread that serves them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cameras: dict[UUID, StillCamera] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, camera: StillCamera) -> None:
        """Serve a camera, in the place of one with the same id."""
        self.remove(camera.camera.id)
        with self._lock:
            self._cameras[camera.camera.id] = camera
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stills", daemon=True)
                self._thread.start()

    def get(self, camera_id: UUID) -> StillCamera | None:
        """Return a camera that is served."""
        return self._cameras.get(camera_id)

    def remove(self, camera_id: UUID) -> None:
        """Serve a camera no longer."""
        with self._lock:
            camera = self._cameras.pop(camera_id, None)
        if camera is not None:
            camera.close()

    def close(self) -> None:
        """End the thread. What was said goes on."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S):
            with self._lock:
                cameras = list(self._cameras.values())
            for camera in cameras:
                if self._stop.is_set():
                    return
                try:
                    camera.step()
                except Exception:  # noqa: BLE001 - top of the loop: counted, reported, gone on
                    _ERRORS.inc()
                    _log.exception("a picture was not looked at", camera=str(camera.camera.id))
