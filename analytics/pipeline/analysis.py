"""What happens to the pictures of one camera, without threads, queues or clocks of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import cv2

from analytics.detectors.types import ModelInfo, Picture, Rows
from analytics.gate.motion import Motion, MotionDetector, gate_size
from analytics.gate.watch import Watch
from analytics.pipeline.region import Region, choose, model_scale, whole_region
from analytics.redaction.paint import mask as fill_masks
from analytics.redaction.places import MaskedPlaces
from analytics.rules.engine import RuleEngine
from analytics.rules.signal import Snapshot
from analytics.rules.types import CameraRef, Observation, RuleEvent
from analytics.tracking.tracker import Tracker
from analytics.tracking.types import TrackedObject
from analytics.zones.schemas import Zone
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import Frame

_SNAPSHOT_WIDTH = 1280
_SNAPSHOT_QUALITY = 85
_IDLE_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Look:
    """A picture that is due for the detector: `picture` goes there, `frame` is what it shows."""

    frame: Frame
    picture: Picture
    region: Region


class CameraAnalysis:
    """Gate, tracker and rules of one camera. Not thread-safe: one thread calls it."""

    def __init__(
        self,
        camera: CameraRef,
        time_zone: tzinfo,
        *,
        max_fps: float,
        confidence: float,
        crops: bool = True,
        first_event: int = 1,
    ) -> None:
        """Make the analysis of a camera without zones; it looks at nothing until it has some.

        Args:
            camera: whose pictures come.
            time_zone: the site's, for schedules.
            max_fps: looks per second at most.
            confidence: detections at least this sure start tracks.
            crops: send only the part where something is, if it is small (`region.choose`).
            first_event: see `RuleEngine`.
        """
        self.camera = camera
        self.moving = False
        """Whether something moved in the last picture, outside of the masks."""
        self._confidence = confidence
        self._crops = crops
        self._motion = MotionDetector()
        self._watch = Watch(max_fps)
        self._tracker = Tracker(confidence)
        self._engine = RuleEngine(camera, time_zone, first_event=first_event)
        self._objects: list[TrackedObject] = []
        self._cut = False
        self._looked_s = float("-inf")
        self._masks: tuple[Polygon, ...] = ()
        self._masked = MaskedPlaces(())

    def configure(
        self, zones: Sequence[Zone], at_s: float, arrived_at: datetime
    ) -> list[RuleEvent]:
        """Replace the zones; returns the end of events whose rules are gone."""
        return self._engine.configure(zones, at_s, arrived_at)

    def mask(self, masks: tuple[Polygon, ...]) -> None:
        """Watch nothing inside of these masks from now on, and show none of it.

        May be called from any thread: what takes effect is one set or the other.
        """
        self._masked = MaskedPlaces(masks)
        self._masks = masks

    @property
    def masks(self) -> tuple[Polygon, ...]:
        """The masks that hold now."""
        return self._masks

    def snapshot(self, frame: Frame) -> Snapshot:
        """Return a picture as JPEG, at most 1280 pixels wide, with its masks filled."""
        return snapshot(frame, self._masks)

    def look(self, frame: Frame) -> Look | None:
        """Take the next picture; return what the detector must see of it, or None.

        `moving` is known afterwards; a camera without rules is looked at a few times a second.
        """
        at_s = frame.arrived_monotonic
        if not self._engine.labels:
            if at_s - self._looked_s >= _IDLE_LOOK_S:
                self._looked_s = at_s
                self._look_for_motion(frame, at_s)
            return None
        motion = self._look_for_motion(frame, at_s)
        holding = self._tracker.holding or self._engine.holding
        if not self._watch.due(at_s, motion, holding=holding):
            return None
        full = model_scale(frame.width, frame.height)
        region = self._region(motion, full)
        whole = frame.rgb(*full)
        return Look(frame, region.cut_out(whole), region)

    def _look_for_motion(self, frame: Frame, at_s: float) -> Motion:
        grey = frame.luma(*gate_size(frame.width, frame.height))
        motion = self._motion.update(grey, at_s)
        masks = self._masked
        self.moving = not motion.whole_picture and any(
            not masks.cover((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in motion.boxes
        )
        return motion

    def _region(self, motion: Motion, full: tuple[int, int]) -> Region:
        known = [found.box for found in self._objects]
        # An object that a tile cut off is looked at whole; so is a picture that changed as a
        # whole, or one in which only something out of sight is still being followed.
        lost = self._tracker.holding and not known
        if not self._crops or self._cut or motion.whole_picture or lost:
            return whole_region(full)
        return choose([*motion.boxes, *known], full)

    def apply(self, look: Look, rows: Rows, model: ModelInfo) -> list[RuleEvent]:
        """Take what the detector found in a look and return what the rules make of it."""
        frame, region = look.frame, look.region
        rows = self._masked.outside(region.to_picture(rows), region.full)
        self._cut = region.cuts(rows[rows[:, 4] >= self._confidence / 2])
        self._objects = self._tracker.update(
            rows,
            model,
            region.full,
            frame.arrived_monotonic,
            self._engine.labels,
        )
        return self._engine.update(
            Observation(
                at_s=frame.arrived_monotonic,
                arrived_at=frame.arrived_at,
                aspect=frame.width / frame.height,
                objects=self._objects,
            )
        )

    def tick(self, at_s: float, arrived_at: datetime) -> list[RuleEvent]:
        """Let time pass while no picture comes or none can be detected in."""
        return self._engine.tick(at_s, arrived_at)

    def finish(self, at_s: float, arrived_at: datetime) -> list[RuleEvent]:
        """End every running event."""
        return self._engine.finish(at_s, arrived_at)


def snapshot(frame: Frame, masks: tuple[Polygon, ...] = ()) -> Snapshot:
    """Return a picture as JPEG, at most 1280 pixels wide, with `masks` filled."""
    if not masks and frame.width <= _SNAPSHOT_WIDTH:
        return Snapshot(frame.jpeg(_SNAPSHOT_QUALITY), frame.width, frame.height)
    width = min(frame.width, _SNAPSHOT_WIDTH)
    height = (
        frame.height if width == frame.width else round(frame.height * width / frame.width / 2) * 2
    )
    rgb = fill_masks(frame.rgb(width, height), masks)
    _, jpeg = cv2.imencode(
        ".jpg",
        cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR),
        [cv2.IMWRITE_JPEG_QUALITY, _SNAPSHOT_QUALITY],
    )
    return Snapshot(jpeg.tobytes(), width, height)
