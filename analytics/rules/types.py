"""What goes into the rules and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

if TYPE_CHECKING:
    # With shapely, which whoever only writes signals has no use for.
    from analytics.tracking.types import TrackedObject
    from analytics.zones.schemas import Rule, Zone

Phase = Literal["started", "continuing", "ended"]
Certainty = Literal["Observed", "Likely", "Possible", "Unlikely"]

PERSON = "person"
PERSON_DOWN = "person_down"


@dataclass(frozen=True, slots=True)
class CameraRef:
    """The camera as far as a signal names it."""

    id: UUID
    name: str
    area: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look at a camera's picture found.

    `at_s` is on a monotonic clock and serves all durations; `arrived_at` (UTC) serves schedules
    and signals, so that a corrected wall clock never makes a person dwell longer.
    `aspect` is the picture's width over its height.
    """

    at_s: float
    arrived_at: datetime
    aspect: float
    objects: Sequence[TrackedObject]


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """A step in the life of one event of a rule in a zone.

    `rule_name` is the rule's kind, with a number from the second rule of a kind in a zone on.
    """

    phase: Phase
    event_key: str
    rule: Rule
    rule_name: str
    zone: Zone
    observed_at: datetime
    certainty: Certainty
    objects: tuple[TrackedObject, ...]

    @property
    def confidence(self) -> float | None:
        """The best score among the objects; None where none is in view any more."""
        return max((found.confidence for found in self.objects), default=None)
