"""What the second person looks at before blurred pictures and recordings are handed out."""

import asyncio
from datetime import datetime
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import FileResponse

from access.households import repository as households
from access.policy.types import Actor, Circumstances
from api.door import permit, require
from api.export_recordings import masks_of, picture_masks
from api.hub import Hub, HubDep
from camera_hub.devices import homes
from core.errors import ConflictError, NotFoundError
from governance.exports import packing
from governance.exports.models import ExportRequest
from governance.exports.previews import check_prepared, has_opened
from governance.exports.schemas import PreviewFile, PreviewOut

router = APIRouter(prefix="/exports", tags=["exports"])

_ACTION = "export.preview"


@router.post("/{export_id}/previews", status_code=201)
async def open_export_preview(
    export_id: UUID, hub: HubDep, actor: Annotated[Actor, permit(_ACTION)]
) -> PreviewOut:
    """Look at what a blurred export would hand out, before approving it.

    That it is looked at is written down first, for each camera. Who asked for the export cannot.
    """
    async with hub.database.transaction() as session:
        row = await hub.exports.locked(session, export_id)
        await _may_preview(hub, session, actor, row)
        stale = row.prepared and not await _masks_hold(session, row)
        if stale:
            hub.exports.previews.prepare_anew(row)
    if stale:
        raise ConflictError(
            "The privacy masks were changed; the blurred copy is being made anew.",
            remedy="Wait until it is done.",
            code="not-prepared",
        )
    async with hub.database.transaction() as session:
        row = await hub.exports.locked(session, export_id)
        check_prepared(row)
        listed = await _listed(hub, row)
        for camera_id, place in _cameras(row).items():
            await hub.views.open_view(
                session,
                actor=actor,
                camera_id=camera_id,
                area=place[0],
                kind="export",
                purpose=row.purpose,
                reference=row.reference,
                grant_id=None,
                incident_id=row.incident_id,
                redacted=True,
                household_id=row.household_id,
                place_kind=place[1],
            )
        files = _files(export_id, listed)
        until = await hub.exports.previews.previewed(session, row, actor, files=len(files))
    return PreviewOut(files=files, until=until)


@router.get(
    "/{export_id}/previews/{number}",
    response_class=FileResponse,
    responses={200: {"content": {"video/mp4": {}, "image/jpeg": {}}}},
)
async def read_export_preview(
    export_id: UUID, number: int, hub: HubDep, actor: Annotated[Actor, permit(_ACTION)]
) -> FileResponse:
    """Return a file of a preview that was opened (byte ranges too)."""
    async with hub.database.read() as session:
        row = await hub.exports.get(session, export_id)
        await _may_preview(hub, session, actor, row)
        await hub.exports.previews.check_looking(session, row, actor)
        if not await _masks_hold(session, row):
            raise ConflictError(
                "The privacy masks were changed.",
                remedy="Open the preview again.",
                code="not-prepared",
            )
    files = _files(export_id, await _listed(hub, row))
    name = next((one.name for one in files if one.number == number), None)
    if name is None:
        raise NotFoundError("There is no such file in the preview.", remedy="Open it again.")
    if not has_opened(row, actor, number):
        async with hub.database.transaction() as session:
            await hub.exports.previews.opened(session, export_id, actor, number)
    path: Path = hub.exports.prepared_path(export_id) / name
    kind = guess_type(name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, headers={"Cache-Control": "no-store"})


async def _may_preview(hub: Hub, session: AsyncSession, actor: Actor, row: ExportRequest) -> None:
    """Let whoever may approve it look at it.

    A home is seen blurred by them where its own household wishes that it is handed out.

    Raises:
        ForbiddenError, NotFoundError: they may not, or not know of it.
    """
    asked = Circumstances(purpose=row.purpose, reference=True, redacted=True)
    if row.place_kind == "home" and await _own_wish(session, row):
        asked = Circumstances(grant="share", purpose=row.purpose, reference=True, redacted=True)
    for resource in (row.resource(), *row.recorded()):
        require(hub, actor, "export.approve", resource)
        require(hub, actor, _ACTION, resource, asked)


async def _own_wish(session: AsyncSession, row: ExportRequest) -> bool:
    """Return whether who asked lives in the home that is shown."""
    if row.household_id is None:
        return False
    found = await households.members(session, [row.household_id])
    return any(account.id == row.requested_by for _, account in found)


async def _masks_hold(session: AsyncSession, row: ExportRequest) -> bool:
    """Return whether the cameras have the masks that what was prepared was made with."""
    for one in row.recordings:
        camera = await homes.also_deleted(session, UUID(one["camera_id"]))
        if camera is None or one.get("masks") != masks_of(camera):
            return False
    now = await picture_masks(session, row.camera_id)
    return not row.attachment_ids or row.picture_masks in {None, now}


def _cameras(row: ExportRequest) -> dict[UUID, tuple[str, str]]:
    """Return area and kind of place of each camera that is looked at."""
    found = {UUID(o["camera_id"]): (o["area"], o["place_kind"]) for o in row.recordings}
    if row.camera_id is not None and row.attachment_ids:
        found[row.camera_id] = row.area, row.place_kind
    return found


async def _listed(hub: Hub, row: ExportRequest) -> dict[str, Any]:
    folder = hub.exports.prepared_path(row.id)
    return await asyncio.to_thread(packing.read_prepared, folder, row.sha256)


def _files(export_id: UUID, listed: dict[str, Any]) -> list[PreviewFile]:
    sizes = {one["name"]: one["size"] for one in listed["files"]}
    shown: list[tuple[str, str, float | None]] = [
        (one["name"], "", None) for one in listed["pictures"]
    ]
    for clip in listed["recordings"]:
        for film in clip["files"]:
            start, end = (datetime.fromisoformat(film[k]) for k in ("starts_at", "ends_at"))
            shown.append((film["name"], clip["camera"], (end - start).total_seconds()))
    return [
        PreviewFile(
            number=number,
            kind="picture" if seconds is None else "recording",
            name=name,
            camera_name=camera,
            seconds=seconds,
            size=sizes[name],
            url=f"/api/v1/exports/{export_id}/previews/{number}",
        )
        for number, (name, camera, seconds) in enumerate(shown, 1)
    ]
