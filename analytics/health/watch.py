"""Whether one camera's pictures are all right: a few looks a minute, and signals of what is not.

Pictures of before and after go with the signal, masked as every picture is.
"""

from collections.abc import Callable, Sequence
from typing import Any

from analytics.health.checker import Change, Fault, PictureChecker
from analytics.health.measures import HEIGHT, WIDTH, Visible, visible_outside
from analytics.health.memory import HealthMemory
from analytics.rules.signal import FaultKind, Signal, Snapshot, fault_signal
from analytics.rules.types import CameraRef
from camera_hub.streams.painting import Polygon
from camera_hub.streams.types import Frame
from core.clock import Clock

LOOK_EVERY_S = 10.0
BEFORE_EVERY_S = 60.0
"""How old the picture of before may be."""
REMEMBER_EVERY_S = 600.0
LEAST_VISIBLE = 0.05
"""A camera of which masks leave less than this is not judged."""

_KINDS: dict[Fault, FaultKind] = {
    "frozen": "camera.frozen",
    "black": "camera.black",
    "overexposed": "camera.overexposed",
    "covered": "camera.covered",
    "blurred": "camera.blurred",
    "moved": "camera.moved",
}
_BEGUN: dict[Fault, str] = {
    "frozen": "The picture of {name} stands still",
    "black": "The picture of {name} is black",
    "overexposed": "The picture of {name} is too bright to see anything",
    "covered": "{name} is covered",
    "blurred": "The picture of {name} is blurred",
    "moved": "{name} looks elsewhere than before",
}
_OVER: dict[Fault, str] = {
    "frozen": "The picture of {name} moves again",
    "black": "The picture of {name} is no longer black",
    "overexposed": "The picture of {name} is no longer too bright",
    "covered": "{name} is no longer covered",
    "blurred": "The picture of {name} is sharp again",
    "moved": "{name} looks where it looked before",
}

TakePicture = Callable[[Frame], Snapshot]


class HealthWatch:
    """Looks at one camera's pictures. Called by the thread of its pipeline only."""

    def __init__(
        self,
        camera: CameraRef,
        clock: Clock,
        *,
        source: str,
        memory: HealthMemory,
        picture: TakePicture | None,
    ) -> None:
        """Make a watch that goes on where the one of an earlier process ended.

        Args:
            camera: as the signals name it.
            clock: dates the signals.
            source: CloudEvents source, as `/workers/media-0`.
            memory: what was learned of this camera, and what was said of it.
            picture: makes a JPEG with the masks that hold at the moment; None: no picture goes
                with what is said.
        """
        self._camera = camera
        self._clock = clock
        self._source = source
        self._memory = memory
        self._picture = picture
        usual, self._keys = memory.load(camera.id)
        self._checker = PictureChecker(usual, set(self._keys))
        self._looked_s = float("-inf")
        self._before: tuple[Snapshot, float] | None = None
        self._remembered_s = float("-inf")
        self._seen_outside: tuple[Sequence[Polygon], Visible | None] | None = None

    def look(self, frame: Frame, masks: Sequence[Polygon]) -> list[Signal]:
        """Take a picture; return the signals of what has changed. Most are not looked at."""
        at_s = frame.arrived_monotonic
        if at_s - self._looked_s < LOOK_EVERY_S:
            return []
        self._looked_s = at_s
        visible = self._visible(masks)
        if visible is not None and visible.mean() < LEAST_VISIBLE:
            return []
        changes = self._checker.look(frame.luma(WIDTH, HEIGHT), at_s, visible)
        signals = [self._signal(change, frame) for change in changes]
        before = self._before
        well = not self._checker.faults and not self._checker.suspects
        due = before is None or at_s - before[1] >= BEFORE_EVERY_S
        if well and due and self._picture is not None:
            self._before = (self._picture(frame), at_s)
        if changes or at_s - self._remembered_s >= REMEMBER_EVERY_S:
            self._remembered_s = at_s
            self._memory.save(self._camera.id, self._checker.usual, self._keys)
        return signals

    def _visible(self, masks: Sequence[Polygon]) -> Visible | None:
        if self._seen_outside is None or self._seen_outside[0] != masks:
            self._seen_outside = (tuple(masks), visible_outside(masks))
        return self._seen_outside[1]

    def forget_pictures(self) -> None:
        """Drop the picture of before: it was made with other masks."""
        self._before = None

    def relearn(self) -> list[Signal]:
        """The camera was turned on purpose: learn its view anew."""
        self._before = None
        return [self._signal(change, None) for change in self._checker.relearn()]

    def _signal(self, change: Change, frame: Frame | None) -> Signal:
        fault = change.fault
        if change.started:
            moment = int(self._clock.now().timestamp())
            self._keys[fault] = f"{self._camera.id}:{fault}:{moment}"
        key = self._keys.get(fault) or f"{self._camera.id}:{fault}"
        if not change.started:
            self._keys.pop(fault, None)
        pictures = self._pictures(frame) if change.started and frame is not None else []
        return _signal_of(
            self._camera, self._clock, change, source=self._source, key=key, pictures=pictures
        )

    def _pictures(self, frame: Frame) -> list[dict[str, Any]]:
        if self._picture is None:
            return []
        taken = [("after.jpg", self._picture(frame))]
        if self._before is not None:
            taken.insert(0, ("before.jpg", self._before[0]))
        return [snapshot.to_json() | {"name": name} for name, snapshot in taken]


def all_over(camera: CameraRef, clock: Clock, *, source: str, memory: HealthMemory) -> list[Signal]:
    """Return the end of all that was said of a camera that nobody looks at any more; forget it."""
    _, keys = memory.load(camera.id)
    memory.forget(camera.id)
    return [
        _signal_of(camera, clock, Change(fault, started=False), source=source, key=key, pictures=[])
        for fault, key in sorted(keys.items())
    ]


def _signal_of(
    camera: CameraRef,
    clock: Clock,
    change: Change,
    *,
    source: str,
    key: str,
    pictures: Sequence[dict[str, Any]],
) -> Signal:
    fault = change.fault
    return fault_signal(
        clock,
        source=source,
        kind=_KINDS[fault],
        phase="started" if change.started else "ended",
        event_key=key,
        headline=(_BEGUN if change.started else _OVER)[fault].replace("{name}", camera.name),
        severity="severe" if fault == "covered" else "moderate",
        subject=str(camera.id),
        area=camera.area,
        camera_id=str(camera.id),
        attachments=pictures,
    )
