"""What the workers said last: in memory, for it is old after a second.

The database keeps only states (`CameraStatus`), written when they change; counters and the moment
of the last heartbeat live here and come back with the next heartbeat after a restart.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from camera_hub.devices.heartbeat_schemas import (
    HeartbeatIn,
    ReportedStatus,
)
from core.clock import Clock

LOST_AFTER_S = 5.0
"""A worker that was silent for so long no longer reads its cameras."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """A worker's last heartbeat and when it came."""

    name: str
    heartbeat: HeartbeatIn
    at: datetime
    monotonic: float


class Board:
    """The last report of each worker and of each camera."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._workers: dict[str, WorkerReport] = {}
        self._cameras: dict[UUID, tuple[str, ReportedStatus]] = {}

    def last(self, name: str) -> WorkerReport | None:
        """Return a worker's last report."""
        return self._workers.get(name)

    def take(self, name: str, heartbeat: HeartbeatIn) -> None:
        """Note a heartbeat."""
        self._workers[name] = WorkerReport(
            name, heartbeat, self._clock.now(), self._clock.monotonic()
        )
        for camera_id in [c for c, (worker, _) in self._cameras.items() if worker == name]:
            del self._cameras[camera_id]
        for status in heartbeat.cameras:
            self._cameras[status.camera_id] = (name, status)

    def alive(self, report: WorkerReport) -> bool:
        """Say whether the worker was heard of lately."""
        return self._clock.monotonic() - report.monotonic < LOST_AFTER_S

    def workers(self) -> list[WorkerReport]:
        """Return the last report of every worker, by name."""
        return [self._workers[name] for name in sorted(self._workers)]

    def status(self, camera_id: UUID) -> ReportedStatus | None:
        """Return what a living worker said of the camera, None when nobody did."""
        found = self._cameras.get(camera_id)
        if found is None or not self.alive(self._workers[found[0]]):
            return None
        return found[1]

    def address(self, camera_id: UUID) -> str | None:
        """Return where the worker that reads the camera serves its pictures, None without one."""
        found = self._cameras.get(camera_id)
        if found is None or not self.alive(self._workers[found[0]]):
            return None
        return self._workers[found[0]].heartbeat.address

    def orphans(self) -> list[UUID]:
        """Return the cameras whose worker has fallen silent."""
        return [c for c, (name, _) in self._cameras.items() if not self.alive(self._workers[name])]

    def forget(self, camera_id: UUID) -> None:
        """Drop what was said of a camera."""
        self._cameras.pop(camera_id, None)
