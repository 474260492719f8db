"""Redaction of a stream: pictures wait until the detector has looked at, or after, each of them.

Covering only where somebody was last seen would show whoever walks in until the next look. So a
picture leaves when a look not older than it has been answered, a fifth of a second later, and what
either look around it shows is covered. Whatever moves is covered too, known or not: detectors miss
cars seen from above and people cut by the edge. When anything goes wrong, all of it is blurred.
"""

from collections import deque
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    Detector,
    DetectorUnavailableError,
    Rows,
)
from analytics.pipeline.region import model_scale
from analytics.redaction.cover import CONFIDENCE, covered_labels
from analytics.redaction.looks import (
    MOST_BETWEEN_LOOKS_S,
    TRACK_FROM,
    Gatherer,
    Look,
    Waiting,
    paint,
    scaled,
    seen,
)
from analytics.redaction.sights import Sights
from analytics.tracking.tracker import Tracker
from camera_hub.streams.painting import Polygon, Shot
from core.clock import Clock

__all__ = ["ANSWER_WITHIN_S", "LOOKS_PER_S", "MOST_BETWEEN_LOOKS_S", "PATIENCE_S", "Redactor"]

LOOKS_PER_S = 6.0
ANSWER_WITHIN_S = 0.4
"""A look not answered by then counts as failed."""
PATIENCE_S = 0.7
"""A picture that waited so long leaves, blurred as a whole."""


@dataclass(slots=True)
class _Asked:
    look: Look
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
        self._tracker = Tracker(TRACK_FROM)
        self._sights = Sights()
        self._gatherer = Gatherer()
        self._waiting: deque[Waiting] = deque()
        self._asked: _Asked | None = None
        self._before: Look | None = None
        self._after: Look | None = None
        self._last_look_s = float("-inf")
        self._blind = False
        self.covered = 0
        """Pictures that left with boxes or none covered, as the looks around them showed."""
        self.blurred = 0
        """Pictures that left blurred as a whole."""

    def put(self, shot: Shot) -> None:
        """Take the next picture; the detector looks at it when it is time (see `Painter`)."""
        now = self._clock.monotonic()
        waiting = self._gatherer.wait(shot, now)
        self._waiting.append(waiting)
        if self._asked is None and shot.at_s - self._last_look_s >= self._interval_s:
            self._ask(waiting, now)

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

    def _ask(self, waiting: Waiting, now: float) -> None:
        shot = waiting.shot
        height, width = shot.picture.shape[:2]
        size = model_scale(width, height)
        self._last_look_s = shot.at_s
        answer = self._detector.submit(
            scaled(shot.picture, size),
            deadline_ms=int(ANSWER_WITHIN_S * 1000),
            source=self._source,
        )
        look = Look(shot.at_s, waiting.noticed.thumb, size)
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

    def _paint(self, waiting: Waiting, *, known: bool) -> Shot:
        after, boxes = self._after, None
        if known and after is not None and seen(waiting.noticed, self._before, after):
            height, width = waiting.shot.picture.shape[:2]
            boxes = self._sights.at(waiting.shot.at_s, width / height)
        self.covered += boxes is not None
        self.blurred += boxes is None
        return paint(waiting, boxes, self._masks)
