"""What tracking gives to the rules; imports nothing heavy."""

from dataclasses import dataclass

from analytics.zones.geometry import Box


@dataclass(frozen=True, slots=True)
class TrackedObject:
    """One object in one picture; `track` is None until a second look confirmed it."""

    track: int | None
    label: str
    confidence: float
    box: Box
