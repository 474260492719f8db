"""The media workers' heartbeat: states up, cameras to read down."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor, Resource
from analytics.zones.service import zones_of_cameras
from api.door import permit, require
from api.hub import HubDep
from api.lost_workers import tell_states
from api.recording_wishes import asked_by_incidents
from camera_hub.devices import repository
from camera_hub.devices.heartbeat_schemas import (
    HeartbeatIn,
    HeartbeatOut,
)

router = APIRouter(tags=["workers"])

WorkerName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]


@router.post("/workers/{name}/heartbeat")
async def worker_heartbeat(
    name: WorkerName,
    body: HeartbeatIn,
    hub: HubDep,
    actor: Annotated[Actor, permit("worker.heartbeat")],
) -> HeartbeatOut:
    """Take a worker's report and tell it which cameras to read, with their passwords."""
    # Any camera of the site may be given to any worker: a token of one area must not get them all.
    require(hub, actor, "worker.heartbeat", Resource("worker"))
    if hub.devices.is_news(name, body):
        async with hub.database.transaction() as session:
            changes = await hub.devices.heartbeat(session, name, body)
            await tell_states(hub, session, changes)
    hub.devices.board.take(name, body)
    async with hub.database.read() as session:
        zones = await _zones(session)
        revision, cameras = await hub.devices.assignment(session, name, zones)
        at_times = [c.id for c in cameras if c.recording.mode in {"event", "schedule"}]
        asked = await asked_by_incidents(session, at_times, hub.clock.now())
    own = {camera.id for camera in cameras}
    return HeartbeatOut(
        revision=revision,
        cameras=None if revision == body.revision else cameras,
        moving=hub.devices.motions.among(own),
        asked=asked,
        turned=hub.devices.turned.among(own),
        retuned=hub.devices.retuned.among(own),
    )


async def _zones(session: AsyncSession) -> dict[UUID, list[dict[str, Any]]]:
    ids = [camera.id for camera in await repository.enabled(session)]
    found = await zones_of_cameras(session, ids)
    return {
        camera_id: [zone.model_dump(mode="json", by_alias=True) for zone in zones.zones]
        for camera_id, zones in found.items()
    }
