"""The last seconds of a stream in memory: what was before an event, or before a disk failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from camera_hub.recording.files import CutPart

RING_BYTES = 32 * 1024 * 1024


class Ring:
    """Parts of one stream, the first a keyframe's. Not thread-safe."""

    def __init__(self) -> None:
        self._parts: deque[CutPart] = deque()
        self._bytes = 0

    def __iter__(self) -> Iterator[CutPart]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def bytes(self) -> int:
        """Bytes that are kept."""
        return self._bytes

    def clear(self) -> None:
        """Forget everything."""
        self._parts.clear()
        self._bytes = 0

    def add(self, part: CutPart, keep_ticks: int) -> None:
        """Keep a part, and of those before it what covers the last `keep_ticks` of dts.

        One group of pictures is kept in any case, and what a disk has not written yet. Beyond
        `RING_BYTES` the oldest goes all the same; a single group of more is forgotten.
        """
        if not self._parts and not part.keyframe:
            return
        self._parts.append(part)
        self._bytes += part.bytes
        since = part.end_dts - keep_ticks
        while self._parts:
            second = next((n for n, p in enumerate(self._parts) if n and p.keyframe), None)
            if second is None:
                if self._bytes > RING_BYTES:
                    self.clear()
                return
            needed = self._parts[second].start_dts > since or any(
                self._parts[n].pending for n in range(second)
            )
            if needed and self._bytes <= RING_BYTES:
                return
            for _ in range(second):
                self._bytes -= self._parts.popleft().bytes

    def unwritten(self) -> list[CutPart]:
        """Return what must be written to leave nothing out, beginning with a keyframe.

        Parts in a file that failed count as not written; before the first of them the parts up to
        the keyframe that it needs are given once more.
        """
        parts = list(self._parts)
        first = next((n for n, part in enumerate(parts) if not part.safe), None)
        if first is None:
            return []
        begin = max((n for n in range(first + 1) if parts[n].keyframe), default=0)
        return parts[begin:]
