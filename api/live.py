"""Pictures of cameras: live over WebSocket, and snapshots.

No frame leaves before its ViewRecord is committed. Whether a running view may go on is asked again
twice a second (`api.guards`); it ends when session, rights, consent or camera no longer allow it.
"""

import asyncio
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, WebSocket, WebSocketDisconnect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from api.door import permit
from api.hub import Hub, HubDep
from api.looking import (
    Look,
    camera_to_look_at,
    check_covered,
    may_listen,
    may_look,
    record,
    still_looking,
)
from api.open_streams import stream_slot
from camera_hub.devices.models import Camera
from camera_hub.live.hub import Viewer
from camera_hub.streams.types import StreamRole
from core.errors import HubError, UnavailableError
from core.logging import get_logger
from core.metrics import counter

router = APIRouter(tags=["cameras"])
log = get_logger("api.live")
UNENDED = counter("views_unended", "View records whose end could not be written at once")

_CLOSE_TIMEOUT_S = 2.0
_MOST_WORDS = 64


@router.get(
    "/cameras/{camera_id}/snapshot",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def camera_snapshot(
    *,
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.snapshot")],
    stream: StreamRole = "sub",
    purpose: Annotated[str, Query(max_length=40, description="A key of /purposes")] = "",
    reference: Annotated[str, Query(max_length=200, description="What it refers to")] = "",
) -> Response:
    """Return the newest picture as JPEG; `X-Captured-At` says when it arrived from the camera.

    Everybody but the household itself says what it is for.
    """
    action = "camera.snapshot"
    why = {"purpose": purpose, "reference": reference}
    async with hub.database.read() as session:
        camera = await camera_to_look_at(session, camera_id)
        look = await may_look(hub, session, actor, camera, action, **why)
    if not camera.enabled:
        raise UnavailableError(
            "The camera is switched off.", remedy="Switch it on first.", code="no-picture"
        )
    shown = look.rendition
    picture = await hub.live.snapshot(camera_id, stream, shown, look.masks)
    async with hub.database.transaction() as session:
        # Again: the camera took its time, and consent may have been withdrawn meanwhile.
        camera = await camera_to_look_at(session, camera_id)
        look = await may_look(hub, session, actor, camera, action, **why)
        check_covered(look, shown)
        await record(hub, session, actor, look, "snapshot")
    return Response(
        picture.jpeg,
        media_type="image/jpeg",
        headers={
            "X-Captured-At": picture.at.isoformat(),
            "X-Rendition": shown,
            "Cache-Control": "no-store",
        },
    )


@router.websocket("/cameras/{camera_id}/live")
async def camera_live(
    *,
    websocket: WebSocket,
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.live")],
    _slot: Annotated[None, stream_slot],
    stream: StreamRole = "sub",
    purpose: Annotated[str, Query(max_length=40)] = "",
    reference: Annotated[str, Query(max_length=200)] = "",
    sound: Annotated[bool, Query(description="With the camera's sound (camera.listen)")] = False,
) -> None:
    """Show the camera live: states and init segments as JSON and bytes, then fragments.

    A purpose is not needed for seeing, but recorded where it is given. With `sound` the camera is
    heard too where it has sound; the record says so.
    """
    why = {"purpose": purpose, "reference": reference}

    async def permitted(session: AsyncSession, camera: Camera) -> Look:
        look = await may_look(hub, session, actor, camera, "camera.live", **why)
        if sound and camera.sound:
            return await may_listen(hub, session, actor, look, "camera.live", **why)
        return look

    async with hub.database.read() as session:
        camera = await camera_to_look_at(session, camera_id)
        await permitted(session, camera)
    if not camera.enabled:
        raise UnavailableError("The camera is switched off.", code="no-picture")
    async with hub.database.transaction() as session:
        camera = await camera_to_look_at(session, camera_id)
        look = await permitted(session, camera)
        view_id = await record(hub, session, actor, look, "live")
    watcher = look.watcher(actor)
    try:
        await websocket.accept()
        with hub.guards.watching(watcher, lambda who, which: still_looking(hub, who, which)):
            viewer = hub.live.view(
                camera_id,
                stream,
                look.rendition,
                tag=watcher,
                masks=look.masks,
                sound=look.sound,
            )
            try:
                await _show(hub, websocket, viewer)
            finally:
                viewer.close()
    except WebSocketDisconnect:
        log.debug("viewer left", camera_id=str(camera_id))
    finally:
        # Also when the server stops and cancels this: the end belongs into the record.
        await asyncio.shield(_end(hub, view_id))


async def _show(hub: Hub, websocket: WebSocket, viewer: Viewer) -> None:
    """Send until the browser leaves, the view is cut, or the server stops."""
    tasks = {
        asyncio.create_task(_send(websocket, viewer)),
        asyncio.create_task(_until_left(websocket)),
        asyncio.create_task(viewer.ended.wait()),
        asyncio.create_task(hub.closing.wait()),
    }
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            raise result
    if hub.closing.is_set():
        viewer.cut(1001, "The server is stopping.")
    with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        # A browser that no longer reads must not hold up the end.
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await websocket.close(viewer.close_code, viewer.close_reason)


async def _send(websocket: WebSocket, viewer: Viewer) -> None:
    async for message in viewer.messages():
        if isinstance(message, bytes):
            await websocket.send_bytes(message)
        else:
            await websocket.send_text(message)


async def _until_left(websocket: WebSocket) -> None:
    """Read what the browser says until it closes. It has nothing to say: one that does is cut."""
    for _ in range(_MOST_WORDS):
        if (await websocket.receive())["type"] == "websocket.disconnect":
            return


async def _end(hub: Hub, view_id: UUID) -> None:
    """Write the end of a viewing. What cannot be written now is ended at the next start."""
    try:
        async with hub.database.transaction() as session:
            await hub.views.close_view(session, view_id)
    except (HubError, SQLAlchemyError, OSError) as error:
        UNENDED.inc()
        log.error("the end of a view is not recorded", view_id=str(view_id), error=str(error))
