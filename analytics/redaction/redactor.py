"""Redaction of a stream: pictures wait until the detector has looked at, or after, each of them.

Covering only where somebody was last seen would show whoever walks in until the next look. So a
picture leaves when a look not older than it has been answered, a fifth of a second later, and what
either look around it shows is covered. Whatever moves is covered too, known or not: detectors miss
cars seen from above and people cut by the edge. When anything goes wrong, all of it is blurred.
"""

from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    Detector,
    DetectorUnavailableError,
    Picture,
    Rows,
)
from analytics.gate.motion import Grey, MotionDetector, gate_size
from analytics.pipeline.region import model_scale
from analytics.redaction.cover import CONFIDENCE, covered_labels
from analytics.redaction.paint import blur_boxes, blur_whole, mask
from analytics.redaction.sights import Sights
from analytics.tracking.tracker import Tracker
from analytics.zones.geometry import Box
from camera_hub.streams.painting import Polygon, Shot
from core.clock import Clock

LOOKS_PER_S = 6.0
ANSWER_WITHIN_S = 0.4
"""A look not answered by then counts as failed."""
PATIENCE_S = 0.7
"""A picture that waited so long leaves, blurred as a whole."""
MOST_BETWEEN_LOOKS_S = 0.5
"""Between looks further apart anybody may have come and gone."""

MOVING_MARGIN = 0.015
"""Around what moves, as a share of the picture."""

_TRACK_FROM = 0.25
# Two pictures are of one scene unless this share of them differs by this much.
_THUMB = (48, 27)
_DIFFERS = 28
_OTHER_SCENE = 0.35

Thumb = NDArray[np.uint8]


@dataclass(slots=True)
class _Waiting:
    shot: Shot
    thumb: Thumb
    since_s: float
    moving: tuple[Box, ...]
    turned: bool
    """Most of the picture changed at once."""


@dataclass(slots=True)
class _Look:
    at_s: float
    thumb: Thumb
    size: tuple[int, int]


@dataclass(slots=True)
class _Asked:
    look: _Look
    until_s: float
    answer: "Future[Rows]"


class Redactor:
    """Redacts and masks one stream's pictures (a `Painter`)."""

    def __init__(
        self,
        detector: Detector,
        clock: Clock,
        *,
        source: str,
        masks: tuple[Polygon, ...] = (),
        people_suffice: bool = False,
        looks_per_s: float = LOOKS_PER_S,
    ) -> None:
        """Make the redactor of a stream.

        Args:
            detector: shared; not closed.
            clock: the same that dated the pictures.
            source: names the stream to the detector, as nobody else there is named.
            masks: filled in every picture, over everything else.
            people_suffice: see `covered_labels`.
            looks_per_s: at most; fewer when the detector is slower.
        """
        self._detector = detector
        self._clock = clock
        self._source = source
        self._masks = masks
        self._people_suffice = people_suffice
        self._interval_s = 1 / looks_per_s - 0.02
        self._tracker = Tracker(_TRACK_FROM)
        self._sights = Sights()
        self._motion = MotionDetector()
        self._begun = False
        self._waiting: deque[_Waiting] = deque()
        self._asked: _Asked | None = None
        self._before: _Look | None = None
        self._after: _Look | None = None
        self._last_look_s = float("-inf")
        self._blind = False
        self.covered = 0
        """Pictures that left with boxes or none covered, as the looks around them showed."""
        self.blurred = 0
        """Pictures that left blurred as a whole."""

    def put(self, shot: Shot) -> None:
        """Take the next picture; the detector looks at it when it is time (see `Painter`)."""
        now = self._clock.monotonic()
        thumb = thumbnail(shot.picture)
        motion = self._motion.update(_grey(shot.picture), shot.at_s)
        turned = motion.whole_picture and self._begun
        self._begun = True
        self._waiting.append(_Waiting(shot, thumb, now, motion.boxes, turned))
        if self._asked is None and shot.at_s - self._last_look_s >= self._interval_s:
            self._ask(shot, thumb, now)

    def take(self) -> list[Shot]:
        """Return the pictures whose covering is decided (see `Painter`)."""
        now = self._clock.monotonic()
        self._hear(now)
        done: list[Shot] = []
        while self._waiting:
            first = self._waiting[0]
            known = self._after is not None and self._after.at_s >= first.shot.at_s
            if not known and not self._blind and now - first.since_s < PATIENCE_S:
                break
            self._waiting.popleft()
            done.append(self._paint(first, known=known))
        return done

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._asked = None

    def _ask(self, shot: Shot, thumb: Thumb, now: float) -> None:
        height, width = shot.picture.shape[:2]
        size = model_scale(width, height)
        picture: Picture = shot.picture.copy()  # it is painted before the detector may have read it
        if size != (width, height):
            scaled = cv2.resize(shot.picture, size, interpolation=cv2.INTER_LINEAR)
            picture = np.asarray(scaled, np.uint8)
        self._last_look_s = shot.at_s
        answer = self._detector.submit(
            picture, deadline_ms=int(ANSWER_WITHIN_S * 1000), source=self._source
        )
        look = _Look(shot.at_s, thumb, size)
        self._asked = _Asked(look, now + ANSWER_WITHIN_S, answer)

    def _hear(self, now: float) -> None:
        """Take the detector's answer, if there is one."""
        asked = self._asked
        if asked is None or (not asked.answer.done() and now < asked.until_s):
            return
        self._asked = None
        try:
            rows = asked.answer.result(timeout=0)
            model = self._detector.describe()
        except (TimeoutError, CancelledError, DetectionLateError, DetectionFailedError):
            return
        except DetectorUnavailableError:
            self._blind = True
            return
        labels = covered_labels(model, people_suffice=self._people_suffice)
        self._blind = labels is None
        if labels is None:
            return
        rows = rows[rows[:, 4] >= CONFIDENCE]
        look = asked.look
        tracked = self._tracker.update(rows, model, look.size, look.at_s, labels)
        self._sights.add(look.at_s, tracked)
        self._before, self._after = self._after, look

    def _paint(self, waiting: _Waiting, *, known: bool) -> Shot:
        shot = waiting.shot
        if known and self._seen(waiting):
            height, width = shot.picture.shape[:2]
            known_boxes = self._sights.at(shot.at_s, width / height)
            blur_boxes(shot.picture, [*known_boxes, *map(_with_edge, waiting.moving)])
            self.covered += 1
        else:
            blur_whole(shot.picture)
            self.blurred += 1
        mask(shot.picture, self._masks)
        return shot

    def _seen(self, waiting: _Waiting) -> bool:
        """Return whether the looks around a picture are close to it and of the same scene."""
        after, before, at_s = self._after, self._before, waiting.shot.at_s
        assert after is not None
        if after.at_s == at_s:
            return True
        if waiting.turned or before is None or not before.at_s <= at_s:
            return False
        if after.at_s - before.at_s > MOST_BETWEEN_LOOKS_S:
            return False
        return same_scene(waiting.thumb, after.thumb) or same_scene(waiting.thumb, before.thumb)


def thumbnail(picture: Picture) -> Thumb:
    """Return a small grey picture to compare scenes by."""
    small = cv2.resize(picture, _THUMB, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _grey(picture: Picture) -> Grey:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, gate_size(width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _with_edge(box: Box) -> Box:
    """Return the box of something that moves, enlarged: its still parts are near."""
    around = MOVING_MARGIN
    return box[0] - around, box[1] - around, box[2] + around, box[3] + around


def same_scene(one: Thumb, other: Thumb) -> bool:
    """Return whether two thumbnails show the same place in about the same light."""
    differs = cv2.absdiff(one, other) > _DIFFERS
    return bool(np.count_nonzero(differs) <= _OTHER_SCENE * one.size)
