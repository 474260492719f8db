"""Where the sound of a clip lies on the clip's own timeline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from camera_hub.recording import mp4
from camera_hub.recording.sound import TOLERANCE_S, SoundSample


class SoundPlacing:
    """Places sound on the timeline of a clip; what overlaps with what is there is left out."""

    def __init__(self, base: datetime, rate: int) -> None:
        """Begin a clip whose first picture is of `base`; `rate` in samples a second."""
        self._base, self._rate, self._next = base, rate, 0

    def place(
        self, heard: Sequence[tuple[datetime, SoundSample]]
    ) -> tuple[list[mp4.Heard], list[SoundSample]]:
        """Return the samples that have a place, as they are in the clip and in the source."""
        slack, placed, chosen = round(TOLERANCE_S * self._rate), [], []
        for at, one in heard:
            time = round((at - self._base).total_seconds() * self._rate)
            if time < self._next - slack:
                continue
            time = time if time > self._next + slack else self._next
            placed.append(mp4.Heard(time, one.duration, one.size))
            chosen.append(one)
            self._next = time + one.duration
        return placed, chosen
