"""Pictures of cameras: live over WebSocket, and snapshots.

No frame leaves before its ViewRecord is committed. A running view asks the door again every
second and ends when the session, the account's rights or the camera no longer allow it.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response, WebSocket, WebSocketDisconnect

from access.policy.types import Actor
from api.cameras import visible
from api.door import permit, still_permitted
from api.hub import Hub, HubDep
from api.open_streams import stream_slot
from camera_hub.devices.service import resource_of
from camera_hub.live.hub import Viewer
from camera_hub.streams.types import StreamRole
from core.errors import NotFoundError, UnavailableError
from core.logging import get_logger
from core.metrics import counter

router = APIRouter(tags=["cameras"])
log = get_logger("api.live")
UNENDED = counter("views_unended", "View records whose end could not be written at once")

_CLOSE_TIMEOUT_S = 2.0
_MOST_WORDS = 64


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who watches what: all of one session's views of a camera stand or fall together."""

    actor: Actor
    camera_id: UUID


@router.get(
    "/cameras/{camera_id}/snapshot",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}},
)
async def camera_snapshot(
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.snapshot")],
    stream: StreamRole = "sub",
) -> Response:
    """Return the newest picture as JPEG; `X-Captured-At` says when it arrived from the camera."""
    async with hub.database.read() as session:
        camera = await visible(hub, session, actor, camera_id, "camera.snapshot")
    if not camera.enabled:
        raise UnavailableError(
            "The camera is switched off.", remedy="Switch it on first.", code="no-picture"
        )
    picture = await hub.live.snapshot(camera_id, stream)
    async with hub.database.transaction() as session:
        await hub.views.open_view(
            session, actor=actor, camera_id=camera_id, area=camera.area, kind="snapshot"
        )
    return Response(
        picture.jpeg,
        media_type="image/jpeg",
        headers={"X-Captured-At": picture.at.isoformat(), "Cache-Control": "no-store"},
    )


@router.websocket("/cameras/{camera_id}/live")
async def camera_live(
    websocket: WebSocket,
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.live")],
    _slot: Annotated[None, stream_slot],
    stream: StreamRole = "sub",
) -> None:
    """Show the camera live: states and init segments as JSON and bytes, then fragments."""
    async with hub.database.read() as session:
        camera = await visible(hub, session, actor, camera_id, "camera.live")
    if not camera.enabled:
        raise UnavailableError("The camera is switched off.", code="no-picture")
    async with hub.database.transaction() as session:
        view_id = await hub.views.open_view(
            session, actor=actor, camera_id=camera_id, area=camera.area, kind="live"
        )
    try:
        await websocket.accept()
        watcher = Watcher(actor, camera_id)
        viewer = hub.live.view(
            camera_id, stream, tag=watcher, still=lambda: _still_permitted(hub, watcher)
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


async def _still_permitted(hub: Hub, watcher: Watcher) -> bool:
    async with hub.database.read() as session:
        try:
            camera = await hub.devices.get(session, watcher.camera_id)
        except NotFoundError:
            return False
    return camera.enabled and await still_permitted(
        hub, watcher.actor, "camera.live", resource_of(camera)
    )


async def _end(hub: Hub, view_id: UUID) -> None:
    """Write the end of a viewing. What cannot be written now is ended at the next start."""
    try:
        async with hub.database.transaction() as session:
            await hub.views.close_view(session, view_id)
    except Exception as error:  # noqa: BLE001 - the last step of a viewing: counted and reported
        UNENDED.inc()
        log.error("the end of a view is not recorded", view_id=str(view_id), error=str(error))
