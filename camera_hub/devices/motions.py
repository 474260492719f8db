"""In which cameras something moves just now, as the cameras themselves say; in memory only."""

from collections.abc import Collection
from uuid import UUID

from core.clock import Clock

LINGER_S = 2.0
"""Motion lasts this much longer than a camera says: workers ask once a second."""
LONGEST_S = 600.0
"""A camera that says "motion" and never "no motion" is not believed for longer."""


class Motions:
    """What moves where. Not thread-safe: the event loop's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[UUID, dict[str, float]] = {}

    def note(self, camera_id: UUID, rule: str, active: bool) -> None:
        """Take what one rule of a camera says."""
        now = self._clock.monotonic()
        rules = self._until.setdefault(camera_id, {})
        if active:
            rules[rule] = now + LONGEST_S
        elif rule in rules:
            rules[rule] = min(rules[rule], now + LINGER_S)

    def forget(self, camera_id: UUID) -> None:
        """Nothing is heard of a camera any more: what it said last does not count on."""
        now = self._clock.monotonic()
        for rule, until in self._until.get(camera_id, {}).items():
            self._until[camera_id][rule] = min(until, now + LINGER_S)

    def among(self, cameras: Collection[UUID]) -> list[UUID]:
        """Return those of `cameras` in which something moves."""
        now = self._clock.monotonic()
        moving = []
        for camera_id in list(self._until):
            rules = {r: until for r, until in self._until[camera_id].items() if until > now}
            if not rules:
                del self._until[camera_id]
                continue
            self._until[camera_id] = rules
            if camera_id in cameras:
                moving.append(camera_id)
        return sorted(moving)
