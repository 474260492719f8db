"""The rules of one camera's zones: dwell, hysteresis, cooldown, and one event at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from analytics.rules.types import (
    PERSON,
    PERSON_DOWN,
    CameraRef,
    Certainty,
    Observation,
    Phase,
    RuleEvent,
)
from analytics.tracking.types import TrackedObject
from analytics.zones.geometry import ZoneShape
from analytics.zones.schedule import is_active
from analytics.zones.schemas import Rule, Zone

CONTINUE_EVERY_S = 10.0
# Nothing seen by a look for this long ends an event; longer than two looks at a still object.
END_AFTER_S = 3.0
# Looks further apart than this were kept from happening: detector away, camera lost.
_BLIND_S = 1.5
# Without any look at all (camera or detector away) an event stays open this long.
BLIND_AFTER_S = 30.0
# An object missed by a look or two keeps its dwell time.
_FORGET_AFTER_S = 2.5
# An object that once counted keeps counting down to this share of the rule's confidence.
_CONFIDENCE_HYSTERESIS = 0.6
# A person lies when the box is this much wider than tall; standing people reach about 0.6,
# people bent over or sitting about 1.0.
_LYING_RATIO = 1.3
# A box this close to the picture's lower edge goes on below it.
_CUT_OFF = 0.015


@dataclass(slots=True)
class _Presence:
    since_s: float
    seen_s: float


@dataclass(slots=True)
class _Running:
    """The state of one rule in one zone."""

    name: str
    zone: Zone
    rule: Rule
    shape: ZoneShape
    presence: dict[int, _Presence] = field(default_factory=dict)
    event_key: str = ""
    certainty: Certainty = "Likely"
    seen_s: float = 0.0
    told_s: float = 0.0
    quiet_until_s: float = float("-inf")


class RuleEngine:
    """Turns observations of one camera into events.

    Durations run on the observations' monotonic time. Several objects in one zone are one event;
    `event_key` counts events of the rule, never objects.
    """

    def __init__(self, camera: CameraRef, time_zone: tzinfo, *, first_event: int = 1) -> None:
        """Make an engine without zones.

        Args:
            camera: whose picture it is.
            time_zone: the site's, for schedules.
            first_event: number of the first event. A process that may be killed passes a number
                that grows from start to start, so that no key is used for two events.
        """
        self._camera = camera
        self._time_zone = time_zone
        self._next_event = first_event
        self._running: dict[str, _Running] = {}
        self._looked_s: float | None = None

    @property
    def holding(self) -> bool:
        """Whether an event is running."""
        return any(state.event_key for state in self._running.values())

    @property
    def labels(self) -> frozenset[str]:
        """The labels that any enabled rule needs; empty when there is nothing to look for."""
        needed: set[str] = set()
        for state in self._running.values():
            needed.update(_labels(state.rule))
        return frozenset(needed)

    def configure(
        self, zones: Sequence[Zone], at_s: float, arrived_at: datetime
    ) -> list[RuleEvent]:
        """Replace the zones; rules that did not change keep their state.

        Returns:
            `ended` for every running event whose rule is gone or changed.
        """
        before, self._running = self._running, {}
        for zone in zones:
            shape = ZoneShape(zone.polygon)
            for name, rule in _named(zone):
                key = f"{zone.id}:{name}"
                old = before.get(key)
                if old is not None and old.rule == rule and old.zone.polygon == zone.polygon:
                    old.zone = zone
                    self._running[key] = before.pop(key)
                else:
                    self._running[key] = _Running(name, zone, rule, shape)
        return [self._end(state, at_s, arrived_at) for state in before.values() if state.event_key]

    def update(self, seen: Observation) -> list[RuleEvent]:
        """Take what a look found and return what became of it, in order of zones and rules."""
        blind_s = 0.0 if self._looked_s is None else seen.at_s - self._looked_s
        self._looked_s = seen.at_s
        events: list[RuleEvent] = []
        for state in self._running.values():
            if blind_s > _BLIND_S:
                # Nobody looked, so nobody was missed: the first looks after that confirm tracks.
                state.seen_s += blind_s
            events += self._step(state, seen)
        return events

    def tick(self, at_s: float, arrived_at: datetime) -> list[RuleEvent]:
        """Let time pass without a look; ends events nobody could see for long."""
        if self._looked_s is None or at_s - self._looked_s < BLIND_AFTER_S:
            return []
        return self.finish(at_s, arrived_at)

    def finish(self, at_s: float, arrived_at: datetime) -> list[RuleEvent]:
        """End every running event: the camera is taken away, or cannot be seen."""
        return [
            self._end(state, at_s, arrived_at)
            for state in self._running.values()
            if state.event_key
        ]

    def _step(self, state: _Running, seen: Observation) -> list[RuleEvent]:
        active = is_active(state.rule.schedule, seen.arrived_at, self._time_zone)
        present, ripe = self._present(state, seen) if active else ([], [])
        if not active:
            state.presence.clear()
        if state.event_key:
            if present:
                state.seen_s = seen.at_s
            elif not active or seen.at_s - state.seen_s >= END_AFTER_S:
                return [self._end(state, seen.at_s, seen.arrived_at)]
            if present and seen.at_s - state.told_s >= CONTINUE_EVERY_S:
                state.told_s = seen.at_s
                return [self._event("continuing", state, seen.arrived_at, present)]
            return []
        if ripe and seen.at_s >= state.quiet_until_s:
            return [self._start(state, seen, ripe)]
        return []

    def _present(
        self, state: _Running, seen: Observation
    ) -> tuple[list[TrackedObject], list[TrackedObject]]:
        """Return the objects that count now, and those of them that have stayed long enough."""
        present: list[TrackedObject] = []
        ripe: list[TrackedObject] = []
        for found in seen.objects:
            if found.track is None:
                continue
            known = state.presence.get(found.track)
            if not _counts(state, found, seen.aspect, known=known is not None):
                continue
            if known is None:
                known = state.presence[found.track] = _Presence(seen.at_s, seen.at_s)
            known.seen_s = seen.at_s
            present.append(found)
            if seen.at_s - known.since_s >= state.rule.dwell_seconds:
                ripe.append(found)
        for track, known in list(state.presence.items()):
            if seen.at_s - known.seen_s > _FORGET_AFTER_S:
                del state.presence[track]
        return present, ripe

    def _start(
        self, state: _Running, seen: Observation, ripe: Sequence[TrackedObject]
    ) -> RuleEvent:
        state.event_key = f"{self._camera.id}:{state.name}:{state.zone.id}:{self._next_event}"
        self._next_event += 1
        state.seen_s = state.told_s = seen.at_s
        state.certainty = _certainty(state.rule, ripe)
        return self._event("started", state, seen.arrived_at, ripe)

    def _end(self, state: _Running, at_s: float, arrived_at: datetime) -> RuleEvent:
        event = self._event("ended", state, arrived_at, ())
        state.event_key = ""
        state.quiet_until_s = at_s + state.rule.cooldown_seconds
        return event

    def _event(
        self,
        phase: Phase,
        state: _Running,
        observed_at: datetime,
        objects: Sequence[TrackedObject],
    ) -> RuleEvent:
        return RuleEvent(
            phase=phase,
            event_key=state.event_key,
            rule=state.rule,
            rule_name=state.name,
            zone=state.zone,
            observed_at=observed_at,
            certainty=state.certainty,
            objects=tuple(objects),
        )


def _named(zone: Zone) -> list[tuple[str, Rule]]:
    """Return the enabled rules with names that are unique in the zone: intrusion, intrusion-2."""
    counts: dict[str, int] = {}
    named: list[tuple[str, Rule]] = []
    for rule in zone.rules:
        count = counts[rule.kind] = counts.get(rule.kind, 0) + 1
        if rule.enabled:
            named.append((rule.kind if count == 1 else f"{rule.kind}-{count}", rule))
    return named


def _labels(rule: Rule) -> set[str]:
    """Return the labels a rule looks at: a person on the ground is a person too."""
    if rule.kind == "person_down":
        return {PERSON, PERSON_DOWN}
    labels = set(rule.objects)
    return labels | {PERSON_DOWN} if PERSON in labels else labels


def _counts(state: _Running, found: TrackedObject, aspect: float, *, known: bool) -> bool:
    """Return whether an object is what the rule looks for, where it looks for it."""
    least = state.rule.confidence * (_CONFIDENCE_HYSTERESIS if known else 1.0)
    if found.confidence < least or found.label not in _labels(state.rule):
        return False
    if state.rule.kind == "person_down" and not _lies(found, aspect):
        return False
    return state.shape.contains_box(found.box, was_inside=known)


def _lies(found: TrackedObject, aspect: float) -> bool:
    """Return whether a person lies; one whose legs are out of the picture cannot be judged."""
    x1, y1, x2, y2 = found.box
    if y2 > 1 - _CUT_OFF:
        return False
    return found.label == PERSON_DOWN or (x2 - x1) * aspect >= _LYING_RATIO * (y2 - y1)


def _certainty(rule: Rule, objects: Sequence[TrackedObject]) -> Certainty:
    """Return CAP's certainty: a lying shape without a model trained on it is a guess."""
    if rule.kind == "person_down" and all(found.label != PERSON_DOWN for found in objects):
        return "Possible"
    return "Likely"
