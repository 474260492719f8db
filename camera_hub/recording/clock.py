"""The wall clock of a stream: arrivals smoothed, bent by at most 500 ppm, or begun anew.

A camera's clock is steady but not right; arrivals are right but come in bursts. Packets come late,
never early, so the earliest arrival of each part, counted from its time of media, says where the
wall clock stands. The offset between the two follows it by at most 500 millionths of the time
that passes. What cannot be followed so is a jump: of the host's clock (wall and monotonic time
part) or of the camera's (media runs ahead of arrivals, or stays behind them for long).
"""

from __future__ import annotations

MAX_PPM = 500
STEP_S = 0.25
"""Wall and monotonic time that part by more than this: somebody set the host's clock."""
AHEAD_S = 1.0
"""Media this much before its arrival cannot be: the camera's clock jumped."""
BEHIND_S = 1.0
BEHIND_FOR_S = 10.0
"""Media this much behind, for so long, is no burst of a slow network any more."""


class WallClock:
    """Wall clock of one stream. Within a run it is monotone and its slope within 500 ppm of 1.

    `observe` every packet, `place` each part once its packets were observed. When `jumped` is
    true, call `restart` before the next packet that may begin a new run. All times in seconds:
    `media` from any origin, `wall` since 1970, `monotonic` of the host. Not thread-safe.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin a new run with the next packet."""
        self.jumped = False
        self._running = False
        self._host = 0.0
        self._offset: float | None = None
        self._last_media = 0.0
        self._earliest = float("inf")
        self._behind_s = 0.0

    def observe(self, media: float, wall: float, monotonic: float) -> None:
        """Take the arrival of a packet."""
        host = wall - monotonic
        if not self._running:
            self._running = True
            self._host = host
        elif not -STEP_S < host - self._host < STEP_S:
            # The run goes on as if nobody had touched the clock, until a new one can begin.
            self.jumped = True
            wall = monotonic + self._host
        self._earliest = min(self._earliest, wall - media)

    def place(self, media: float) -> float:
        """Return the wall clock at `media`, where the part begins whose packets were observed."""
        earliest, self._earliest = self._earliest, float("inf")
        if self._offset is None:
            self._offset = earliest
        elif earliest != float("inf"):
            passed = max(0.0, media - self._last_media)
            error = earliest - self._offset
            self._judge(error, passed)
            bend = passed * MAX_PPM / 1_000_000
            self._offset += min(max(error, -bend), bend)
        self._last_media = media
        return media + self._offset

    def _judge(self, error: float, passed: float) -> None:
        if error > BEHIND_S:
            self._behind_s += passed
        else:
            self._behind_s = 0.0
        if error < -AHEAD_S or self._behind_s > BEHIND_FOR_S:
            self.jumped = True
