"""The media workers' heartbeat: states up, cameras to read down."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from analytics.zones.service import zones_of_cameras
from api.door import permit
from api.hub import Hub, HubDep
from camera_hub.devices import repository
from camera_hub.devices.schemas import HeartbeatIn, HeartbeatOut
from camera_hub.devices.service import StatusChange
from governance.outbox import service as outbox

router = APIRouter(tags=["workers"])

LOOK_FOR_LOST_EVERY_S = 1.0

WorkerName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]


@router.post("/workers/{name}/heartbeat")
async def worker_heartbeat(
    name: WorkerName,
    body: HeartbeatIn,
    hub: HubDep,
    _actor: Annotated[Actor, permit("worker.heartbeat")],
) -> HeartbeatOut:
    """Take a worker's report and tell it which cameras to read."""
    if hub.devices.is_news(name, body):
        async with hub.database.transaction() as session:
            await _tell(hub, session, await hub.devices.heartbeat(session, name, body))
    hub.devices.board.take(name, body)
    async with hub.database.read() as session:
        zones = await _zones(session)
        revision, cameras = await hub.devices.assignment(session, name, zones)
    return HeartbeatOut(revision=revision, cameras=None if revision == body.revision else cameras)


async def watch_for_lost_workers(hub: Hub) -> None:
    """Say of each camera whose worker fell silent that it is stalled; runs until cancelled."""
    while True:
        lost = hub.devices.board.orphans()
        if lost:
            async with hub.database.transaction() as session:
                await _tell(hub, session, await hub.devices.lost_cameras(session, lost))
            for camera_id in lost:
                hub.devices.board.forget(camera_id)
        await asyncio.sleep(LOOK_FOR_LOST_EVERY_S)


async def _tell(hub: Hub, session: AsyncSession, changes: list[StatusChange]) -> None:
    for change in changes:
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


async def _zones(session: AsyncSession) -> dict[UUID, list[dict[str, Any]]]:
    ids = [camera.id for camera in await repository.enabled(session)]
    found = await zones_of_cameras(session, ids)
    return {
        camera_id: [zone.model_dump(mode="json", by_alias=True) for zone in zones.zones]
        for camera_id, zones in found.items()
    }
