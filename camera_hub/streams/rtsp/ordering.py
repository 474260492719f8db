"""Decoding times for pictures that are sent in decoding order with the time of their showing.

RTP has presentation times only (RFC 6184 section 5.1). With at most d pictures shown after one
that is decoded later, the decoding time of picture n is the (n - d)-th smallest presentation
time: never above its own, never falling.
"""

from __future__ import annotations

from bisect import bisect_right, insort

MAX_DEPTH = 4
"""What is believed without being announced; further back is a jump of the clock."""
_LIMIT_S = 5


class DecodingOrder:
    """Gives each presentation time of a stream, in decoding order, its decoding time."""

    def __init__(self, per_second: int) -> None:
        """Begin a stream of `per_second` ticks, without reordering until some is seen."""
        self.depth = 0
        self._step = per_second // 25
        self._limit = per_second * _LIMIT_S
        # The latest presentation times, ascending.
        self._times: list[int] = []

    def expect(self, depth: int) -> None:
        """Take how many pictures may be reordered, as the stream's parameters say."""
        self.depth = min(depth, 16)

    def dts(self, pts: int) -> int:
        """Return the decoding time of the picture shown at `pts`; it is not above `pts`."""
        times = self._times
        if times and pts <= times[-1]:
            later = len(times) - bisect_right(times, pts)
            if later > max(self.depth, MAX_DEPTH) or times[-1] - pts > self._limit:
                times.clear()
            elif later > self.depth:
                self.depth = later
        elif times and pts - times[-1] > self._limit:
            times.clear()
        insort(times, pts)
        if len(times) > max(self.depth, MAX_DEPTH) + 1:
            del times[0]
        missing = self.depth + 1 - len(times)
        return times[0] - missing * self._step if missing > 0 else times[-self.depth - 1]
