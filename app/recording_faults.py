"""Recordings and disks that fail become events, and end when they are well again."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from uuid import UUID

from analytics.rules.journal import EventJournal
from analytics.rules.signal import FaultKind, Signal, fault_signal
from camera_hub.recording.disks import DiskReport
from camera_hub.recording.service import FAILING_AFTER_S, CameraRecording
from camera_hub.streams.types import AssignedCamera, StreamState, StreamStatus
from core.clock import Clock
from core.logging import get_logger

_DISK_AFTER_S = 5.0
_WHY = {
    "no_video": "its stream to be recorded gives no pictures",
    "no_disk": "no disk can be written to",
    "disk_slow": "the disk does not keep up",
    "masks": "its masked pictures cannot be made",
}

log = get_logger("app.media")


class RecordingFaults:
    """Follows recordings and disks; not thread-safe.

    The keys of running events lie in a file: what failed before a restart ends after it.
    """

    def __init__(
        self, clock: Clock, emit: Callable[[Signal], object], journal: Path, worker: str
    ) -> None:
        """Make a watch.

        Args:
            clock: measures how long a disk is bad.
            emit: keeps a signal durably, as `Spool.put` does.
            journal: the file that outlives the process.
            worker: its name; signals come from `/workers/<name>`.
        """
        self._clock = clock
        self._emit = emit
        self._worker = worker
        self._running = EventJournal(journal)
        self._bad_since: dict[str, float] = {}
        self._online_since: dict[UUID, float] = {}

    def observe(
        self,
        cameras: Mapping[UUID, AssignedCamera],
        statuses: Mapping[UUID, StreamStatus],
        recordings: Mapping[UUID, CameraRecording],
        disks: Iterable[DiskReport],
    ) -> None:
        """Take how everything is doing; call it about every second."""
        for camera_id, camera in cameras.items():
            status = statuses.get(camera_id)
            recording = recordings.get(camera_id, CameraRecording("off"))
            online = status is not None and status.state is StreamState.ONLINE
            if recording.state == "failing" and self._is_ours(camera_id, recording, online=online):
                self._started(
                    f"camera:{camera_id}",
                    "camera.not_recording",
                    f"{camera.name} is not recorded: {_WHY.get(recording.reason, 'unknown')}",
                    area=camera.area,
                    camera_id=str(camera_id),
                    detail={"reason": recording.reason, "disk": recording.disk},
                )
            elif recording.state in {"recording", "off"} or recording.reason in {
                "schedule",
                "event",
            }:
                self._ended(camera, recording)
        for disk in disks:
            self._observe_disk(disk)
        self._running.save()

    def _is_ours(self, camera_id: UUID, recording: CameraRecording, *, online: bool) -> bool:
        """Say whether this is more than the camera being away, which is told as that."""
        if not online:
            self._online_since.pop(camera_id, None)
            return recording.reason != "no_video"
        now = self._clock.monotonic()
        # The stream to be recorded may be back a little later than the other.
        since = self._online_since.setdefault(camera_id, now)
        return recording.reason != "no_video" or now - since >= FAILING_AFTER_S

    def _observe_disk(self, disk: DiskReport) -> None:
        key = f"disk:{disk.name}"
        if disk.state == "ok":
            self._bad_since.pop(disk.name, None)
            self._end(key, "storage.disk_failed", f"Disk '{disk.name}' is in use again")
            return
        now = self._clock.monotonic()
        if now - self._bad_since.setdefault(disk.name, now) >= _DISK_AFTER_S:
            self._started(
                key,
                "storage.disk_failed",
                f"Disk '{disk.name}' takes no recordings. {disk.reason}",
                severity_is_high=True,
                detail={"disk": disk.name, "state": disk.state.value},
            )

    def _ended(self, camera: AssignedCamera, recording: CameraRecording) -> None:
        what = "is no longer to be recorded" if recording.state == "off" else "is recorded again"
        self._end(
            f"camera:{camera.id}",
            "camera.not_recording",
            f"{camera.name} {what}",
            area=camera.area,
            camera_id=str(camera.id),
        )

    def _started(
        self,
        key: str,
        kind: FaultKind,
        headline: str,
        *,
        area: str = "",
        camera_id: str | None = None,
        severity_is_high: bool = False,
        detail: dict[str, str] | None = None,
    ) -> None:
        if self._running.key(key):
            return
        self._running.begin(key, f"{key}:{int(self._clock.now().timestamp())}")
        self._emit(
            fault_signal(
                self._clock,
                source=f"/workers/{self._worker}",
                kind=kind,
                phase="started",
                event_key=self._running.key(key),
                headline=headline,
                severity="severe" if severity_is_high else "moderate",
                subject=camera_id or key,
                area=area,
                camera_id=camera_id,
                detail=dict(detail or {}),
            )
        )

    def _end(
        self,
        key: str,
        kind: FaultKind,
        headline: str,
        *,
        area: str = "",
        camera_id: str | None = None,
    ) -> None:
        event_key = self._running.end(key)
        if not event_key:
            return
        self._emit(
            fault_signal(
                self._clock,
                source=f"/workers/{self._worker}",
                kind=kind,
                phase="ended",
                event_key=event_key,
                headline=headline,
                subject=camera_id or key,
                area=area,
                camera_id=camera_id,
            )
        )
