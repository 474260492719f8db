"""A detector inside this process: fits pictures to the model, packs small ones, stays fair."""

import threading
from collections import OrderedDict, deque
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass

from analytics.detectors.canvas import Placement, compose, fits_tile
from analytics.detectors.failing import fail
from analytics.detectors.types import (
    CanvasRunner,
    DetectionLateError,
    DetectorUnavailableError,
    ModelInfo,
    Picture,
    Rows,
)
from core.clock import Clock
from core.logging import get_logger

_TILES = 4

log = get_logger("analytics.detector")


@dataclass(slots=True)
class _Waiting:
    picture: Picture
    expires: float
    future: "Future[Rows]"


class LocalDetector:
    """Feeds one runner from pictures of many sources.

    Sources take turns in the order in which their pictures came; a source has at most one
    picture waiting, the newest. When several waiting pictures are small enough, up to four
    share one inference.
    """

    def __init__(self, runner: CanvasRunner, clock: Clock, *, pack: bool = True) -> None:
        self._runner = runner
        self._clock = clock
        self._pack = pack
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._anonymous: deque[str] = deque()
        self._serial = 0
        self._changed = threading.Condition()
        self._busy = 0
        self._closed = False
        self.failures = 0
        """Inferences that could not be started; their pictures failed."""
        self._thread = threading.Thread(target=self._work, name="detector", daemon=True)
        self._thread.start()

    def describe(self) -> ModelInfo:
        """Return the model in use."""
        return self._runner.info

    def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> "Future[Rows]":
        """Start a detection and return at once; without `source` nothing is replaced."""
        future: Future[Rows] = Future()
        entry = _Waiting(picture, self._clock.monotonic() + deadline_ms / 1000, future)
        with self._changed:
            if self._closed:
                future.set_exception(DetectorUnavailableError("The detector has been closed."))
                return future
            if not source:
                self._serial += 1
                source = f"\0{self._serial}"
            older = self._waiting.get(source)
            self._waiting[source] = entry
            self._changed.notify_all()
        if older is not None:
            fail(older.future, DetectionLateError("A newer picture of the same source came first."))
        return future

    def close(self) -> None:
        """Fail what waits, finish what is in work, and let go of the model."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._runner.close()
        for entry in self._waiting.values():
            fail(entry.future, DetectorUnavailableError("The detector has been closed."))
        self._waiting.clear()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._waiting or self._busy >= self._runner.slots):
                    self._changed.wait()
                if self._closed:
                    return
                late, group = self._take()
                self._busy += bool(group)
            for entry in late:
                fail(entry.future, DetectionLateError("Its deadline passed before its turn came."))
            if group:
                try:
                    self._start(group)
                except Exception as error:
                    # The top of a supervised loop: if this thread ended, all cameras were blind.
                    self.failures += 1
                    log.exception("a detection could not be started", failures=self.failures)
                    with self._changed:
                        self._busy -= 1
                    for entry in group:
                        fail(entry.future, error)

    def _take(self) -> tuple[list[_Waiting], list[_Waiting]]:
        """Take from the queue all pictures that are late, and the next ones to work on."""
        now = self._clock.monotonic()
        late = [source for source, entry in self._waiting.items() if entry.expires <= now]
        late_entries = [self._waiting.pop(source) for source in late]
        if not self._waiting:
            return late_entries, []
        size = self._runner.info.input
        _, first = self._waiting.popitem(last=False)
        group = [first]
        if self._pack and fits_tile(first.picture, size):
            small = [s for s, entry in self._waiting.items() if fits_tile(entry.picture, size)]
            group += [self._waiting.pop(source) for source in small[: _TILES - 1]]
        return late_entries, group

    def _start(self, group: list[_Waiting]) -> None:
        canvas, placements = compose([entry.picture for entry in group], self._runner.info.input)

        def done(finished: "Future[Rows]") -> None:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
            _deliver(finished, group, placements)

        self._runner.run(canvas).add_done_callback(done)


def _deliver(finished: "Future[Rows]", group: list[_Waiting], placements: list[Placement]) -> None:
    error = finished.exception()
    for entry, placement in zip(group, placements, strict=True):
        if error is not None:
            fail(entry.future, error)
        else:
            try:
                entry.future.set_result(placement.back(finished.result()))
            except InvalidStateError:
                continue
