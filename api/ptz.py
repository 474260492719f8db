"""Turning a camera. Who may see it live may turn it, if their role says so; at home the household.

No picture leaves here, so there is no view record. A movement ends two seconds after it was last
asked for, whatever becomes of the one who asked (camera_hub/devices/ptz_leases.py).
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from access.policy.types import Actor
from api.door import permit
from api.hub import Hub, HubDep
from api.looking import camera_to_look_at, may_look
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.device_schemas import PtzCommand, PtzDoneOut, PtzOut
from core.errors import ConflictError, HubError

router = APIRouter(tags=["cameras"])

LOOK_EVERY_S = 5.0
Turns = Annotated[Actor, permit("camera.ptz")]
Purpose = Annotated[str, Query(max_length=40, description="A key of /purposes")]
Reference = Annotated[str, Query(max_length=200, description="What it refers to")]


async def _head(
    hub: Hub, actor: Actor, camera_id: UUID, purpose: str, reference: str
) -> CameraAddress:
    """Return where the camera is asked, if the actor may turn it now.

    Raises:
        NotFoundError, ForbiddenError, InvalidInputError: as `api.looking.may_look` says.
        ConflictError: code `camera-off` or `no-onvif`.
    """
    async with hub.database.read() as session:
        camera = await camera_to_look_at(session, camera_id)
        await may_look(
            hub, session, actor, camera, "camera.ptz", purpose=purpose, reference=reference
        )
    if not camera.enabled:
        raise ConflictError(
            "The camera is switched off.", remedy="Switch it on first.", code="camera-off"
        )
    return hub.remote.address_of(camera, hub.devices.password_of(camera))


@router.get("/cameras/{camera_id}/ptz")
async def read_ptz(
    *,
    camera_id: UUID,
    hub: HubDep,
    actor: Turns,
    purpose: Purpose = "",
    reference: Reference = "",
) -> PtzOut:
    """Return what the camera's head can do, its presets, and where it looks."""
    address = await _head(hub, actor, camera_id, purpose, reference)
    return await hub.remote.head(camera_id, address)


@router.post("/cameras/{camera_id}/ptz")
async def turn_camera(
    *,
    camera_id: UUID,
    body: PtzCommand,
    hub: HubDep,
    actor: Turns,
    purpose: Purpose = "",
    reference: Reference = "",
) -> PtzDoneOut:
    """Turn the camera. A `move` is repeated every second for as long as it should go on."""
    address = await _head(hub, actor, camera_id, purpose, reference)
    if body.op not in {"stop", "save_preset", "remove_preset"}:
        # For a moment only: a move is repeated, and the others are soon over.
        hub.devices.turned.note(camera_id, "hub", active=True)
        hub.devices.turned.note(camera_id, "hub", active=False)
    return await hub.remote.turn(camera_id, address, body, str(actor.id))


async def stop_abandoned(hub: Hub) -> None:
    """Stop, for ever, what processes of this site have left moving that died."""

    async def address_of(camera_id: UUID) -> CameraAddress | None:
        try:
            async with hub.database.read() as session:
                camera = await hub.devices.get(session, camera_id)
            return hub.remote.address_of(camera, hub.devices.password_of(camera))
        except HubError:
            return None

    while True:
        await hub.remote.leases.adopt(address_of)
        await hub.clock.sleep(LOOK_EVERY_S)
