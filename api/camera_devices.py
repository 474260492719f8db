"""A camera's own settings: what it is, its encoders, its clock, its restart."""

from collections import defaultdict
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from api.cameras import tell, visible
from api.door import permit
from api.hub import Hub, HubDep
from camera_hub.devices.address import CameraAddress
from camera_hub.devices.device_schemas import (
    ClockOut,
    ClockUpdate,
    DeviceDetailsOut,
    EncoderSetOut,
    EncoderUpdate,
)
from camera_hub.devices.models import Camera
from camera_hub.devices.remote import Roles
from camera_hub.devices.schemas import StreamRole

router = APIRouter(tags=["cameras"])

Configures = Annotated[Actor, permit("camera.configure")]


async def _configured(hub: Hub, actor: Actor, camera_id: UUID) -> Camera:
    """Return the camera if `actor` may configure it; raises as `api.cameras.visible` does."""
    async with hub.database.read() as session:
        return await visible(hub, session, actor, camera_id, "camera.configure")


def _address(hub: Hub, camera: Camera) -> CameraAddress:
    """Return where the camera is asked.

    Raises:
        ConflictError: code `no-onvif`.
    """
    return hub.remote.address_of(camera, hub.devices.password_of(camera))


def _roles(camera: Camera) -> Roles:
    found: dict[str, list[StreamRole]] = defaultdict(list)
    for stream in camera.streams:
        found[stream.profile_token].append("main" if stream.role == "main" else "sub")
    return dict(found)


async def _note(
    hub: Hub, session: AsyncSession, actor: Actor | None, camera: Camera, what: str
) -> None:
    """Tell the screens, and write to the ledger what was set in the camera; appends last."""
    await tell(hub, session, camera)
    await hub.ledger.append(
        session,
        "camera.configured",
        actor=actor,
        area=camera.area,
        subject=str(camera.id),
        data={"what": what},
    )


@router.get("/cameras/{camera_id}/device")
async def read_camera_device(camera_id: UUID, hub: HubDep, actor: Configures) -> DeviceDetailsOut:
    """Ask the camera what it is, how its clock runs, and how its encoders are set."""
    camera = await _configured(hub, actor, camera_id)
    found = await hub.remote.details(camera_id, _address(hub, camera), _roles(camera))
    if found.clock.offset_s is not None:
        async with hub.database.transaction() as session:
            camera = await hub.devices.get(session, camera_id)
            camera.clock_offset_s = found.clock.offset_s
    return found


@router.put("/cameras/{camera_id}/encoders/{token}")
async def set_camera_encoder(
    camera_id: UUID, token: str, body: EncoderUpdate, hub: HubDep, actor: Configures
) -> EncoderSetOut:
    """Set an encoder of the camera; the answer is what it accepted, read back."""
    return await set_encoder(hub, actor, await _configured(hub, actor, camera_id), token, body)


async def set_encoder(
    hub: Hub, actor: Actor | None, camera: Camera, token: str, body: EncoderUpdate
) -> EncoderSetOut:
    """Set an encoder for `actor` (None: the command line) and note how it is now.

    Raises:
        HubError: the camera does not offer this, refuses, or cannot be asked.
    """
    address, roles = _address(hub, camera), _roles(camera)
    done, profiles = await hub.remote.set_encoder(camera.id, address, token, body, roles)
    now = done.encoder
    # For a moment only: workers ask once a second.
    hub.devices.retuned.note(camera.id, "hub", active=True)
    hub.devices.retuned.note(camera.id, "hub", active=False)
    async with hub.database.transaction() as session:
        camera = await hub.devices.get(session, camera.id)
        for stream in camera.streams:
            if stream.profile_token in profiles:
                stream.codec, stream.width = now.codec, now.width
                stream.height, stream.fps = now.height, now.fps
        how = f"{now.codec} {now.width}x{now.height} {now.fps:g} fps, GOP {now.gop or '?'}"
        await _note(hub, session, actor, camera, f"encoder {token[:60]}: {how}")
    return done


@router.post("/cameras/{camera_id}/clock")
async def set_camera_clock(
    camera_id: UUID, body: ClockUpdate, hub: HubDep, actor: Configures
) -> ClockOut:
    """Set the camera's clock to the hub's, or let it follow a time server."""
    return await set_clock(hub, actor, await _configured(hub, actor, camera_id), body)


async def set_clock(hub: Hub, actor: Actor | None, camera: Camera, body: ClockUpdate) -> ClockOut:
    """Set a camera's clock for `actor` (None: the command line) and note how it is now.

    Raises:
        HubError: the time server is none, or the camera refuses or cannot be asked.
    """
    now = await hub.remote.set_clock(camera.id, _address(hub, camera), body)
    async with hub.database.transaction() as session:
        camera = await hub.devices.get(session, camera.id)
        camera.clock_offset_s = now.offset_s
        how = f"by {body.server or 'DHCP'}" if body.mode == "ntp" else "by hand"
        await _note(hub, session, actor, camera, f"clock {how}")
    return now


@router.post("/cameras/{camera_id}/reboot", status_code=204)
async def restart_camera(camera_id: UUID, hub: HubDep, actor: Configures) -> Response:
    """Let the camera restart; it is away for a minute or so."""
    await restart(hub, actor, await _configured(hub, actor, camera_id))
    return Response(status_code=204)


async def restart(hub: Hub, actor: Actor | None, camera: Camera) -> None:
    """Let a camera restart for `actor` (None: the command line) and note it.

    Raises:
        HubError: the camera refuses or cannot be asked.
    """
    await hub.remote.restart(camera.id, _address(hub, camera))
    async with hub.database.transaction() as session:
        await _note(hub, session, actor, camera, "restart")
