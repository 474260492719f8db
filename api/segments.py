"""What media workers have recorded: each closed file becomes a row of the index."""

from typing import Annotated

from fastapi import APIRouter

from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import HubDep
from api.workers import WorkerName
from camera_hub.recording.index.schemas import SegmentsIn, SegmentsOut

router = APIRouter(tags=["workers"])


@router.post("/workers/{name}/segments")
async def take_segments(
    name: WorkerName,
    body: SegmentsIn,
    hub: HubDep,
    actor: Annotated[Actor, permit("worker.heartbeat")],
) -> SegmentsOut:
    """Take recorded segments into the index; sending one again changes nothing.

    `taken` is committed when the answer leaves. `refused` is not in the index; its file stays.
    """
    require(hub, actor, "worker.heartbeat", Resource("worker"))
    async with hub.database.transaction() as session:
        return await hub.recordings.take(session, name, body.segments)
