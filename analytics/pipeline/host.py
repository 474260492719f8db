"""All pipelines of one media worker, with the way out for their signals."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from analytics.detectors.types import Detector
from analytics.health.memory import HealthMemory
from analytics.health.rates import RateFaults
from analytics.health.stills import StillCamera, StillCameras, TakeKeyframe
from analytics.health.watch import all_over
from analytics.pipeline.analysis import snapshot
from analytics.pipeline.camera import CameraPipeline, OnMotion, PipelineCounters
from analytics.pipeline.offline import OfflineFaults
from analytics.pipeline.silence import SilenceFaults
from analytics.pipeline.told import TakePicture, ToldCameras, ToldPipeline
from analytics.rules.signal import Signal, Snapshot
from analytics.rules.types import CameraRef
from analytics.zones.schemas import Zone
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import AssignedCamera, Frame, FrameSource, StreamStatus
from core.clock import Clock
from core.logging import get_logger
from core.settings import Settings

log = get_logger("analytics.pipeline")


def parse_zones(zones: Iterable[Mapping[str, Any]]) -> tuple[Zone, ...]:
    """Return the zones of an assignment; one that is not understood is left out and logged.

    A newer hub may send what this worker does not know yet: its other zones stay watched.
    """
    parsed: list[Zone] = []
    for zone in zones:
        try:
            parsed.append(Zone.model_validate(zone))
        except ValidationError as error:
            log.error("a zone is not understood", zone=zone.get("id"), reason=str(error))
    return tuple(parsed)


class AnalyticsHost:
    """Starts, updates and stops the pipelines of a worker's cameras. Thread-safe."""

    def __init__(
        self,
        detector: Detector,
        emit: Callable[[Signal], object],
        *,
        clock: Clock,
        settings: Settings,
        time_zone: tzinfo,
        worker: str,
        on_motion: OnMotion | None = None,
    ) -> None:
        """Make a host without cameras.

        Args:
            detector: usually an `InferenceClient`; the host does not close it.
            emit: keeps a signal durably, as `Spool.put` does.
            clock: the same that dates the frames.
            settings: sections `analytics` and `media`.
            time_zone: the site's, for schedules.
            worker: the worker's name; signals come from `/workers/<name>`.
            on_motion: see `CameraPipeline`.
        """
        self._detector = detector
        self._emit = emit
        self._on_motion = on_motion
        self._clock = clock
        self._settings = settings
        self._time_zone = time_zone
        self._source = f"/workers/{worker}"
        state = settings.data_dir / "state"
        self._offline = OfflineFaults(
            clock,
            source=self._source,
            state=state / f"{worker}-offline.json",
            after_s=settings.media.offline_after_s,
        )
        self._rates = RateFaults(clock, source=self._source, state=state / f"{worker}-rates.json")
        self._silences = SilenceFaults(
            clock, source=self._source, state=state / f"{worker}-silent.json"
        )
        # As often as a camera of which the hub looks at the pictures is looked at.
        self._told = ToldCameras(1 / settings.analytics.max_fps)
        self._health = HealthMemory(state / "health")
        self._stills = StillCameras()
        self._lock = threading.Lock()
        self._pipelines: dict[UUID, CameraPipeline] = {}
        self._watched: dict[UUID, CameraRef] = {}

    def add(
        self,
        camera: AssignedCamera,
        frames: FrameSource | None,
        picture: TakePicture | None = None,
        keyframe: TakeKeyframe | None = None,
    ) -> None:
        """Begin with a camera; without `frames` and `picture` only whether it is well is watched.

        One that says itself what it sees is given `picture` instead of `frames`, and what it says
        with `told`. Where no pictures are decoded, `keyframe` gives single ones: whether they are
        well is looked at, and nothing in them. A camera that is there already is taken anew: its
        running events end.
        """
        self._stop_pipeline(camera.id)
        ref = CameraRef(camera.id, camera.name, camera.area)
        wanted = camera.analyse and self._settings.analytics.enabled
        looked_at = frames is not None and wanted
        if not looked_at and keyframe is not None:
            self._look_now_and_then(camera, ref, keyframe)
        elif not looked_at:
            self._forget_pictures(ref)
        if picture is not None and wanted:
            self._told.add(camera.id, self._telling(camera, ref, picture))
        self._watch_silence(ref, tells=picture is not None and wanted)
        with self._lock:
            self._watched[camera.id] = ref
            self._offline.add(ref)
            self._rates.add(ref)
            if not looked_at or frames is None:
                return
            pipeline = self._pipelines[camera.id] = CameraPipeline(
                ref,
                frames,
                self._detector,
                self._emit,
                clock=self._clock,
                settings=self._settings.analytics,
                time_zone=self._time_zone,
                source=self._source,
                zones=parse_zones(camera.zones),
                masks=camera.masks,
                on_motion=self._on_motion,
                health=self._health,
            )
        pipeline.start()

    def _look_now_and_then(
        self, camera: AssignedCamera, ref: CameraRef, keyframe: TakeKeyframe
    ) -> None:
        def picture(frame: Frame) -> Snapshot:
            still = self._stills.get(camera.id)
            return snapshot(frame, still.masks if still is not None else camera.masks)

        self._stills.add(
            StillCamera(
                ref,
                keyframe,
                self._emit,
                clock=self._clock,
                source=self._source,
                memory=self._health,
                # Of a camera that nobody is to look at no picture leaves the worker by itself.
                picture=picture if camera.analyse else None,
                masks=camera.masks,
            )
        )

    def _telling(
        self, camera: AssignedCamera, ref: CameraRef, picture: TakePicture
    ) -> ToldPipeline:
        return ToldPipeline(
            ref,
            picture,
            self._emit,
            clock=self._clock,
            settings=self._settings.analytics,
            time_zone=self._time_zone,
            source=self._source,
            zones=parse_zones(camera.zones),
            masks=camera.masks,
            on_motion=self._on_motion,
        )

    def _watch_silence(self, ref: CameraRef, *, tells: bool) -> None:
        signal = None
        with self._lock:
            if tells:
                self._silences.add(ref)
            else:
                signal = self._silences.remove(ref)
        self._say(signal)

    def told(
        self, camera_id: UUID, document: bytes, arrived_monotonic: float, arrived_at: datetime
    ) -> None:
        """Take what a camera says that it sees; blocks nobody, ignored of any other camera."""
        pipeline = self._told.get(camera_id)
        if pipeline is not None:
            pipeline.take(document, arrived_monotonic, arrived_at)

    def set_zones(self, camera_id: UUID, zones: Sequence[Mapping[str, Any]]) -> None:
        """Give a running pipeline new zones, as they come in an assignment."""
        with self._lock:
            pipeline = self._pipelines.get(camera_id) or self._told.get(camera_id)
        if pipeline is not None:
            pipeline.set_zones(parse_zones(zones))

    def set_masks(self, camera_id: UUID, masks: tuple[Polygon, ...]) -> None:
        """Give a running pipeline new masks."""
        with self._lock:
            pipeline = self._pipelines.get(camera_id) or self._told.get(camera_id)
        if pipeline is not None:
            pipeline.set_masks(masks)
        still = self._stills.get(camera_id)
        if still is not None:
            still.set_masks(masks)

    def turned(self, camera_id: UUID) -> None:
        """A camera was turned on purpose: its view is learned anew."""
        with self._lock:
            pipeline = self._pipelines.get(camera_id)
        if pipeline is not None:
            pipeline.turned()
        still = self._stills.get(camera_id)
        if still is not None:
            still.turned()

    def retuned(self, camera_id: UUID) -> None:
        """A camera's encoder was set on purpose: what it sends from now on is usual."""
        with self._lock:
            signal = self._rates.relearn(camera_id)
        self._say(signal)

    def remove(self, camera_id: UUID) -> None:
        """End a camera's events and stop its pipeline; nothing happens for an unknown one."""
        self._stop_pipeline(camera_id)
        with self._lock:
            camera = self._watched.pop(camera_id, None)
            ended = self._rates.remove(camera_id), self._offline.remove(camera_id)
        if camera is not None:
            self._forget_pictures(camera)
            self._watch_silence(camera, tells=False)
        self._say(*ended)

    def _stop_pipeline(self, camera_id: UUID) -> None:
        with self._lock:
            pipeline = self._pipelines.pop(camera_id, None)
        if pipeline is not None:
            pipeline.close()
        self._stills.remove(camera_id)
        self._told.remove(camera_id)

    def observe(self, camera_id: UUID, status: StreamStatus) -> None:
        """Take a camera's stream status; call it at least every second."""
        with self._lock:
            if camera_id not in self._watched:
                return
            said = (
                self._offline.update(camera_id, status),
                self._rates.update(camera_id, status),
                self._silence(camera_id, status),
            )
        self._say(*said)

    def _silence(self, camera_id: UUID, status: StreamStatus) -> Signal | None:
        telling = self._told.get(camera_id)
        if telling is None:
            return None
        if status.width and status.height:
            telling.aspect = status.width / status.height
        return self._silences.update(camera_id, status, telling.told_s, telling.why_unread)

    def _forget_pictures(self, camera: CameraRef) -> None:
        """End what was said of a camera's pictures, which nobody looks at any more."""
        for signal in all_over(camera, self._clock, source=self._source, memory=self._health):
            self._emit(signal)

    def _say(self, *signals: Signal | None) -> None:
        """Send what is to be said, then remember that it was. Not under the lock: disks hang."""
        said = [signal for signal in signals if signal is not None]
        for signal in said:
            self._emit(signal)
        if said:
            for faults in (self._offline, self._rates, self._silences):
                faults.fault.save()

    def counters(self, camera_id: UUID) -> PipelineCounters:
        """Return a camera's counters; all zero when it is not analysed."""
        with self._lock:
            pipeline = self._pipelines.get(camera_id) or self._told.get(camera_id)
        return pipeline.counters if pipeline else PipelineCounters(0, 0, 0, 0, 0)

    def close(self) -> None:
        """Stop all pipelines, for a worker that ends. A camera's being offline goes on."""
        with self._lock:
            pipelines = list(self._pipelines.values())
            self._pipelines.clear()
            self._watched.clear()
        for pipeline in pipelines:
            pipeline.close()
        self._stills.close()
        self._told.close()
