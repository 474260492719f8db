"""The recordings of one media worker: which cameras record, how they do, what is to be sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from camera_hub.live.runtime import MediaRuntime
from camera_hub.recording.care import Caretaker, last_sequence
from camera_hub.recording.disks import Disk, DiskReport, Disks, DiskState
from camera_hub.recording.files import SegmentRecord
from camera_hub.recording.plans import Plan
from camera_hub.recording.recorder import Progress, Recorder, RecorderOptions
from camera_hub.recording.sending import Post, Sender
from camera_hub.streams.types import AssignedCamera, StreamRole
from core.clock import Clock
from core.errors import UnavailableError
from core.logging import get_logger
from core.metrics import counter
from core.settings_recording import DiskSettings, RecordingSettings

LATE_S = 10.0
"""How long a file that has ended waits for motion that is learnt late; of short files a sixth."""
FAILING_AFTER_S = 30.0
"""A camera of which nothing was recorded for so long, though it should have been, is failing."""
_FRESH_S = 5.0
_LOST_FOR_S = 60.0
_TICK_S = 1.0
_STOP_S = 5.0
_FINISH_S = 2.0
_SEQUENCE_TIMEOUT_S = 2.0

RecordingState = Literal["off", "recording", "waiting", "failing"]
Reason = Literal["", "starting", "schedule", "event", "no_video", "no_disk", "disk_slow", "masks"]

log = get_logger(__name__)
ERRORS = counter("recording_errors", "Errors in the upkeep of recordings that nobody expected")


@dataclass(frozen=True, slots=True)
class CameraRecording:
    """How a camera's recording is doing; `bytes` since the worker began with it.

    `reason` while waiting: what for (`schedule`, `event`, `starting`); while failing: `no_video`
    (the stream gives nothing), `no_disk`, `disk_slow` (parts were left out lately), `masks` (the
    masked pictures cannot be made).
    """

    state: RecordingState
    reason: Reason = ""
    disk: str = ""
    bytes: int = 0
    last_segment_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as in the heartbeat."""
        return {
            "state": self.state,
            "reason": self.reason,
            "disk": self.disk,
            "bytes": self.bytes,
            "last_segment_at": self.last_segment_at and self.last_segment_at.isoformat(),
        }


class _Recorded:
    """A camera that is to record."""

    def __init__(self, recorder: Recorder, plan: Plan, role: StreamRole, shape: object) -> None:
        self.recorder = recorder
        self.plan = plan
        self.role = role
        self.shape = shape
        self.refused = True
        self.wanted_since: float | None = None
        self.lost = 0
        self.lost_at = float("-inf")


class Recordings:
    """Recorders of a worker's cameras, their disks, and what is to be told. Thread-safe."""

    def __init__(
        self,
        runtime: MediaRuntime,
        settings: RecordingSettings,
        disks: Iterable[DiskSettings],
        *,
        clock: Clock,
        data_dir: Path,
        site: str,
        zone: tzinfo,
        post: Post,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Make the recordings of a worker; `start` them.

        Args:
            runtime: gives the packets.
            settings: lengths.
            disks: where to.
            clock: the one that dates the packets.
            data_dir: where it is remembered which disks were in use.
            site: name of the site, for the files' headers.
            zone: the site's time zone, for schedules.
            post: tells the hub of closed segments.
            loop: where `post` runs.
        """
        self._runtime = runtime
        self._clock = clock
        self._site = site
        self._zone = zone
        late_s = min(LATE_S, settings.segment_s / 6)
        self._options = RecorderOptions(settings.segment_s, settings.part_s, late_s=late_s)
        self.disks = Disks.of(disks, data_dir, clock, flush_s=settings.flush_s)
        self._by_name = {disk.name: disk for disk in self.disks}
        self.sender = Sender(post, loop)
        self._caretaker = Caretaker(self.disks, clock, on_waiting=self.sender.add)
        self._lock = threading.RLock()
        self._cameras: dict[UUID, _Recorded] = {}
        self._silent: set[Disk] = set()
        self._sequences: dict[tuple[UUID, str], int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)

    def start(self) -> None:
        """Begin with the disks: what was left unfinished is mended, what waits is sent."""
        self.disks.start()
        self._caretaker.start()
        self._thread.start()

    def finish(self) -> None:
        """Close all files, for a worker that ends; what was closed may still be sent."""
        self._stopped.set()
        self._thread.join(_STOP_S)
        with self._lock:
            for camera_id in list(self._cameras):
                self._end(camera_id)
        closings = [disk.ask(_nothing) for disk in self.disks if disk.usable]
        with suppress(FutureTimeoutError):
            for closing in closings:
                closing.result(_FINISH_S)

    def close(self) -> None:
        """Close all files and leave the disks."""
        self.finish()
        self._caretaker.stop()
        self.disks.stop(_STOP_S)

    def apply(self, cameras: Iterable[AssignedCamera]) -> None:
        """Record these cameras as they say, and no others; call it after the runtime's `apply`."""
        wanted = {camera.id: camera for camera in cameras if camera.streams}
        with self._lock:
            self._silent.clear()
            for camera_id in self._cameras.keys() - wanted.keys():
                self._end(camera_id)
            for camera in wanted.values():
                self._apply_one(camera)
            self._tick()

    def motion(self, camera_id: UUID, at: datetime) -> None:
        """Something moved before the camera at that instant (aware): mark it, and record events."""
        camera = self._cameras.get(camera_id)
        if camera is None:
            return
        camera.recorder.motion(at)
        if camera.plan.mode == "event":
            camera.recorder.trigger(camera.plan.post_s)

    def ask(self, camera_id: UUID) -> None:
        """Record a camera that records at times for `post_s` from now on, whatever is seen."""
        camera = self._cameras.get(camera_id)
        if camera is not None:
            camera.recorder.trigger(camera.plan.post_s)

    def cameras(self) -> dict[UUID, CameraRecording]:
        """Return how the cameras that are to record are doing."""
        # Without the lock: an assignment may wait for a disk, and whoever asks is not to.
        return {camera_id: self._report(c) for camera_id, c in self._cameras.copy().items()}

    def disk_reports(self) -> list[DiskReport]:
        """Return how the disks are doing."""
        return [disk.report() for disk in self.disks]

    def _apply_one(self, camera: AssignedCamera) -> None:
        plan = _plan_of(camera)
        # A stream that is taken away or added makes the runtime begin the camera anew.
        shape = (tuple(sorted(camera.streams)), plan.role)
        current = self._cameras.get(camera.id)
        if current is not None and (not plan.reads or current.shape != shape):
            self._end(camera.id)
            current = None
        if not plan.reads:
            return
        if current is None:
            role = plan.role if plan.role in camera.streams else next(iter(camera.streams))
            recorder = self._recorder(camera.id, role)
            current = self._cameras[camera.id] = _Recorded(recorder, plan, role, shape)
        current.plan = plan

    def _begin(self, camera_id: UUID, camera: _Recorded) -> None:
        # Where its masked pictures cannot be made, nothing of it is recorded.
        with suppress(UnavailableError):
            camera.refused = not self._runtime.record(camera_id, camera.role, camera.recorder)

    def _end(self, camera_id: UUID) -> None:
        camera = self._cameras.pop(camera_id)
        self._runtime.stop_recording(camera_id, camera.role, camera.recorder)
        camera.recorder.closed()
        camera.recorder.settle(at_once=True)
        self._sequences[camera_id, camera.role] = camera.recorder.sequence

    def _recorder(self, camera_id: UUID, role: StreamRole) -> Recorder:
        return Recorder(
            camera_id,
            role,
            self.disks,
            clock=self._clock,
            site=self._site,
            options=self._options,
            first_sequence=self._next_sequence(camera_id, role),
            on_closed=self._on_closed,
        )

    def _next_sequence(self, camera_id: UUID, role: str) -> int:
        known = self._sequences.get((camera_id, role))
        if known is not None:
            return known + 1
        asked = {
            disk: disk.ask(partial(last_sequence, disk.path, camera_id, role))
            for disk in self.disks
            if disk not in self._silent and disk.state is not DiskState.HANGING
        }
        highest = 0
        for disk, answer in asked.items():
            try:
                highest = max(highest, answer.result(_SEQUENCE_TIMEOUT_S))
            except FutureTimeoutError:
                # It is waited for once in an assignment, not once for each camera.
                self._silent.add(disk)
            except OSError:
                continue
        return highest + 1

    def _on_closed(self, record: SegmentRecord) -> None:
        self.sender.add(self._by_name[record.disk], [record.id])

    def _run(self) -> None:
        while not self._stopped.wait(_TICK_S):
            try:
                with self._lock:
                    self._tick()
            except Exception as error:  # noqa: BLE001 - top of the loop: counted, logged, gone on
                ERRORS.inc()
                log.error("upkeep of recordings failed", error=repr(error))

    def _tick(self) -> None:
        now, at = self._clock.monotonic(), self._clock.now()
        for camera_id, camera in self._cameras.items():
            if camera.refused:
                self._begin(camera_id, camera)
            cause = camera.plan.cause(at, self._zone)
            camera.recorder.wish(cause, camera.plan.pre_s)
            camera.recorder.settle()
            if not camera.recorder.wanted:
                camera.wanted_since = None
            elif camera.wanted_since is None:
                camera.wanted_since = now
            lost = camera.recorder.progress().lost
            if lost > camera.lost:
                camera.lost, camera.lost_at = lost, now

    def _report(self, camera: _Recorded) -> CameraRecording:
        progress = camera.recorder.progress()
        state, reason = self._state(camera, progress)
        return CameraRecording(
            state, reason, progress.disk, progress.bytes, progress.last_segment_at
        )

    def _state(self, camera: _Recorded, progress: Progress) -> tuple[RecordingState, Reason]:
        now, since = self._clock.monotonic(), camera.wanted_since
        if since is None:
            return "waiting", "schedule" if camera.plan.mode == "schedule" else "event"
        if now - camera.lost_at < _LOST_FOR_S:
            return "failing", "disk_slow"
        written = progress.written_at if progress.written_at is not None else float("-inf")
        if now - written < _FRESH_S + self._options.part_s:
            return "recording", ""
        # A camera that has just come back is given as long as one that has just been added.
        flowing = progress.flowing_since if progress.flowing_since is not None else since
        late = now - max(written, since, flowing) > FAILING_AFTER_S
        return ("failing" if late else "waiting"), self._why(camera, progress, late=late)

    def _why(self, camera: _Recorded, progress: Progress, *, late: bool) -> Reason:
        """Return why nothing is written; `late` tells a fault from a beginning."""
        packet_at = progress.packet_at if progress.packet_at is not None else float("-inf")
        if camera.refused:
            return "masks"
        if self._clock.monotonic() - packet_at > _FRESH_S:
            return "no_video" if late else "starting"
        if self.disks.choose() is None:
            return "no_disk"
        return "disk_slow" if late else "starting"


def _nothing() -> None:
    """What a disk is asked to do last."""


def _plan_of(camera: AssignedCamera) -> Plan:
    try:
        return Plan.from_json(camera.recording)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        # A newer hub may say what this worker does not know: what is recorded goes to nobody then.
        log.error("a plan is not understood", camera_id=str(camera.id), reason=repr(error))
        return Plan()
