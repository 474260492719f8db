"""Searching the network for cameras. Nothing is added by itself."""

from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from api.door import permit
from api.hub import Hub, HubDep
from camera_hub.devices import repository
from camera_hub.devices.discovery_schemas import DiscoveryOut, DiscoveryRequest
from camera_hub.devices.service import resource_of

router = APIRouter(tags=["cameras"])

Discovers = Annotated[Actor, permit("camera.discover")]
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}


async def known_cameras(
    hub: Hub, session: AsyncSession, actor: Actor | None
) -> dict[tuple[str, int], UUID]:
    """Return the cameras that `actor` (None: the command line) may know of, by host and port."""
    found: dict[tuple[str, int], UUID] = {}
    for camera in await repository.all_bare(session):
        if actor is None or hub.policy.authorize(actor, "camera.read", resource_of(camera)).allowed:
            parts = urlsplit(camera.address)
            place = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
            found.setdefault(place, camera.id)
    return found


@router.post("/camera-discoveries", status_code=202)
async def begin_discovery(body: DiscoveryRequest, hub: HubDep, actor: Discovers) -> DiscoveryOut:
    """Begin a search; one runs at a time. Follow it with the id of the answer."""
    job = hub.discoveries.begin(body)
    async with hub.database.transaction() as session:
        await hub.ledger.append(
            session,
            "camera.searched",
            actor=actor,
            subject=str(job.id),
            data={
                "multicast": body.multicast,
                "ranges": ", ".join(body.ranges),
                "account": bool(body.username),
            },
        )
    return job


@router.get("/camera-discoveries/{job_id}")
async def read_discovery(job_id: UUID, hub: HubDep, actor: Discovers) -> DiscoveryOut:
    """Return how far a search is and what it has found."""
    async with hub.database.read() as session:
        known = await known_cameras(hub, session, actor)
    return hub.discoveries.read(job_id, known)


@router.delete("/camera-discoveries/{job_id}", status_code=204)
async def cancel_discovery(job_id: UUID, hub: HubDep, _actor: Discovers) -> Response:
    """Break a search off; what it has found can still be read."""
    await hub.discoveries.cancel(job_id)
    return Response(status_code=204)
