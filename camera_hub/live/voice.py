"""The sound of a live view: on the viewers' timeline, beside the pictures, never ahead of a gap.

Browsers show no picture where sound is missing. So what does not come in time is filled with
silence: `LATE_S` behind the newest picture at first, later where the camera's sound always comes
later than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camera_hub.recording.sound import sound_boxes
from camera_hub.streams.sound.config import FRAME_SAMPLES, silent_frame
from camera_hub.streams.types import SoundPacket

if TYPE_CHECKING:
    from camera_hub.streams.types import SoundInfo

LATE_S = 0.8
_LATEST_S = 3.0
_FILL_S = 0.3
_TOLERANCE_S = 0.02
_LONGEST_FILL_S = 10.0


class Voice:
    """Places sound in samples of its rate, counted from the first picture that viewers get."""

    def __init__(self, info: SoundInfo) -> None:
        self._rate = info.rate
        self._silence = silent_frame(info.rate, info.channels)
        self._slack = round(_TOLERANCE_S * info.rate)
        self._late_s = LATE_S
        self._next = 0
        self._filled = False

    def put(self, packet: SoundPacket, seconds: float, sequence: int) -> bytes:
        """Return the boxes of a frame heard at `seconds` of the viewers' time; b"" if too late."""
        at = round(seconds * self._rate)
        if at < self._next - self._slack:
            if self._filled and at > 0:
                # Sound of this camera comes later than it was waited for.
                behind = (self._next - at) / self._rate
                self._late_s = min(self._late_s + behind, _LATEST_S)
                self._filled = False
            return b""
        self._filled = False
        placed = self._fill(at)
        if at > self._next + self._slack:
            self._next = at
        placed.append((self._next, packet))
        self._next += packet.samples
        return sound_boxes(placed, sequence)

    def fill(self, seconds: float, sequence: int) -> bytes:
        """Return silence if sound is late at a picture's `seconds`; b"" if it is not."""
        if seconds - self._next / self._rate <= self._late_s:
            return b""
        placed = self._fill(round((seconds - self._late_s + _FILL_S) * self._rate))
        self._filled = True
        return sound_boxes(placed, sequence)

    def _fill(self, until: int) -> list[tuple[int, SoundPacket]]:
        """Return whole frames of silence that end at `until` (samples) or before."""
        if until - self._next > _LONGEST_FILL_S * self._rate:
            # The pictures have such a gap too: nobody waits for what lies in it.
            self._next = until
        placed = []
        while self._next + FRAME_SAMPLES <= until + self._slack:
            placed.append((self._next, SoundPacket(self._silence, 0, FRAME_SAMPLES)))
            self._next += FRAME_SAMPLES
        return placed
