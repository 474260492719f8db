"""When a sound was heard, on the timeline of the video.

Both tracks have clocks of their own. Where the camera's sender reports of both came (RFC 3550
section 6.4.1) they say which times belong together; before that, and where they contradict what is
seen by more than `BELIEVED_S`, the arrivals do: what arrived with the least delay of either track
belongs together. The place follows what is found slowly, 5 ms for each second, so that two clocks
that drift stay together without a break; what is further off is corrected at once. Then sound is
left out where it would lie over what was there already.
"""

from __future__ import annotations

from camera_hub.streams.rtsp.rtp import SenderReport

BELIEVED_S = 2.0
JUMP_FORWARD_S = 2.0
_SLEW = 0.005
_CORRECT_EXACT_S = 0.1
_CORRECT_ARRIVAL_S = 0.3
_OVERLAP = 0.3
_WINDOW_S = 10.0
_ODD_STEPS = 8
_TOLERANCE_S = 0.01


class _Earliest:
    """The largest of the values of the last ten to twenty seconds."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._before = self._now = float("-inf")

    @property
    def value(self) -> float | None:
        return max(self._before, self._now) if self._since is not None else None

    def add(self, value: float, at: float) -> None:
        if self._since is None or at - self._since > _WINDOW_S:
            self._before = self._now if self._since is not None else float("-inf")
            self._now = float("-inf")
            self._since = at
        self._now = max(self._now, value)

    def clear(self) -> None:
        self._since = None
        self._before = self._now = float("-inf")


class SoundClock:
    """Places the sound of one connection. `jumps` and `overlapped` count what went wrong.

    `heard` turns the RTP time of a packet into the sound's own seconds, which go on whatever the
    camera's clock does; `place` turns those into a time of the video.
    """

    def __init__(self, clock_rate: int) -> None:
        """Begin; `clock_rate` is that of the sound's RTP times."""
        self.jumps = 0
        self.overlapped = 0
        self._rate = clock_rate
        self._per_second = 90000.0
        self._video = _Earliest()
        self._sound = _Earliest()
        self._ticks: int | None = None
        self._expected = 0.0
        self._own_s = self._length_s = 0.0
        self._arrived = self._jumped_at = 0.0
        self._odd = 0
        self._counting = False
        self._exact_s: float | None = None
        self._offset_s: float | None = None
        self._last = 0
        self._end_s = 0.0

    def begin_video(self, per_second: float) -> None:
        """Take the video's ticks a second; its timeline begins anew."""
        self._per_second = per_second
        self._video.clear()
        self._offset_s = self._exact_s = None
        self._last, self._end_s = 0, 0.0

    def video(self, dts: int, arrived: float) -> None:
        """Take a picture's place on the timeline and when it arrived (monotonic)."""
        self._video.add(dts / self._per_second - arrived, arrived)

    def heard(self, ticks: int, length_s: float, arrived: float, *, lost: bool) -> float:
        """Return the own time, in seconds, of what was heard at `ticks` for `length_s`.

        `lost` says that packets are missing before it.
        """
        if self._ticks is None:
            self._own_s = ticks / self._rate
        else:
            self._own_s += self._step(ticks, arrived, lost=lost)
        self._ticks, self._arrived, self._length_s = ticks, arrived, length_s
        self._sound.add(self._own_s + length_s - arrived, arrived)
        return self._own_s

    def reports(self, sound: SenderReport | None, video: SenderReport | None, at: float) -> None:
        """Take the newest reports of both tracks; `at` is where on the timeline that of video is.

        `at` in seconds. Reports from before a jump of the sound's clock say nothing.
        """
        if (
            sound is None
            or video is None
            or self._counting
            or self._ticks is None
            or sound.arrived_monotonic < self._jumped_at
        ):
            self._exact_s = None
            return
        own_s = self._own_s + (sound.ticks - self._ticks) / self._rate
        self._exact_s = at + sound.unix_s - video.unix_s - own_s

    def place(self, own_s: float, length_s: float) -> int | None:
        """Return where on the video's timeline, in its ticks, a frame lies; None: nowhere."""
        target, most = self._target()
        if target is None:
            return None
        if self._offset_s is None or abs(target - self._offset_s) > most:
            self._offset_s = target
        else:
            step = _SLEW * length_s
            self._offset_s += min(max(target - self._offset_s, -step), step)
        at_s = own_s + self._offset_s
        if at_s < 0 or at_s < self._end_s - _OVERLAP * length_s:
            self.overlapped += 1
            return None
        self._end_s = at_s + length_s
        self._last = max(self._last, round(at_s * self._per_second))
        return self._last

    def _target(self) -> tuple[float | None, float]:
        """Return what to add to the own time, and how far off that may be until it is taken."""
        video, sound = self._video.value, self._sound.value
        if video is None or sound is None:
            return None, 0.0
        by_arrival = video - sound
        if self._exact_s is not None and abs(self._exact_s - by_arrival) < BELIEVED_S:
            return self._exact_s, _CORRECT_EXACT_S
        return by_arrival, _CORRECT_ARRIVAL_S

    def _step(self, ticks: int, arrived: float, *, lost: bool) -> float:
        """Return how far the own time goes on."""
        assert self._ticks is not None
        step = (ticks - self._ticks) / self._rate
        if self._counting:
            return self._length_s
        if not lost:
            # A clock that never agrees with the number of samples is in other units, or stands.
            agrees = abs(step - self._length_s) < _TOLERANCE_S
            self._odd = max(0, self._odd - 1) if agrees else self._odd + 1
            if self._odd >= _ODD_STEPS:
                self._counting = True
                self._anchor(arrived)
                return self._length_s
        if step < 0 or step > arrived - self._arrived + JUMP_FORWARD_S:
            self.jumps += 1
            self._anchor(arrived)
            return self._length_s
        return step

    def _anchor(self, arrived: float) -> None:
        self._sound.clear()
        self._exact_s = None
        self._jumped_at = arrived
