"""Following the objects that a camera tells of, by the numbers that the camera gives them.

As everywhere, a track is a number of this object: neither it nor the camera's own number ever
leaves the camera's pipeline.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from analytics.detectors.types import ModelInfo
from analytics.tracking.tracker import Tracker
from analytics.tracking.types import TrackedObject
from camera_hub.streams.metadata import Box, SeenFrame, SeenObject

GONE_AFTER_S = 3.0
"""An object of which nothing was told for so long has left; its number may be another's then."""
MOST = 512
"""Objects of one camera at once; what it tells of beyond them is passed over."""
# Two tellings make a track, as two looks do: a single wrong one never does.
_CONFIRM = 2


@dataclass(slots=True)
class _Known:
    track: int
    label: str
    likelihood: float
    box: Box | None
    seen_s: float
    tellings: int = 0


class Follower:
    """Follows the objects of one camera. Not thread-safe."""

    def __init__(self, confidence: float) -> None:
        """Make a follower; of objects without a number, those at least so sure start tracks."""
        self._confidence = confidence
        self._known: dict[str, _Known] = {}
        self._next = 0
        self._unnumbered: Tracker | None = None

    def take(
        self, frames: Iterable[SeenFrame], at_s: float, wanted: Collection[str] | None = None
    ) -> list[TrackedObject]:
        """Take what was told since the last call; return the objects that it told of and not gone.

        Args:
            frames: oldest first.
            at_s: when the last of them arrived, in seconds on a clock that never goes backwards.
            wanted: labels to return; None returns all.
        """
        self._forget(at_s)
        told: dict[str, _Known] = {}
        unnumbered: list[SeenObject] = []
        for frame in frames:
            for old, new in frame.renamed:
                known = self._known.pop(old, None)
                if known is not None:
                    self._known[new] = known
                    if told.pop(old, None) is not None:
                        told[new] = known
            for seen in frame.objects:
                if seen.number and (seen.number in told or len(told) < MOST):
                    told[seen.number] = self._told(seen, at_s)
            for number in frame.gone:
                self._known.pop(number, None)
                told.pop(number, None)
            unnumbered = [seen for seen in frame.objects if not seen.number]
        found = [
            TrackedObject(
                known.track if known.tellings >= _CONFIRM else None,
                known.label,
                known.likelihood,
                known.box,
            )
            for known in told.values()
            if known.box is not None and known.label
        ]
        found += self._follow(unnumbered, at_s)
        return [one for one in found if wanted is None or one.label in wanted]

    def _told(self, seen: SeenObject, at_s: float) -> _Known:
        known = self._known.pop(seen.number, None)
        if known is None:
            if len(self._known) >= MOST:
                # The first is the one that was told of longest ago.
                del self._known[next(iter(self._known))]
            self._next += 1
            known = _Known(self._next, seen.label, seen.likelihood, seen.box, at_s)
        self._known[seen.number] = known
        if seen.label:
            known.label, known.likelihood = seen.label, seen.likelihood
        # Without a box nothing has changed: cameras leave out what stays as it was.
        known.box = seen.box or known.box
        known.seen_s = at_s
        known.tellings += 1
        return known

    def _forget(self, at_s: float) -> None:
        for number in [n for n, one in self._known.items() if at_s - one.seen_s > GONE_AFTER_S]:
            del self._known[number]

    def _follow(self, unnumbered: list[SeenObject], at_s: float) -> list[TrackedObject]:
        """Follow by their boxes those that have no number, as in pictures of our own."""
        seen = [one for one in unnumbered if one.box is not None and one.label]
        if self._unnumbered is None:
            if not seen:
                return []
            self._unnumbered = Tracker(self._confidence)
        labels = tuple(dict.fromkeys(one.label for one in seen))
        rows = np.array(
            [(*(one.box or ()), one.likelihood, labels.index(one.label)) for one in seen],
            dtype=np.float32,
        ).reshape(len(seen), 6)
        model = ModelInfo("", "", labels, (1, 1), "", "")
        return [
            # Below zero, so that none is the number of one that the camera follows.
            replace(one, track=None if one.track is None else -1 - one.track)
            for one in self._unnumbered.update(rows, model, (1, 1), at_s)
        ]
