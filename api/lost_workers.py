"""Cameras whose media worker fell silent: stalled after seconds, an incident when that lasts.

A worker reports the faults of its cameras itself; of its own end it can report nothing.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from analytics.rules.signal import fault_signal
from api.hub import Hub
from camera_hub.devices import outages, repository
from camera_hub.devices.service import StatusChange
from camera_hub.streams.types import ReasonCode, StreamState
from governance.outbox import service as outbox
from governance.signals.reading import read_signal
from governance.signals.types import CameraFacts

LOOK_EVERY_S = 1.0
SOURCE = "/api"


async def tell_states(hub: Hub, session: AsyncSession, changes: Iterable[StatusChange]) -> None:
    """Put changed states into the outbox and note outages, in the transaction that wrote them."""
    for change in changes:
        await outages.note_state(session, change.camera_id, change.status)
        await outbox.append(
            session,
            type="camera.state",
            area=change.area,
            payload={
                "camera_id": str(change.camera_id),
                "status": change.status.model_dump(mode="json"),
            },
            at=hub.clock.now(),
            camera_id=change.camera_id,
        )


async def watch_for_lost_workers(hub: Hub) -> None:
    """Look for cameras that nobody reads any more; runs until cancelled."""
    lost = LostCameras(hub)
    await lost.remember()
    while True:
        await lost.look()
        await asyncio.sleep(LOOK_EVERY_S)


class LostCameras:
    """The cameras whose worker does not answer, and whether a person was told."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._since: dict[UUID, float] = {}
        self._told: set[UUID] = set()
        self._may_be_open: set[UUID] = set()

    async def remember(self) -> None:
        """Take up the cameras that were lost before this process started."""
        async with self._hub.database.read() as session:
            lost = await repository.with_reason(session, ReasonCode.WORKER_LOST.value)
        self._since = dict.fromkeys(lost, self._hub.clock.monotonic())
        # Whether they were reported is unknown; an end without a beginning does no harm.
        self._may_be_open = set(lost)

    async def look(self) -> None:
        """Take note of lost cameras; report those that stay lost, and the end of it."""
        hub, board = self._hub, self._hub.devices.board
        silent = board.orphans()
        if silent:
            await self._mark(silent)
            for camera_id in silent:
                board.forget(camera_id)
        if not any(board.alive(report) for report in board.workers()):
            async with hub.database.read() as session:
                unread = await hub.devices.unread(session)
            await self._mark(unread)
        if self._since or self._may_be_open:
            await self._report()

    async def _mark(self, cameras: Sequence[UUID]) -> None:
        if not cameras:
            return
        async with self._hub.database.transaction() as session:
            changes = await self._hub.devices.lost_cameras(session, cameras)
            await tell_states(self._hub, session, changes)
        now = self._hub.clock.monotonic()
        for change in changes:
            self._since[change.camera_id] = now

    async def _report(self) -> None:
        """Open an incident for each camera lost for long; end those of cameras that are back."""
        async with self._hub.database.read() as session:
            wanted = {camera.id: camera for camera in await repository.enabled(session)}
        board, now = self._hub.devices.board, self._hub.clock.monotonic()
        statuses = {c: board.status(c) for c in {*self._since, *self._may_be_open}}
        self._since = {
            c: at for c, at in self._since.items() if c in wanted and statuses[c] is None
        }
        after_s = self._hub.settings.media.offline_after_s
        due = {c for c, at in self._since.items() if now - at >= after_s} - self._told
        # A camera that is read again but still away is its worker's to report: the incident stays.
        over = {
            c
            for c in self._may_be_open
            if c not in wanted or ((status := statuses[c]) and status.state is StreamState.ONLINE)
        }
        if due or over:
            async with self._hub.database.transaction() as session:
                for camera_id in due:
                    await self._signal(session, camera_id, "started")
                for camera_id in over:
                    await self._signal(session, camera_id, "ended")
            self._told = (self._told | due) - over
            self._may_be_open = (self._may_be_open | due) - over

    async def _signal(
        self, session: AsyncSession, camera_id: UUID, phase: Literal["started", "ended"]
    ) -> None:
        camera = await repository.by_id(session, camera_id)
        if camera is None:
            return
        what = (
            "is offline: its media worker does not answer"
            if phase == "started"
            else "is read again"
        )
        raw = fault_signal(
            self._hub.clock,
            source=SOURCE,
            kind="camera.offline",
            phase=phase,
            event_key=f"{camera.id}:worker-lost",
            headline=f"{camera.name} {what}",
            subject=str(camera.id),
            area=camera.area,
            camera_id=str(camera.id),
        )
        await self._hub.governance.signals.intake(
            session,
            read_signal(raw, self._hub.clock.now()),
            camera=CameraFacts(name=camera.name, area=camera.area),
        )
