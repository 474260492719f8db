"""Whether a stream sends as much as it usually does.

What is usual is the lower end of what was seen (its tenth part), so that a quiet night, in which a
camera with variable bit rate sends little, is usual too.
"""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from analytics.pipeline.standing import StandingFault
from analytics.rules.signal import Signal
from analytics.rules.types import CameraRef
from camera_hub.streams.types import StreamState, StreamStatus
from core.clock import Clock

LEARN_S = 600.0
LOW_AFTER_S = 180.0
HEALED_AFTER_S = 60.0
FEW_PICTURES = 0.5
"""Of the usual pictures a second: a camera in the dark exposes longer, most halve their rate."""
FEW_BITS = 0.2
_QUANTILE = 0.1
_STEP_A_S = 0.002
"""How fast the usual follows: a tenth in a minute at most."""
_FASTEST_S = 1.0
ADOPTED_AFTER_S = 24 * 3600.0
"""A low rate that stays so long without swaying is the rate."""
_SWAYS = 0.25
_BITS_SWAY = 4.0
"""Bits follow what is seen: a night has a quarter of a day's."""


@dataclass(slots=True)
class _Usual:
    value: float = 0.0

    def learn(self, seen: float, passed_s: float) -> None:
        """Step towards the tenth part (stochastic approximation, Robbins and Monro, 1951)."""
        if self.value <= 0.0:
            self.value = seen
            return
        towards = _QUANTILE if seen > self.value else _QUANTILE - 1.0
        self.value *= 1.0 + _STEP_A_S * passed_s * towards / (1.0 - _QUANTILE)


@dataclass(slots=True)
class _Steady:
    """How long a low rate has not swayed, and where it stands."""

    fps: float
    kbps: float
    seconds: float = 0.0

    def goes_on(self, status: StreamStatus, passed_s: float) -> bool:
        """Take a status; say whether the rate is still about the same."""
        self.seconds += passed_s
        alike = abs(status.fps - self.fps) <= _SWAYS * self.fps
        return alike and 1 / _BITS_SWAY <= (status.bitrate_kbps + 1) / (self.kbps + 1) <= _BITS_SWAY


class RateWatch:
    """Follows the rates of one stream. Not thread-safe."""

    def __init__(self, *, low: bool = False) -> None:
        self.low = low
        self.seen_s = 0.0
        self._pictures, self._bits = _Usual(), _Usual()
        self._last_s: float | None = None
        self._since: float | None = None
        self._steady: _Steady | None = None

    def relearn(self) -> bool:
        """Forget what was usual: it was changed on purpose. Says whether that ends a low rate."""
        low, self.low = self.low, False
        self.seen_s = 0.0
        self._pictures, self._bits = _Usual(), _Usual()
        self._since = self._steady = None
        return low

    def update(self, status: StreamStatus, at_s: float) -> bool | None:
        """Take a status; return True when the rate has become low, False when it is well again.

        A stream that is away is somebody else's to report, and nothing is learned from it.
        """
        if status.state is not StreamState.ONLINE or status.fps <= 0:
            self._last_s = self._since = None
            return None
        if self._last_s is not None and at_s - self._last_s < _FASTEST_S:
            return None
        passed_s = 0.0 if self._last_s is None else min(10.0, at_s - self._last_s)
        self._last_s = at_s
        few = self.seen_s >= LEARN_S and (
            status.fps < FEW_PICTURES * self._pictures.value
            or status.bitrate_kbps < FEW_BITS * self._bits.value
        )
        if not few:
            self.seen_s += passed_s
            self._pictures.learn(status.fps, passed_s)
            self._bits.learn(status.bitrate_kbps, passed_s)
        elif self.low and self._adopts(status, passed_s):
            self._pictures, self._bits = _Usual(status.fps), _Usual(status.bitrate_kbps)
            self._since, self._steady, self.low = None, None, False
            return False
        return self._turn(few, at_s)

    def _adopts(self, status: StreamStatus, passed_s: float) -> bool:
        """Say whether a low rate has been the same for so long that it is meant."""
        if self._steady is None or not self._steady.goes_on(status, passed_s):
            self._steady = _Steady(status.fps, status.bitrate_kbps)
        return self._steady.seconds >= ADOPTED_AFTER_S

    def _turn(self, few: bool, at_s: float) -> bool | None:
        if few is self.low:
            self._since = None
            return None
        if self._since is None:
            self._since = at_s
        if at_s - self._since < (LOW_AFTER_S if few else HEALED_AFTER_S):
            return None
        self._since, self._steady, self.low = None, None, few
        return few


class RateFaults:
    """Follows the streams of a worker's cameras. Not thread-safe.

    Which are said to be low lies in the file `state`, for a restart.
    """

    def __init__(self, clock: Clock, *, source: str, state: Path) -> None:
        self._clock = clock
        self.fault = StandingFault(clock, kind="camera.low_rate", source=source, state=state)
        self._cameras: dict[UUID, tuple[CameraRef, RateWatch]] = {}

    def add(self, camera: CameraRef) -> None:
        """Begin with a camera, or anew: its settings may be others."""
        self._cameras[camera.id] = (camera, RateWatch(low=self.fault.stands(camera.id)))

    def remove(self, camera_id: UUID) -> Signal | None:
        """End with a camera; returns the end of what was said of it."""
        found = self._cameras.pop(camera_id, None)
        if found is None or not self.fault.stands(camera_id):
            return None
        return self._over(found[0])

    def relearn(self, camera_id: UUID) -> Signal | None:
        """A camera's encoder was set on purpose; returns the end of what was said of it."""
        found = self._cameras.get(camera_id)
        if found is None or not found[1].relearn():
            return None
        return self._over(found[0])

    def update(self, camera_id: UUID, status: StreamStatus) -> Signal | None:
        """Take a camera's status; returns what is to be said."""
        found = self._cameras.get(camera_id)
        if found is None:
            return None
        camera, watch = found
        low = watch.update(status, self._clock.monotonic())
        if low is None:
            return None
        seen = {"fps": round(status.fps, 1), "bitrate_kbps": round(status.bitrate_kbps)}
        if low:
            return self.fault.begin(camera, "sends far less video than usual", seen)
        return self._over(camera, seen)

    def _over(self, camera: CameraRef, seen: dict[str, float] | None = None) -> Signal:
        return self.fault.end(camera, "sends as much video as usual", seen)
