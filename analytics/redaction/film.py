"""Redaction of recordings, for copies that are to be published: no picture leaves undecided.

As `redactor.py` does it live, with what a recording allows beside: every look is waited for, large
pictures are looked at in parts too, and nothing is late. A detector that is away is an error: what
was being made is thrown away, and made again later.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import numpy as np

from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    Detector,
    DetectorUnavailableError,
    Rows,
    no_rows,
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
from analytics.redaction.tiles import tiles
from analytics.tracking.tracker import Tracker
from camera_hub.streams.painting import Polygon, Shot
from core.clock import Clock
from core.errors import UnavailableError

LOOKS_PER_S = 6.0
LONGEST_SIDE = 1280
"""Pixels along the longer side of what is published."""
_INTERVAL_S = 1 / LOOKS_PER_S - 0.02
_DEADLINE_MS = 5000
_GRACE_S = 1.0
_TRIES = 3


class FilmRedactor:
    """Redacts and masks the recordings of one camera (a `Painting` of `camera_hub.recording`).

    Used by one thread. `covered` and `blurred` count pictures as `Redactor` does; `model` is the
    name and version of what looked.
    """

    longest_side = LONGEST_SIDE

    def __init__(
        self,
        detector: Detector,
        clock: Clock,
        *,
        masks: tuple[Polygon, ...],
        people_suffice: bool,
        stopped: threading.Event,
    ) -> None:
        """Make the redactor.

        Args:
            detector: shared; not closed. It is asked for one look at a time and left alone for as
                long as each took, so that at least half of it is there for who looks live.
            clock: says how long a look took.
            masks: filled in every picture, over everything else.
            people_suffice: see `covered_labels`.
            stopped: when it is set, nobody waits for the pictures any more.
        """
        self._detector = detector
        self._clock = clock
        self._masks = masks
        self._people_suffice = people_suffice
        self._stopped = stopped
        self.covered = self.blurred = 0
        self.model = ""
        self._begin()

    def _begin(self) -> None:
        """Know nothing of what was before."""
        self._tracker = Tracker(TRACK_FROM)
        self._sights = Sights()
        self._gatherer = Gatherer()
        self._before: Look | None = None
        self._after: Look | None = None
        self._blind = False
        self._last_s = float("-inf")

    def through(self, shots: Iterator[Shot]) -> Iterator[Shot]:
        """Yield the pictures painted, as many as came, in order.

        Raises:
            UnavailableError: code `redaction-away`: nobody can find the people just now.
        """
        held: list[tuple[Waiting, Shot]] = []
        for shot in shots:
            # Not the time of one file: looks reach from one file into the next.
            at_s = shot.at.timestamp()
            if not 0 < at_s - self._last_s <= MOST_BETWEEN_LOOKS_S:
                yield from self._painted(held, look=bool(held))
                held = []
                self._begin()
            self._last_s = at_s
            waiting = self._gatherer.wait(Shot(shot.picture, at_s, shot.at), 0.0)
            held.append((waiting, shot))
            if self._after is None or at_s - self._after.at_s >= _INTERVAL_S:
                yield from self._painted(held, look=True)
                held = []
        yield from self._painted(held, look=bool(held))

    def _painted(self, held: list[tuple[Waiting, Shot]], *, look: bool) -> Iterator[Shot]:
        """Yield what waits, once the detector has looked at the last of it."""
        if look:
            self._look(held[-1][0])
        for waiting, shot in held:
            after, boxes = self._after, None
            if not self._blind and after is not None and seen(waiting, self._before, after):
                height, width = shot.picture.shape[:2]
                boxes = self._sights.at(waiting.shot.at_s, width / height)
            self.covered += boxes is not None
            self.blurred += boxes is None
            paint(waiting, boxes, self._masks)
            yield shot

    def _look(self, waiting: Waiting) -> None:
        began = self._clock.monotonic()
        rows = self._asked(waiting)
        model = self._detector.describe()
        labels = covered_labels(model, people_suffice=self._people_suffice)
        self.model = f"{model.name} {model.version}"
        self._blind = labels is None
        at_s, height, width = waiting.shot.at_s, *waiting.shot.picture.shape[:2]
        tracked = self._tracker.update(
            rows[rows[:, 4] >= CONFIDENCE], model, (width, height), at_s, labels or ()
        )
        self._sights.add(at_s, tracked)
        self._before, self._after = self._after, Look(at_s, waiting.thumb, (width, height))
        if self._stopped.wait(min(_DEADLINE_MS / 1000, self._clock.monotonic() - began)):
            raise _away()

    def _asked(self, waiting: Waiting) -> Rows:
        """Return what the detector finds in a picture and its parts, in pixels of the picture."""
        for _ in range(_TRIES):
            try:
                return self._found(waiting)
            except (DetectionLateError, DetectionFailedError, FutureTimeoutError):
                # A busy machine: it is asked again.
                if self._stopped.wait(_GRACE_S):
                    break
            except (DetectorUnavailableError, CancelledError) as error:
                raise _away() from error
        raise _away()

    def _found(self, waiting: Waiting) -> Rows:
        picture = waiting.shot.picture
        height, width = picture.shape[:2]
        asked: list[tuple[tuple[int, int], float, Future[Rows]]] = []
        for x, y, wide, high in tiles(width, height):
            size = model_scale(wide, high)
            part = scaled(np.ascontiguousarray(picture[y : y + high, x : x + wide]), size)
            answer = self._detector.submit(part, deadline_ms=_DEADLINE_MS)
            asked.append(((x, y), wide / size[0], answer))
        found = [no_rows()]
        for (x, y), scale, answer in asked:
            rows = answer.result(timeout=_DEADLINE_MS / 1000 + _GRACE_S).copy()
            rows[:, :4] = rows[:, :4] * scale + np.array([x, y, x, y], np.float32)
            found.append(rows)
        return np.concatenate(found)


def _away() -> UnavailableError:
    return UnavailableError(
        "The people in these recordings cannot be covered just now, so no copy is made.",
        remedy="It is tried again by itself. If that lasts, see whether the detector runs (page "
        "System).",
        code="redaction-away",
    )
