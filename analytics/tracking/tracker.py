"""ByteTrack from the library `trackers`, with labels instead of class numbers.

A track id is a number of this object, counts from 0 whenever it is made, and never leaves the
camera's pipeline: nothing outside can tell whether two events show the same person.
"""

from collections.abc import Collection

import numpy as np

from analytics.detectors.types import ModelInfo, Rows
from analytics.tracking.types import TrackedObject

# Seconds an object may go unseen, behind a pillar or between two looks, and keep its track.
_LOST_AFTER_S = 3.0
_FRAMES_PER_S = 30.0
# Two looks make a track: a single wrong detection never does.
_CONFIRM = 2


class Tracker:
    """Follows the objects of one camera."""

    def __init__(self, confidence: float) -> None:
        """Make a tracker.

        Args:
            confidence: detections at least this sure start tracks; weaker ones only continue them.
        """
        # A second of loading, which a worker must not spend before it reads its cameras.
        from supervision import Detections
        from trackers import ByteTrackTracker

        self._detections = Detections
        self._tracker = ByteTrackTracker(
            lost_track_buffer=round(_LOST_AFTER_S * _FRAMES_PER_S),
            frame_rate=_FRAMES_PER_S,
            track_activation_threshold=confidence,
            high_conf_det_threshold=confidence,
            minimum_consecutive_frames=_CONFIRM,
        )

    @property
    def holding(self) -> bool:
        """Whether any object is being followed, seen or lately lost."""
        return bool(self._tracker.tracks)

    def update(
        self,
        rows: Rows,
        model: ModelInfo,
        size: tuple[int, int],
        at_s: float,
        wanted: Collection[str] | None = None,
    ) -> list[TrackedObject]:
        """Take the detections of the next picture.

        Args:
            rows: in pixels of a picture of `size` (width, height).
            model: names the classes.
            size: width and height in pixels.
            at_s: when the picture arrived, in seconds on any clock that does not go backwards.
            wanted: labels to follow; None follows all.
        """
        labels = [model.label(number) for number in rows[:, 5]]
        if wanted is not None:
            kept = [index for index, label in enumerate(labels) if label in wanted]
            rows, labels = rows[kept], [labels[index] for index in kept]
        # The tracker measures overlap, which needs no pixels; the rules use relative boxes.
        width, height = size
        boxes = rows[:, :4] / np.array([width, height, width, height], dtype=np.float32)
        found = self._tracker.update(
            self._detections(
                xyxy=boxes.astype(np.float64),
                confidence=rows[:, 4],
                class_id=np.arange(len(rows)),  # to know each row again: the order may change
            ),
            timestamp=at_s,
        )
        assert found.class_id is not None
        assert found.tracker_id is not None
        objects: list[TrackedObject] = []
        for index, track in zip(found.class_id, found.tracker_id, strict=True):
            x1, y1, x2, y2 = (float(min(max(value, 0.0), 1.0)) for value in boxes[index])
            objects.append(
                TrackedObject(
                    track=int(track) if track >= 0 else None,
                    label=labels[index],
                    confidence=float(rows[index, 4]),
                    box=(x1, y1, x2, y2),
                )
            )
        return objects
