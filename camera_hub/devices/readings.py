"""How cameras are doing: what their workers report, who reads which, and what is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions import Law
from camera_hub.devices import repository
from camera_hub.devices.assignment import assigned, revision_of, worker_for
from camera_hub.devices.board import Board
from camera_hub.devices.heartbeat_schemas import (
    AssignedCameraOut,
    HeartbeatIn,
    ReportedStatus,
)
from camera_hub.devices.models import Camera, CameraStatus, MediaWorker
from camera_hub.devices.motions import Motions
from camera_hub.devices.schemas import (
    StatusOut,
)
from camera_hub.streams.types import ReasonCode, StreamState
from core.clock import Clock
from core.secrets import SecretBox

WORKER_COUNTS_FOR = timedelta(seconds=10)
_WRITE_HEARTBEAT_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A camera whose state is another one than before; tell those who may see its area."""

    camera_id: UUID
    area: str
    status: StatusOut


class Readings:
    """The part of `Devices` that media workers talk to."""

    def __init__(self, clock: Clock, secrets: SecretBox, law: Law) -> None:
        self._clock = clock
        self.law = law
        self._secrets = secrets
        self.board = Board(clock)
        self.motions = Motions(clock)
        # Cameras that somebody turns from here.
        self.turned = Motions(clock)
        # Cameras of which somebody sets an encoder from here.
        self.retuned = Motions(clock)
        self._written: dict[str, float] = {}

    def password_of(self, camera: Camera) -> str:
        """Return the camera's password.

        Raises:
            SecretBoxError: it was sealed with another key file.
        """
        return self._secrets.open(camera.password_sealed) if camera.password_sealed else ""

    def status_of(self, camera: Camera) -> StatusOut:
        """Return how the camera is doing: from its worker, else what is known without one."""
        if not camera.enabled:
            since = camera.status.since if camera.status else camera.created_at
            return StatusOut(
                state=StreamState.DISABLED,
                reason_code=ReasonCode.DISABLED,
                reason="Switched off by an administrator.",
                since=since,
            )
        reported = self.board.status(camera.id)
        if reported is not None:
            return reported
        if camera.status is not None:
            return StatusOut(
                state=StreamState(camera.status.state),
                reason_code=ReasonCode(camera.status.reason_code),
                reason=camera.status.reason,
                since=camera.status.since,
            )
        return StatusOut(
            state=StreamState.CONNECTING,
            reason_code=ReasonCode.STARTING,
            reason="Waiting for a media worker to read it.",
            since=camera.created_at,
        )

    async def heartbeat(
        self, session: AsyncSession, name: str, beat: HeartbeatIn
    ) -> list[StatusChange]:
        """Write what is new in a worker's heartbeat; return the cameras whose state changed.

        The caller gives it to `board.take` once the transaction is committed, so that a change
        that could not be written is found again with the next heartbeat.
        """
        if self._due(name, beat):
            self._written[name] = self._clock.monotonic()
            await repository.put_worker(
                session,
                MediaWorker(
                    name=name,
                    pid=beat.pid,
                    address=beat.address,
                    heartbeat_at=self._clock.now(),
                    revision=beat.revision or "",
                ),
            )
        return await self._note(session, {s.camera_id: s for s in self._changed(name, beat)})

    def is_news(self, name: str, beat: HeartbeatIn) -> bool:
        """Say whether a heartbeat holds anything that must be written."""
        return self._due(name, beat) or bool(self._changed(name, beat))

    def _changed(self, name: str, beat: HeartbeatIn) -> list[ReportedStatus]:
        before = self.board.last(name)
        old = {s.camera_id: s for s in before.heartbeat.cameras} if before else {}
        return [
            status
            for status in beat.cameras
            if status.camera_id not in old
            or self.board.status(status.camera_id) is None
            or not _same_state(old[status.camera_id], status)
        ]

    async def lost_cameras(
        self, session: AsyncSession, orphans: Sequence[UUID]
    ) -> list[StatusChange]:
        """Write the loss of cameras whose worker fell silent; return them as changes.

        The caller takes them off the board once the transaction is committed.
        """
        lost = StatusOut(
            state=StreamState.STALLED,
            reason_code=ReasonCode.WORKER_LOST,
            reason="The media worker that reads it does not answer; it is being restarted.",
            since=self._clock.now(),
        )
        return await self._note(session, dict.fromkeys(orphans, lost))

    async def unread(self, session: AsyncSession) -> list[UUID]:
        """Return the cameras said to be read although no worker is left to read them.

        So it is when hub and workers ended together and only the hub came back.
        """
        if await repository.workers_since(session, self._clock.now() - WORKER_COUNTS_FOR):
            return []
        return await repository.with_reason_other_than(session, ReasonCode.WORKER_LOST.value)

    async def assignment(
        self, session: AsyncSession, worker: str, zones: Mapping[UUID, list[dict[str, Any]]]
    ) -> tuple[str, list[AssignedCameraOut]]:
        """Return the revision and the cameras that `worker` is to read."""
        since = self._clock.now() - WORKER_COUNTS_FOR
        workers = sorted({worker, *await repository.workers_since(session, since)})
        cameras = [
            assigned(
                camera,
                self.password_of(camera),
                zones.get(camera.id, []),
                # The law may have changed since it was let hear.
                sound=camera.sound
                and not self.law.forbids_sound(camera.place_kind, camera.place_type),
            )
            for camera in await repository.enabled(session)
            if worker_for(camera.id, workers) == worker
        ]
        return revision_of(cameras), cameras

    async def _note(
        self, session: AsyncSession, statuses: Mapping[UUID, StatusOut]
    ) -> list[StatusChange]:
        """Write the states of cameras that exist; return them as changes."""
        if not statuses:
            return []
        areas = await repository.areas_of(session, list(statuses))
        changes = []
        for camera_id, area in areas.items():
            status = statuses[camera_id]
            await repository.put_status(
                session,
                CameraStatus(
                    camera_id=camera_id,
                    state=status.state.value,
                    reason_code=status.reason_code.value,
                    reason=status.reason,
                    since=status.since,
                ),
            )
            plain = StatusOut.model_validate(status, from_attributes=True)
            changes.append(StatusChange(camera_id, area, plain))
        return changes

    def _due(self, name: str, beat: HeartbeatIn) -> bool:
        """Say whether the worker's row must be written again: rarely, for each is a commit."""
        before = self.board.last(name)
        if before is None:
            return True
        if (beat.pid, beat.address) != (before.heartbeat.pid, before.heartbeat.address):
            return True
        since = self._clock.monotonic() - self._written.get(name, float("-inf"))
        return since >= _WRITE_HEARTBEAT_EVERY_S


def _same_state(one: StatusOut, other: StatusOut) -> bool:
    return (one.state, one.reason_code, one.reason) == (
        other.state,
        other.reason_code,
        other.reason,
    )
