"""One camera's pipeline: a thread that always works on the newest picture."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    Detector,
    DetectorUnavailableError,
    ModelInfo,
)
from analytics.health.memory import HealthMemory
from analytics.health.watch import HealthWatch
from analytics.pipeline.analysis import CameraAnalysis, Look
from analytics.rules.signal import Signal, detection_signal
from analytics.rules.types import CameraRef, RuleEvent
from analytics.zones.schemas import Zone
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import Frame, FrameSource
from core.clock import Clock
from core.logging import get_logger
from core.settings import AnalyticsSettings

_POLL_S = 0.25
# An answer that left in time may still be on its way for a moment.
_GRACE_S = 0.25
_AFTER_FAILURE_S = 1.0
# For the end of an event that no model is at hand for any more.
_UNKNOWN_MODEL = ModelInfo("unknown", "", (), (0, 0), "", "")

OnMotion = Callable[[UUID, datetime], None]
"""Takes a camera and when the picture arrived (aware, UTC); must not block."""

log = get_logger("analytics.pipeline")


@dataclass(frozen=True, slots=True)
class PipelineCounters:
    """Counts since the pipeline was made.

    `frames_analysed` passed the gate, `frames_detected` of them went through the detector;
    `frames_dropped` were due for the detector and missed their deadline, or were thrown away
    undecoded because decoding did not keep up. `failures` are faults of the pipeline itself.
    """

    frames_analysed: int
    frames_detected: int
    frames_dropped: int
    failures: int
    signals: int


class CameraPipeline:
    """Takes pictures from a source and puts signals where it is told to."""

    def __init__(
        self,
        camera: CameraRef,
        frames: FrameSource,
        detector: Detector,
        emit: Callable[[Signal], object],
        *,
        clock: Clock,
        settings: AnalyticsSettings,
        time_zone: tzinfo,
        source: str,
        zones: Sequence[Zone] = (),
        masks: tuple[Polygon, ...] = (),
        on_motion: OnMotion | None = None,
        health: HealthMemory | None = None,
    ) -> None:
        """Make the pipeline; `start` it.

        Args:
            camera: as the signals name it.
            frames: always gives the newest picture.
            detector: shared with other cameras.
            emit: keeps a signal durably, as `Spool.put` does.
            clock: the same that dated the frames.
            settings: rate, deadline and confidence.
            time_zone: the site's, for schedules.
            source: CloudEvents source, as `/workers/media-0`.
            zones: see `set_zones`.
            masks: see `set_masks`.
            on_motion: told, on the pipeline's thread, of each picture in which something moves.
            health: what is known of cameras' pictures; None: nobody looks whether they are well.
        """
        self._camera = camera
        self._frames = frames
        self._detector = detector
        self._emit = emit
        self._on_motion = on_motion
        self._clock = clock
        self._deadline_s = settings.deadline_ms / 1000
        self._source = source
        self._new_zones: Sequence[Zone] | None = zones
        self._analysis = CameraAnalysis(
            camera,
            time_zone,
            max_fps=settings.max_fps,
            confidence=settings.confidence,
            # Grows from start to start of the process, so that no event key is used twice.
            first_event=int(clock.now().timestamp()),
        )
        self._analysis.mask(masks)
        self._health = (
            HealthWatch(
                camera, clock, source=source, memory=health, picture=self._analysis.snapshot
            )
            if health is not None
            else None
        )
        self._turned = threading.Event()
        self._analysed = self._detected = self._late = self._failures = self._signals = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name=f"pipeline-{str(camera.id)[-6:]}", daemon=True
        )

    @property
    def counters(self) -> PipelineCounters:
        """Counts until now."""
        return PipelineCounters(
            frames_analysed=self._analysed,
            frames_detected=self._detected,
            frames_dropped=self._late + self._frames.dropped,
            failures=self._failures,
            signals=self._signals,
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def set_zones(self, zones: Sequence[Zone]) -> None:
        """Replace the zones from the next picture on; unchanged rules keep their state."""
        self._new_zones = tuple(zones)

    def set_masks(self, masks: tuple[Polygon, ...]) -> None:
        """Replace the masks, at once: nothing in them is watched, and no picture shows them."""
        self._analysis.mask(masks)
        if self._health is not None:
            self._health.forget_pictures()

    def turned(self) -> None:
        """The camera was turned on purpose: what it shows from now on is its view."""
        self._turned.set()

    def close(self) -> None:
        """End running events and stop; returns when the thread has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                self._step(self._frames.get(_POLL_S))
            except Exception:  # the top of a supervised loop: counted, reported, tried again
                self._failures += 1
                log.exception("analysis of a picture failed", camera=str(self._camera.id))
                self._stop.wait(_AFTER_FAILURE_S)
        self._send(self._analysis.finish(self._clock.monotonic(), self._clock.now()), None)

    def _step(self, frame: Frame | None) -> None:
        zones, self._new_zones = self._new_zones, None
        if zones is not None:
            now_s, now = self._clock.monotonic(), self._clock.now()
            self._send(self._analysis.configure(zones, now_s, now), None)
        if frame is None:
            self._tick()
            return
        self._look_at_health(frame)
        look = self._analysis.look(frame)
        self._analysed += 1
        if self._analysis.moving and self._on_motion is not None:
            self._on_motion(self._camera.id, frame.arrived_at)
        if look is not None:
            self._detect(look)

    def _look_at_health(self, frame: Frame) -> None:
        if self._health is None:
            return
        signals = []
        if self._turned.is_set():
            self._turned.clear()
            signals = self._health.relearn()
        for signal in [*signals, *self._health.look(frame, self._analysis.masks)]:
            self._emit(signal)
            self._signals += 1
            log.info("picture", kind=signal["type"], phase=signal["data"]["phase"])

    def _detect(self, look: Look) -> None:
        left_s = look.frame.arrived_monotonic + self._deadline_s - self._clock.monotonic()
        if left_s <= 0:
            self._late += 1
            self._tick()
            return
        try:
            future = self._detector.submit(
                look.picture, deadline_ms=max(1, int(left_s * 1000)), source=str(self._camera.id)
            )
            rows = future.result(timeout=left_s + _GRACE_S)
            model = self._detector.describe()
        except (
            DetectionLateError,
            DetectorUnavailableError,
            DetectionFailedError,
            FutureTimeoutError,
            CancelledError,
        ) as error:
            self._late += 1
            log.debug("a picture was dropped", camera=str(self._camera.id), reason=str(error))
            self._tick()
            return
        self._detected += 1
        self._send(self._analysis.apply(look, rows, model), look.frame)

    def _tick(self) -> None:
        self._send(self._analysis.tick(self._clock.monotonic(), self._clock.now()), None)

    def _send(self, events: Sequence[RuleEvent], frame: Frame | None) -> None:
        for event in events:
            started = event.phase == "started" and frame is not None
            signal = detection_signal(
                self._clock,
                source=self._source,
                camera=self._camera,
                event=event,
                model=self._model(),
                snapshot=self._analysis.snapshot(frame) if started and frame is not None else None,
            )
            self._emit(signal)
            self._signals += 1
            log.info("event", phase=event.phase, event_key=event.event_key)

    def _model(self) -> ModelInfo:
        try:
            return self._detector.describe()
        except DetectorUnavailableError:
            return _UNKNOWN_MODEL
