"""In which seconds something moved, until the file that they lie in is closed."""

from __future__ import annotations

import threading
from datetime import datetime

from core.metrics import counter

_BITS = 64
_KEPT_S = 1200

LATE = counter("recording_motion_late", "Seconds with motion learnt after their file was closed")


class Marks:
    """The marks of one camera. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[int, None] = {}
        self._closed_s = float("-inf")

    def mark(self, at: datetime) -> None:
        """Mark a second (aware); one that lies in a file that is closed is counted as late."""
        second = int(at.timestamp())
        with self._lock:
            if second <= self._closed_s and second not in self._seconds:
                LATE.inc()
            self._seconds[second] = None
            for old in [s for s in self._seconds if s < second - _KEPT_S]:
                del self._seconds[old]

    def since(self, started_at: datetime) -> str:
        """Return the marks of a file that began then, as in `Scan`."""
        start = int(started_at.timestamp())
        with self._lock:
            marked = [second - start for second in self._seconds]
        bits = sum(1 << n for n in marked if 0 <= n < _BITS)
        return f"{bits:x}" if bits else ""

    def closed(self, ends_at: datetime) -> None:
        """Note that a file that ends then is closed."""
        with self._lock:
            # The next one begins within the second in which this one ends.
            self._closed_s = max(self._closed_s, ends_at.timestamp() - 1)
