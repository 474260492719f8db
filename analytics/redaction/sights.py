"""Where people and vehicles are at any moment between two looks, and for a while after.

A look is one answer of the detector. Between two looks that both show an object it is somewhere in
the hull of its two boxes; one that only one of them shows may have come or gone, so its box grows
with the time from that look; one that no look shows any more is carried on along its way, growing,
for a second: detectors lose people for a moment. What has not been confirmed by a second look is
kept for less.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from analytics.redaction.cover import PEOPLE
from analytics.tracking.types import TrackedObject
from analytics.zones.geometry import Box

HOLD_S = 1.0
HOLD_NAMELESS_S = 0.4
# Around every box, as a share of its longer side and at least this share of the picture.
MARGIN = 0.12
LEAST_MARGIN = 0.01
# Longer sides a second that an object may move unseen: somebody running, a car passing close by.
_PERSON_GROWTH = 1.0
_VEHICLE_GROWTH = 2.0
_MOST_GROWTH = 0.5


@dataclass(slots=True)
class _Known:
    """One object: its last sights as (time, box), oldest first."""

    person: bool
    hold_s: float
    sights: list[tuple[float, Box]] = field(default_factory=list)

    def held(self, at_s: float) -> bool:
        """Return whether it must still be covered."""
        return self.sights[-1][0] >= at_s - self.hold_s


class Sights:
    """What the last looks showed. Times in seconds, one clock that does not go backwards."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._nameless = -1

    def add(self, at_s: float, objects: Iterable[TrackedObject]) -> None:
        """Take what a look showed."""
        for found in objects:
            key, hold_s = found.track, HOLD_S
            if key is None:
                key, hold_s = self._nameless, HOLD_NAMELESS_S
                self._nameless -= 1
            known = self._known.setdefault(key, _Known(found.label in PEOPLE, hold_s))
            known.sights = [*known.sights[-1:], (at_s, found.box)]
        self._known = {key: known for key, known in self._known.items() if known.held(at_s)}

    def at(self, at_s: float, aspect: float) -> list[Box]:
        """Return what must be covered in the picture of `at_s`, enlarged; may reach beyond it.

        Args:
            at_s: not later than the last look, and not before the one before it.
            aspect: width of the picture divided by its height.
        """
        return [_cover(known, at_s, aspect) for known in self._known.values() if known.held(at_s)]


def _cover(known: _Known, at_s: float, aspect: float) -> Box:
    (last_s, last) = known.sights[-1]
    box, unseen_s = last, abs(at_s - last_s)
    if len(known.sights) > 1:
        before_s, before = known.sights[0]
        if before_s <= at_s <= last_s:
            box = _hull(before, last)
            unseen_s = min(unseen_s, at_s - before_s)
        elif at_s > last_s:
            box = _hull(last, _carried(before, last, (at_s - last_s) / (last_s - before_s)))
    return _grown(box, last, unseen_s, aspect, person=known.person)


def _grown(box: Box, size_of: Box, unseen_s: float, aspect: float, *, person: bool) -> Box:
    # In heights of the picture, so that a margin is as wide as it is high.
    longer = max((size_of[2] - size_of[0]) * aspect, size_of[3] - size_of[1])
    rate = _PERSON_GROWTH if person else _VEHICLE_GROWTH
    around = max(MARGIN * longer, LEAST_MARGIN) + longer * min(rate * unseen_s, _MOST_GROWTH)
    return (
        box[0] - around / aspect,
        box[1] - around,
        box[2] + around / aspect,
        box[3] + around,
    )


def _hull(one: Box, other: Box) -> Box:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _carried(before: Box, last: Box, steps: float) -> Box:
    return (
        last[0] + (last[0] - before[0]) * steps,
        last[1] + (last[1] - before[1]) * steps,
        last[2] + (last[2] - before[2]) * steps,
        last[3] + (last[3] - before[3]) * steps,
    )
