"""A timeline that only goes forward, whatever the camera's clock does."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camera_hub.streams.types import Packet

JUMP_FORWARD_S = 10.0
"""A step this much larger than the time that passed is a jump of the camera's clock."""
JUMP_BACKWARD_S = 1.0
"""A step back beyond this is a jump; below it, packets were merely out of order."""
COMPOSITION_LIMIT_S = 5.0
"""A picture shown later than this after its decoding time is a mistake, not reordering."""
_REPEATS_BEFORE_CLOCK_IS_STUCK = 4


class Timeline:
    """Rewrites the timestamps of one stream's packets.

    After :meth:`fix` every packet has a dts strictly above the one before it, beginning at 0,
    and a pts not below its dts. No packet is dropped: it could be a keyframe. A jump of the
    camera's clock is bridged by the time that passed between the arrivals.
    """

    def __init__(self, time_base: Fraction) -> None:
        self.jumps = 0
        self.bumped = 0
        self._per_second = float(1 / time_base)
        self._offset = 0
        self._last = -1
        self._last_arrival = 0.0
        self._repeats = 0
        self.jumped_at = 0.0
        """When (monotonic) the camera's clock last jumped; times from before say nothing since."""

    def fix(self, packet: Packet, arrived_monotonic: float) -> None:
        """Set `packet.dts` and `packet.pts`; `arrived_monotonic` in seconds."""
        raw = packet.pts if packet.dts is None else packet.dts
        if self._last < 0:
            self._offset = -(raw or 0)
            dts = 0
        else:
            passed = int((arrived_monotonic - self._last_arrival) * self._per_second)
            jumps = self.jumps
            dts = self._next(raw, max(1, passed))
            if jumps != self.jumps:
                self.jumped_at = arrived_monotonic
        pts = dts if packet.pts is None else packet.pts + self._offset
        if not dts <= pts <= dts + COMPOSITION_LIMIT_S * self._per_second:
            pts = dts
        packet.dts, packet.pts = dts, pts
        self._last, self._last_arrival = dts, arrived_monotonic

    def before(self, pts: int) -> int:
        """Return the camera's own timestamp of a `pts` set since the last jump."""
        return pts - self._offset

    def after(self, raw: int) -> int:
        """Return the place of a timestamp that the camera has set since the last jump."""
        return raw + self._offset

    def _next(self, raw: int | None, passed: int) -> int:
        if raw is None:
            return self._last + passed
        dts = raw + self._offset
        step = dts - self._last
        if step > passed + JUMP_FORWARD_S * self._per_second or (
            step < -JUMP_BACKWARD_S * self._per_second
        ):
            self.jumps += 1
            dts = self._last + passed
            self._offset = dts - raw
        elif step <= 0:
            self.bumped += 1
            self._repeats += 1
            # One tick is enough for a seam; a clock that stands still must not stop the video.
            stuck = self._repeats > _REPEATS_BEFORE_CLOCK_IS_STUCK
            return self._last + (passed if stuck else 1)
        self._repeats = 0
        return dts
