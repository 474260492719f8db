"""What is wrong with a camera's picture, judged by what is usual for this camera.

Works on a few pictures a minute. Each fault has to last (`AFTER_S`) before it is said, and to be
over for a while before it is over. What is usual is learned while nothing looks wrong, slowly
enough that nobody can cover a lens unnoticed, and fast enough to follow day and night.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analytics.health.measures import (
    Edges,
    Grey,
    Measures,
    Visible,
    changed_share,
    likeness,
    measure,
    shifted_likeness,
)

Fault = Literal["frozen", "black", "overexposed", "covered", "blurred", "moved"]

AFTER_S: dict[Fault, float] = {
    # A camera without a sensor's noise and without a clock in its picture is rare; five minutes
    # without any change of light are, too.
    "frozen": 300.0,
    # Lights go out for a moment; a person who covers a lens means it for longer.
    "black": 120.0,
    "overexposed": 120.0,
    "covered": 60.0,
    # Fog comes and goes slowly, rain on the glass dries; neither is what this looks for.
    "blurred": 300.0,
    # A lorry in front of the camera, or somebody who cleans it.
    "moved": 180.0,
}
"""How long each must last, in seconds."""

HEALED_AFTER_S = 30.0
GAP_S = 60.0
"""Pictures further apart than this show nothing of the time between them."""
LEARN_S = 120.0
"""Nothing is judged by what is usual before so long a time has been seen."""
USUAL_S = 600.0
REFERENCE_S = 300.0
"""Time constants of what is usual and of the map of edges: faster than dusk, slower than a hand."""
ADOPTED_AFTER_S = 24 * 3600.0
"""A new view that stays so long is the view."""

BLACK_LIGHTS = 48.0
"""Black: not one pixel of a hundred is brighter. Street lamps and a lit door are."""
WHITE_SHARE = 0.6
FAINT = 0.35
"""Covered: less of the usual contrast than this..."""
PLAIN = 0.15
"""...or less of the usual detail, and the scene is not there any more."""
SOFT = 0.25
"""Blurred: less of the usual sharpness than this (people and cars leave 0.4 of it)."""
STRANGE = 0.25
"""Edges less like the reference than this show another scene (day and night are over 0.4)."""
ALIKE_AGAIN = 0.5
"""A camera that has moved is back when edges are as like the reference as this."""
SHIFTED_BY = 0.2
"""Edges that are so much more alike after a shift show the same scene from elsewhere."""
SAME_SHARE = 0.0005
"""Frozen: fewer pixels than this differ."""
WANDERS = 3
"""A camera that moves so often in a day moves by itself, and is not judged for the rest of it."""
_DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Change:
    """A fault that begins, or is over."""

    fault: Fault
    started: bool


@dataclass(slots=True)
class Usual:
    """What a camera's pictures are usually like; `seen_s` is how long they have been looked at."""

    contrast: float
    detail: float
    sharpness: float
    edges: Edges
    seen_s: float = 0.0

    def learn(self, now: Measures, passed_s: float) -> None:
        """Take a picture in, `passed_s` after the last one."""
        self.seen_s += passed_s
        span = min(self.seen_s, USUAL_S)
        weight = min(1.0, passed_s / max(span, passed_s, 1e-6))
        self.contrast += weight * (now.contrast - self.contrast)
        self.detail += weight * (now.detail - self.detail)
        self.sharpness += weight * (now.sharpness - self.sharpness)
        weight = min(1.0, passed_s / max(min(self.seen_s, REFERENCE_S), passed_s, 1e-6))
        # What was hidden by a mask until now begins with this picture.
        known = np.where(np.isfinite(self.edges), self.edges, now.edges)
        self.edges = known + np.float32(weight) * (now.edges - known)


class PictureChecker:
    """Judges the pictures of one camera. Not thread-safe.

    `usual` is what was learned, and may be given back after a restart; `faults` are those that
    were said and not taken back.
    """

    def __init__(self, usual: Usual | None = None, faults: set[Fault] | None = None) -> None:
        self.usual = usual
        self.faults: set[Fault] = set(faults or ())
        self._since: dict[Fault, float] = {}
        self._well_since: dict[Fault, float] = {}
        self._said_at: dict[Fault, float] = {}
        self._moves: deque[float] = deque(maxlen=WANDERS)
        self._still: tuple[Grey, float] | None = None
        self._last_s: float | None = None

    @property
    def suspects(self) -> bool:
        """Whether something looks wrong that has not lasted long enough to be said."""
        return bool(self._since)

    def relearn(self) -> list[Change]:
        """Forget the view: it was changed on purpose. Returns the end of what was judged by it."""
        self.usual = None
        over: list[Change] = []
        for fault in sorted(self.faults & {"moved", "covered", "blurred"}):
            self.faults.discard(fault)
            over.append(Change(fault, started=False))
        for judged in ("moved", "covered", "blurred"):
            self._since.pop(judged, None)
        return over

    def look(self, grey: Grey, at_s: float, visible: Visible | None = None) -> list[Change]:
        """Take a picture of 180 x 320 seen at `at_s` (monotonic) and return what has changed.

        Only what is `visible` is judged and learned (None: all).
        """
        now = measure(grey, visible)
        passed_s = 0.0 if self._last_s is None else max(0.0, at_s - self._last_s)
        if passed_s > GAP_S:
            # What was between is unknown: whatever seemed to begin before begins anew.
            passed_s, self._still = 0.0, None
            self._since.clear()
            self._well_since.clear()
        self._last_s = at_s
        seen = self._judge(now)
        found: set[Fault] = {seen} if seen else set()
        if self._frozen(grey, at_s) and seen in (None, "moved"):
            found.add("frozen")
        changes = self._follow(found, at_s)
        self._learn(now, seen, at_s, passed_s)
        return changes

    def _judge(self, now: Measures) -> Fault | None:
        """Return what this picture alone looks like, by what is usual."""
        if now.lights < BLACK_LIGHTS:
            return "black"
        if now.bright > WHITE_SHARE:
            return "overexposed"
        if self.usual is None or self.usual.seen_s < LEARN_S:
            return None
        return self._judge_scene(now, self.usual)

    def _judge_scene(self, now: Measures, usual: Usual) -> Fault | None:
        alike = likeness(usual.edges, now.edges)
        gone = now.contrast < FAINT * usual.contrast or now.detail < PLAIN * usual.detail
        if gone and alike < STRANGE:
            return "covered"
        if now.sharpness < SOFT * usual.sharpness:
            return "blurred"
        # One that seems to have moved is back only when that is certain.
        doubtful = "moved" in self.faults or "moved" in self._since
        least = ALIKE_AGAIN if doubtful else STRANGE
        elsewhere = alike < least or shifted_likeness(usual.edges, now.edges) > alike + SHIFTED_BY
        return "moved" if elsewhere and not self._wanders() else None

    def _wanders(self) -> bool:
        moves = self._moves
        return len(moves) == WANDERS and (self._last_s or 0.0) - moves[0] < _DAY_S

    def _frozen(self, grey: Grey, at_s: float) -> bool:
        """Say whether the picture has stood still for as long as it must not."""
        if self._still is None or changed_share(self._still[0], grey) > SAME_SHARE:
            self._still = (grey.copy(), at_s)
        return at_s - self._still[1] >= AFTER_S["frozen"]

    def _follow(self, found: set[Fault], at_s: float) -> list[Change]:
        changes: list[Change] = []
        for fault, after_s in AFTER_S.items():
            if fault in found:
                self._well_since.pop(fault, None)
                since = self._since.setdefault(fault, at_s)
                lasts = fault == "frozen" or at_s - since >= after_s
                if lasts and fault not in self.faults:
                    self.faults.add(fault)
                    self._said_at[fault] = at_s
                    changes.append(Change(fault, started=True))
                continue
            self._since.pop(fault, None)
            if fault in self.faults and self._is_over(fault, found, at_s):
                self.faults.discard(fault)
                changes.append(Change(fault, started=False))
        return changes

    def _is_over(self, fault: Fault, found: set[Fault], at_s: float) -> bool:
        # What is judged by the scene is over when the scene is there again, not when night hides
        # that it is not.
        hidden = found - {"frozen"} if fault in ("covered", "blurred", "moved") else set()
        unknown = fault in ("covered", "blurred", "moved") and self.usual is None
        if hidden or unknown:
            self._well_since.pop(fault, None)
            return False
        since = self._well_since.setdefault(fault, at_s)
        if at_s - since < (0.0 if fault == "frozen" else HEALED_AFTER_S):
            return False
        del self._well_since[fault]
        if fault == "moved":
            self._moves.append(at_s)
        return True

    def _learn(self, now: Measures, seen: Fault | None, at_s: float, passed_s: float) -> None:
        said = self._said_at.get("moved", at_s)
        if seen == "moved" and "moved" in self.faults and at_s - said >= ADOPTED_AFTER_S:
            self.usual = None
        elif seen is not None or self._wanders():
            return
        if self.usual is None:
            self.usual = Usual(now.contrast, now.detail, now.sharpness, now.edges.copy())
        else:
            self.usual.learn(now, passed_s)
