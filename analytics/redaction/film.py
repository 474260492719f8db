"""Redaction of recordings, for copies that are to be published: no picture leaves undecided.

As `redactor.py` does it live, with what a recording allows beside: every look is waited for, large
pictures are looked at in parts too, and nothing is late. While the detector looks, in a thread of
its own, what it has looked at is painted and what comes next is decoded. A detector that is away
is an error: what was being made is thrown away, and made again later.
"""

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np

from analytics.detectors.types import Detector
from analytics.gate.motion import Grey, gate_size
from analytics.redaction.cover import CONFIDENCE, covered_labels
from analytics.redaction.film_looks import Group, Held, Looking, Seen
from analytics.redaction.looks import (
    MOST_BETWEEN_LOOKS_S,
    THUMB,
    TRACK_FROM,
    Gatherer,
    Look,
    seen,
    with_edge,
)
from analytics.redaction.planes import blur_film, blur_film_whole, mask_film
from analytics.redaction.sights import Sights
from analytics.tracking.tracker import Tracker
from camera_hub.streams.painting import FilmShot, Polygon

LONGEST_SIDE = 1280
"""Pixels along the longer side of what is published."""
LEAST_LOOKS_PER_S = 2.0
"""How often it is looked at least, where nothing moves; up to three times that where much does."""
# What may be decoded while the detector looks.
_AHEAD = 3
# Luma goes from 16 to 235; what moves is looked for in grey, from 0 to 255.
_ALPHA, _BETA = 255 / 219, -16 * 255 / 219


class FilmRedactor:
    """Redacts and masks the recordings of one camera (a `Painting` of `camera_hub.recording`).

    Used by one thread. `covered` and `blurred` count pictures as `Redactor` does, `looks` those
    that the detector saw; `model` is the name and version of what looked.
    """

    longest_side = LONGEST_SIDE

    def __init__(
        self,
        detector: Detector,
        *,
        masks: tuple[Polygon, ...],
        people_suffice: bool,
        stopped: threading.Event,
    ) -> None:
        """Make the redactor.

        Args:
            detector: shared; not closed. It is asked for one picture at a time, so that at least
                every second turn is there for who looks live.
            masks: filled in every picture, over everything else.
            people_suffice: see `covered_labels`.
            stopped: when it is set, nobody waits for the pictures any more.
        """
        self._masks = masks
        self._people_suffice = people_suffice
        self._looking = Looking(detector, people_suffice=people_suffice, stopped=stopped)
        self.covered = self.blurred = self.looks = 0
        self.model = ""
        self._gatherer = Gatherer()
        self._gathered_s = float("-inf")
        self._look_s: float | None = None
        self._forget()

    def _forget(self) -> None:
        """Know nothing of what was before."""
        self._tracker = Tracker(TRACK_FROM)
        self._sights = Sights()
        self._before: Look | None = None
        self._after: Look | None = None
        self._blind = False

    def through(self, shots: Iterator[FilmShot]) -> Iterator[FilmShot]:
        """Yield the pictures painted, as many as came, in order.

        Raises:
            UnavailableError: code `redaction-away`: nobody can find the people just now.
        """
        waiting: deque[tuple[Group, Future[list[Seen]]]] = deque()
        pool = ThreadPoolExecutor(1, "looks")
        try:
            for group in self._groups(shots):
                waiting.append((group, pool.submit(self._looking.look, group)))
                while waiting[0][1].done() or len(waiting) > _AHEAD:
                    yield from self._painted(waiting)
                    if not waiting:
                        break
            while waiting:
                yield from self._painted(waiting)
        finally:
            pool.shutdown(cancel_futures=True)

    def _groups(self, shots: Iterator[FilmShot]) -> Iterator[Group]:
        """Yield the pictures in groups, each as it is to be looked at."""
        group = Group(fresh=False)
        for shot in shots:
            # Not the time of one file: looks reach from one file into the next.
            at_s = shot.at.timestamp()
            if not 0 < at_s - self._gathered_s <= MOST_BETWEEN_LOOKS_S:
                if group.held:
                    yield group
                group = Group(fresh=True)
                self._gatherer, self._look_s = Gatherer(), None
            elif group.held and self._is_late(at_s):
                # Pictures are missing: those before them do not wait for a look that is too late.
                self._look_s = self._gathered_s
                yield group
                group = Group(fresh=False)
            self._gathered_s = at_s
            grey = _grey(shot)
            thumb = np.asarray(cv2.resize(grey, THUMB, interpolation=cv2.INTER_AREA), np.uint8)
            group.held.append(Held(shot, self._gatherer.notice(grey, thumb, at_s), grey))
            if group.is_due(self._look_s):
                self._look_s = at_s
                yield group
                group = Group(fresh=False)
        if group.held:
            self._look_s = self._gathered_s
            yield group

    def _is_late(self, at_s: float) -> bool:
        return self._look_s is not None and at_s - self._look_s > MOST_BETWEEN_LOOKS_S

    def _painted(self, waiting: deque[tuple[Group, Future[list[Seen]]]]) -> Iterator[FilmShot]:
        """Yield the pictures of the group that waits longest, once it has been looked at."""
        group, looked = waiting.popleft()
        if group.fresh:
            self._forget()
        begin = 0
        for found in looked.result():
            self._take(group.held[found.number], found)
            for held in group.held[begin : found.number + 1]:
                yield self._paint(held)
            begin = found.number + 1

    def _take(self, held: Held, found: Seen) -> None:
        labels = covered_labels(found.model, people_suffice=self._people_suffice)
        self.model = f"{found.model.name} {found.model.version}"
        self._blind = labels is None
        at_s, size = held.noticed.at_s, held.shot.size
        rows = found.rows[found.rows[:, 4] >= CONFIDENCE]
        self._sights.add(at_s, self._tracker.update(rows, found.model, size, at_s, labels or ()))
        self._before, self._after = self._after, Look(at_s, held.noticed.thumb, size)
        self.looks += 1

    def _paint(self, held: Held) -> FilmShot:
        shot, after = held.shot, self._after
        if not self._blind and after is not None and seen(held.noticed, self._before, after):
            width, height = shot.size
            known = self._sights.at(held.noticed.at_s, width / height)
            blur_film(shot, [*known, *map(with_edge, held.noticed.moving)])
            self.covered += 1
        else:
            blur_film_whole(shot)
            self.blurred += 1
        return mask_film(shot, self._masks)


def _grey(shot: FilmShot) -> Grey:
    small = cv2.resize(shot.planes[0], gate_size(*shot.size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.convertScaleAbs(small, alpha=_ALPHA, beta=_BETA), np.uint8)
