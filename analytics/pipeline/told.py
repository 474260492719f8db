"""Cameras that say themselves what they see: their words instead of pictures.

What they tell goes through the same zones, rules and masks as detections of our own do. Nothing is
decoded, but for the picture that goes with an event that begins. One thread serves all of them, a
few times a second, so that a camera costs what its words cost and no wake-up of its own.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from uuid import UUID

from analytics.detectors.types import ModelInfo
from analytics.pipeline.analysis import snapshot
from analytics.pipeline.camera import OnMotion, PipelineCounters
from analytics.redaction.places import MaskedPlaces
from analytics.rules.engine import RuleEngine
from analytics.rules.signal import Signal, Snapshot, detection_signal
from analytics.rules.types import CameraRef, Observation, RuleEvent
from analytics.tracking.follower import Follower
from analytics.tracking.types import TrackedObject
from analytics.zones.schemas import Zone
from camera_hub.streams.metadata import LARGEST_BYTES, MetadataReader, SeenFrame
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import Frame
from core.clock import Clock
from core.logging import get_logger
from core.settings import AnalyticsSettings

_MOST_WAITING = 64
_MOST_WAITING_BYTES = 4 * LARGEST_BYTES
_BYTES_PER_S = 2 * LARGEST_BYTES
"""What is read of one camera, beyond a second's burst: one thread reads for all of them."""
_ASPECT = 16 / 9
"""Until the stream has said how large its pictures are."""
_MOVED = 0.01
"""An object moves when its centre is so far from where it was last said to (of the picture)."""
_MOST_PLACES = 1024
_PICTURE_WAITS_S = 2.0
"""So long an event that begins waits for a picture, where there is none yet."""
_ITSELF = ModelInfo("camera", "", (), (0, 0), "onvif", "")
"""What a signal names as the model."""

TakePicture = Callable[[], Frame | None]
"""Decodes the newest picture that is kept of a camera; None if there is none. May block."""

log = get_logger("analytics.pipeline")

_Words = tuple[bytes, float, datetime]


class ToldPipeline:
    """One camera's words to signals. `take` is for the reader's thread, `step` for one other."""

    def __init__(
        self,
        camera: CameraRef,
        picture: TakePicture,
        emit: Callable[[Signal], object],
        *,
        clock: Clock,
        settings: AnalyticsSettings,
        time_zone: tzinfo,
        source: str,
        zones: Sequence[Zone] = (),
        masks: tuple[Polygon, ...] = (),
        on_motion: OnMotion | None = None,
    ) -> None:
        """Make the pipeline; parameters as of `CameraPipeline`, `picture` for events that begin."""
        self._camera = camera
        self._picture = picture
        self._emit = emit
        self._on_motion = on_motion
        self._clock = clock
        self._source = source
        self._new_zones: Sequence[Zone] | None = zones
        self._masks = masks
        self._masked = MaskedPlaces(masks)
        self.aspect = _ASPECT
        """Width over height of its pictures."""
        self.reader = MetadataReader()
        self._follower = Follower(settings.confidence)
        self._engine = RuleEngine(camera, time_zone, first_event=int(clock.now().timestamp()))
        self._places: dict[int, tuple[float, float]] = {}
        self._told_s = clock.monotonic()
        self._garbled = False
        self._waiting: deque[_Words] = deque()
        self._waiting_bytes = 0
        self._left = float(_MOST_WAITING_BYTES)
        self._left_at_s = self._told_s
        self._unsent: deque[tuple[RuleEvent, float]] = deque()
        self._lock = threading.Lock()
        self._busy = threading.Lock()
        self._closed = False
        self._looks = self._dropped = self._failures = self._signals = 0

    @property
    def counters(self) -> PipelineCounters:
        """Counts until now: `frames_analysed` are looks at what was told, none is detected."""
        return PipelineCounters(self._looks, 0, self._dropped, self._failures, self._signals)

    @property
    def told_s(self) -> float:
        """When something that could be read was last told (monotonic; at first: the beginning)."""
        return self._told_s

    @property
    def why_unread(self) -> str:
        """Why most of what could not be used was not (see `MetadataReader`); "" if all was."""
        counts = self.reader.odd if self._garbled else self.reader.refused
        common = counts.most_common(1)
        return common[0][0] if common else ""

    def set_zones(self, zones: Sequence[Zone]) -> None:
        """Replace the zones from the next step on; unchanged rules keep their state."""
        self._new_zones = tuple(zones)

    def set_masks(self, masks: tuple[Polygon, ...]) -> None:
        """Replace the masks, at once: nothing in them is watched, and no picture shows them."""
        self._masked = MaskedPlaces(masks)
        self._masks = masks

    def take(self, document: bytes, arrived_monotonic: float, arrived_at: datetime) -> None:
        """Take a document; the oldest that wait are dropped where too much does."""
        with self._lock:
            self._waiting.append((document, arrived_monotonic, arrived_at))
            self._waiting_bytes += len(document)
            while len(self._waiting) > 1 and (
                len(self._waiting) > _MOST_WAITING or self._waiting_bytes > _MOST_WAITING_BYTES
            ):
                self._waiting_bytes -= len(self._waiting.popleft()[0])
                self._dropped += 1

    def step(self) -> None:
        """Work on what was told since the last step."""
        with self._busy:
            if self._closed:
                return
            try:
                self._work()
            except Exception:  # the top of a supervised loop: counted, reported, tried again
                self._failures += 1
                log.exception("what a camera told was not taken", camera=str(self._camera.id))

    def close(self) -> None:
        """End running events; nothing is taken any more."""
        with self._busy:
            if not self._closed:
                self._closed = True
                self._send(self._engine.finish(self._clock.monotonic(), self._clock.now()))

    def _work(self) -> None:
        zones, self._new_zones = self._new_zones, None
        now_s, now = self._clock.monotonic(), self._clock.now()
        if zones is not None:
            self._send(self._engine.configure(zones, now_s, now))
        with self._lock:
            words, self._waiting = self._waiting, deque()
            self._waiting_bytes = 0
        frames: list[SeenFrame] = []
        at_s, at = now_s, now
        more = (now_s - self._left_at_s) * _BYTES_PER_S
        self._left, self._left_at_s = min(_MOST_WAITING_BYTES, self._left + more), now_s
        for document, arrived_s, arrived_at in words:
            if self._left <= 0:
                self._dropped += 1
                continue
            if len(document) <= LARGEST_BYTES:
                # Refusing what is larger costs nothing.
                self._left -= len(document)
            read = self.reader.read(document, arrived_at)
            if read is None:
                continue
            if any(frame.objects for frame in read):
                self._garbled = False
            elif any(frame.unusable for frame in read):
                self._garbled = True
            # Frames without objects say nothing new of a camera whose objects cannot be used.
            if not self._garbled:
                self._told_s = arrived_s
            if read:
                at_s, at = arrived_s, arrived_at
                frames += read
        if not frames:
            self._send(self._engine.tick(now_s, now))
            return
        self._look(frames, at_s, at)

    def _look(self, frames: Sequence[SeenFrame], at_s: float, at: datetime) -> None:
        self._looks += 1
        masked = self._masked
        objects = [
            found
            for found in self._follower.take(frames, at_s)
            if not masked.cover(
                (found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2
            )
        ]
        if self._moves(objects) and self._on_motion is not None:
            self._on_motion(self._camera.id, at)
        seen = Observation(at_s=at_s, arrived_at=at, aspect=self.aspect, objects=objects)
        self._send(self._engine.update(seen))

    def _moves(self, objects: Sequence[TrackedObject]) -> bool:
        """Say whether an object is new or elsewhere: a car that is parked is not motion."""
        moves = False
        if len(self._places) > _MOST_PLACES:
            self._places.clear()
        for found in objects:
            if found.track is None:
                continue
            x, y = (found.box[0] + found.box[2]) / 2, (found.box[1] + found.box[3]) / 2
            before = self._places.get(found.track)
            if before is None or max(abs(x - before[0]), abs(y - before[1])) >= _MOVED:
                self._places[found.track] = (x, y)
                moves = True
        return moves

    def _send(self, events: Sequence[RuleEvent]) -> None:
        now_s = self._clock.monotonic()
        self._unsent.extend((event, now_s + _PICTURE_WAITS_S) for event in events)
        shown: Snapshot | None = None
        while self._unsent:
            event, until_s = self._unsent[0]
            started = event.phase == "started"
            shown = self._snapshot() if started and shown is None else shown
            if started and shown is None and now_s < until_s and not self._closed:
                # Words may come before the first picture does; what follows keeps its place.
                return
            self._unsent.popleft()
            self._tell(event, shown if started else None)

    def _tell(self, event: RuleEvent, shown: Snapshot | None) -> None:
        signal = detection_signal(
            self._clock,
            source=self._source,
            camera=self._camera,
            event=event,
            model=_ITSELF,
            snapshot=shown,
        )
        self._emit(signal)
        self._signals += 1
        log.info("event", phase=event.phase, event_key=event.event_key)

    def _snapshot(self) -> Snapshot | None:
        frame = self._picture()
        return None if frame is None else snapshot(frame, self._masks)


class ToldCameras:
    """The thread that serves every camera of a worker that says what it sees."""

    def __init__(self, every_s: float) -> None:
        """Make it without cameras; it works every `every_s` seconds once there is one."""
        self._every_s = every_s
        self._lock = threading.Lock()
        self._pipelines: dict[UUID, ToldPipeline] = {}
        self._some = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, camera_id: UUID, pipeline: ToldPipeline) -> None:
        """Serve a camera."""
        with self._lock:
            self._pipelines[camera_id] = pipeline
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="told", daemon=True)
                self._thread.start()
        self._some.set()

    def get(self, camera_id: UUID) -> ToldPipeline | None:
        """Return a camera's pipeline, None if it is not served."""
        return self._pipelines.get(camera_id)

    def remove(self, camera_id: UUID) -> None:
        """Serve a camera no longer, and end its events."""
        with self._lock:
            pipeline = self._pipelines.pop(camera_id, None)
            if not self._pipelines:
                self._some.clear()
        if pipeline is not None:
            pipeline.close()

    def close(self) -> None:
        """End the events of all, and the thread."""
        self._stop.set()
        self._some.set()
        if self._thread is not None:
            self._thread.join()
        for camera_id in list(self._pipelines):
            self.remove(camera_id)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._some.wait()
            with self._lock:
                pipelines = list(self._pipelines.values())
            for pipeline in pipelines:
                pipeline.step()
            self._stop.wait(self._every_s)
