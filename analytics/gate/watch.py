"""The watch level: how often a camera's pictures go to the detector."""

from dataclasses import dataclass

from analytics.gate.motion import Motion

# After the last motion the detector looks on at full rate for this long.
SETTLE_S = 3.0
# A tracked object that keeps still is looked at this often, so that it is never lost.
STILL_INTERVAL_S = 0.9
# With nothing moving and nothing known, a look now and then finds who was there before the
# camera, or came in slower than the background follows.
IDLE_INTERVAL_S = 10.0


@dataclass(slots=True)
class Watch:
    """Decides for each picture whether it is due for the detector. Times in seconds, one clock."""

    max_fps: float
    _last_motion_s: float | None = None
    _last_look_s: float | None = None

    def due(self, at_s: float, motion: Motion, *, holding: bool) -> bool:
        """Return whether to detect in the picture of `at_s`, and count on it being done.

        Args:
            at_s: when the picture arrived.
            motion: what the gate saw in it.
            holding: objects are being tracked, or an event is running.
        """
        if motion or motion.whole_picture:
            self._last_motion_s = at_s
        if self._last_look_s is None:
            self._last_look_s = at_s
            return True
        lively = self._last_motion_s is not None and at_s - self._last_motion_s <= SETTLE_S
        interval = IDLE_INTERVAL_S
        if lively:
            # Half a frame early is on time: cameras do not keep step with this clock.
            interval = 1 / self.max_fps - 0.02
        elif holding:
            interval = max(STILL_INTERVAL_S, 1 / self.max_fps - 0.02)
        if at_s - self._last_look_s < interval:
            return False
        self._last_look_s = at_s
        return True
