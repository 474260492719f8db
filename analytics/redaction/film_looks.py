"""When the detector looks at a recording, and at which parts of its pictures.

Live, nobody knows what comes next, so the detector looks six times a second. Of a recording the
next look is known before anything leaves. So it looks three times a second, and once more in
between unless both looks show the same, little moved, and all that moves is there: nobody came or
went. Where nothing moves at all it looks twice a second.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

import cv2
import numpy as np

from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    Detector,
    DetectorUnavailableError,
    ModelInfo,
    Picture,
    Rows,
    no_rows,
)
from analytics.gate.motion import Grey
from analytics.pipeline.region import model_scale
from analytics.redaction.cover import CONFIDENCE, PEOPLE, covered_labels
from analytics.redaction.looks import MOST_BETWEEN_LOOKS_S, Noticed, scaled
from analytics.redaction.tiles import tiles
from analytics.zones.geometry import Box
from camera_hub.streams.painting import FilmShot
from core.errors import UnavailableError

INTERVAL_S = 0.3
"""Where something moves the next look is due after this."""
STILL_INTERVAL_S = 0.45
_DEADLINE_MS = 5000
_GRACE_S = 1.0
_TRIES = 3
# Two looks show the same object where it moved by less than this share of its longer side and is
# not larger by more than this factor.
_MOVED = 0.3
_LARGER = 1.5
_AROUND = 0.15
# A part in which nothing moves is looked at again after this at the latest: as long as whoever is
# lost is carried on.
_SAME_FOR_S = 0.9
# Less than this share of a part may differ by more than noise for it to be the same.
_DIFFERS = 12
_SAME_SHARE = 0.0005
# Of what is taken for moving so much at least differs from the look before if it does move.
_MOVED_SHARE = 0.03


@dataclass(slots=True)
class Held:
    """A picture that waits for the look after it; `grey` as the gate against motion sees it."""

    shot: FilmShot
    noticed: Noticed
    grey: Grey


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found, in pixels of the picture of that number in its group."""

    number: int
    rows: Rows
    model: ModelInfo


@dataclass(slots=True)
class Group:
    """Pictures up to one that is looked at, which is the last. `fresh`: none came before them."""

    fresh: bool
    held: list[Held] = field(default_factory=list)

    def is_due(self, before_s: float | None) -> bool:
        """Say whether the newest picture is to be looked at; `before_s`: of the look before."""
        newest = self.held[-1].noticed.at_s
        if before_s is None:
            return True
        still = not any(one.noticed.moving or one.noticed.turned for one in self.held)
        if newest - before_s >= (STILL_INTERVAL_S if still else INTERVAL_S):
            return True
        # The next one may be too late.
        previous = self.held[-2].noticed.at_s if len(self.held) > 1 else before_s
        return 2 * newest - previous - before_s > MOST_BETWEEN_LOOKS_S - 0.01


@dataclass(slots=True)
class _Part:
    """What was found in a part of a picture, and the picture then."""

    at_s: float
    grey: Grey
    rows: Rows


@dataclass(slots=True)
class _Last:
    """The look before: its picture, and what must be covered there: whether a person, and where."""

    held: Held
    objects: list[tuple[bool, Box]]


class Looking:
    """Looks at groups of pictures, in order. Used by one thread; one picture is asked at a time.

    So whoever looks live gets every second turn of the detector at least.
    """

    def __init__(
        self, detector: Detector, *, people_suffice: bool, stopped: threading.Event
    ) -> None:
        """Make it; `people_suffice` as in `covered_labels`, `stopped` ends waiting."""
        self._detector = detector
        self._people_suffice = people_suffice
        self._stopped = stopped
        self._parts: dict[tuple[int, int, int, int], _Part] = {}
        self._last: _Last | None = None

    def look(self, group: Group) -> list[Seen]:
        """Look at the last picture of a group, and before it at one in the middle if need be.

        Raises:
            UnavailableError: code `redaction-away`: nobody can find the people just now.
        """
        if group.fresh:
            self._parts.clear()
            self._last = None
        last = len(group.held) - 1
        before = self._last
        found = [self._seen(group, last)]
        if before is not None and last > 0:
            objects = self._objects(found[0])
            if not _explained(before, objects, group.held):
                found.insert(0, self._seen(group, _middle(group.held, before.held.noticed.at_s)))
        self._last = _Last(group.held[last], self._objects(found[-1]))
        return found

    def _objects(self, seen: Seen) -> list[tuple[bool, Box]]:
        """Return what must be covered: whether it is a person, and where, in pixels."""
        labels = covered_labels(seen.model, people_suffice=self._people_suffice) or frozenset()
        found = []
        for x1, y1, x2, y2, score, number in seen.rows.tolist():
            label = seen.model.label(number)
            if score >= CONFIDENCE and label in labels:
                found.append((label in PEOPLE, (x1, y1, x2, y2)))
        return found

    def _seen(self, group: Group, number: int) -> Seen:
        held = group.held[number]
        width, height = held.shot.size
        moving = [box for one in group.held for box in one.noticed.moving]
        turned = any(one.noticed.turned for one in group.held)
        picture: Picture | None = None
        rows = [no_rows()]
        for part in tiles(width, height):
            known = self._parts.get(part)
            whole = part[2:] == (width, height)
            if whole or known is None or turned or not _same(known, held, part, moving):
                if picture is None:
                    colours = cv2.cvtColor(held.shot.data, cv2.COLOR_YUV2RGB_I420)
                    picture = np.asarray(colours, np.uint8)
                known = _Part(held.noticed.at_s, held.grey, self._asked(picture, part))
                self._parts[part] = known
            rows.append(known.rows)
        return Seen(number, np.concatenate(rows), self._detector.describe())

    def _asked(self, picture: Picture, part: tuple[int, int, int, int]) -> Rows:
        """Return what the detector finds in a part of a picture, in pixels of the picture."""
        x, y, width, height = part
        size = model_scale(width, height)
        small = scaled(np.ascontiguousarray(picture[y : y + height, x : x + width]), size)
        for _ in range(_TRIES):
            if self._stopped.is_set():
                break
            try:
                answer = self._detector.submit(small, deadline_ms=_DEADLINE_MS)
                rows = answer.result(timeout=_DEADLINE_MS / 1000 + _GRACE_S).copy()
            except (DetectionLateError, DetectionFailedError, FutureTimeoutError):
                # A busy machine: it is asked again.
                self._stopped.wait(_GRACE_S)
                continue
            except (DetectorUnavailableError, CancelledError) as error:
                raise away() from error
            rows[:, :4] = rows[:, :4] * (width / size[0]) + np.array([x, y, x, y], np.float32)
            return rows
        raise away()


def away() -> UnavailableError:
    """Return the error that no copy is made because nobody can find the people."""
    return UnavailableError(
        "The people in these recordings cannot be covered just now, so no copy is made.",
        remedy="It is tried again by itself. If that lasts, see whether the detector runs (page "
        "System).",
        code="redaction-away",
    )


def _middle(held: Sequence[Held], before_s: float) -> int:
    """Return the picture nearest to the middle between the look before and the last one."""
    middle = (before_s + held[-1].noticed.at_s) / 2
    return min(range(len(held) - 1), key=lambda n: abs(held[n].noticed.at_s - middle))


def _same(known: _Part, held: Held, part: tuple[int, int, int, int], moving: list[Box]) -> bool:
    """Return whether a part of the picture is as it was when it was looked at."""
    if held.noticed.at_s - known.at_s > _SAME_FOR_S:
        return False
    width, height = held.shot.size
    x1, y1 = part[0] / width, part[1] / height
    x2, y2 = (part[0] + part[2]) / width, (part[1] + part[3]) / height
    if any(b[0] < x2 and b[2] > x1 and b[1] < y2 and b[3] > y1 for b in moving):
        return False
    return _differs(known.grey, held.grey, (x1, y1, x2, y2)) <= _SAME_SHARE


def _explained(before: _Last, after: Sequence[tuple[bool, Box]], held: Sequence[Held]) -> bool:
    """Return whether two looks show the same objects, and these are all that moves in between."""
    if any(one.noticed.turned for one in held) or len(before.objects) != len(after):
        return False
    left, hulls = list(after), []
    for person, box in before.objects:
        nearest = min(
            (one for one in left if one[0] == person and _alike(box, one[1])),
            key=lambda one: _apart(box, one[1]),
            default=None,
        )
        if nearest is None:
            return False
        left.remove(nearest)
        hulls.append(_around(box, nearest[1]))
    width, height = held[0].shot.size
    for one in held:
        for box in one.noticed.moving:
            x, y = (box[0] + box[2]) / 2 * width, (box[1] + box[3]) / 2 * height
            known = any(h[0] <= x <= h[2] and h[1] <= y <= h[3] for h in hulls)
            # What went away long ago still differs from the background, and does not move.
            if not known and _differs(before.held.grey, one.grey, box) > _MOVED_SHARE:
                return False
    return True


def _differs(one: Grey, other: Grey, box: Box) -> float:
    """Return which share of a part (relative) of two grey pictures differs by more than noise."""
    if one.shape != other.shape:
        return 1.0
    high, wide = one.shape
    rows = slice(int(box[1] * high), int(np.ceil(box[3] * high)))
    columns = slice(int(box[0] * wide), int(np.ceil(box[2] * wide)))
    differs = cv2.absdiff(one[rows, columns], other[rows, columns]) > _DIFFERS
    return float(np.count_nonzero(differs) / max(1, differs.size))


def _apart(one: Box, other: Box) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _alike(one: Box, other: Box) -> bool:
    longer = max(one[2] - one[0], one[3] - one[1], 1.0)
    longer_too = max(other[2] - other[0], other[3] - other[1], 1.0)
    grown = max(longer / longer_too, longer_too / longer)
    return _apart(one, other) <= _MOVED * longer and grown <= _LARGER


def _around(one: Box, other: Box) -> Box:
    hull = (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )
    around = _AROUND * max(hull[2] - hull[0], hull[3] - hull[1])
    return hull[0] - around, hull[1] - around, hull[2] + around, hull[3] + around
