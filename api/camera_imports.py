"""Many cameras at once: added from a list, or changed alike."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Response

from access.policy.types import Actor
from api.cameras import change
from api.door import permit
from api.hub import Hub, HubDep
from api.importing import Imports
from camera_hub.devices import homes
from camera_hub.devices.import_schemas import (
    CameraResultOut,
    CamerasResultOut,
    CamerasUpdate,
    ImportOut,
)
from camera_hub.devices.importing import read_list
from camera_hub.devices.schemas import CameraUpdate
from core.errors import HubError, NotFoundError

router = APIRouter(tags=["cameras"])

Creates = Annotated[Actor, permit("camera.create")]


def imports_of(hub: HubDep) -> Imports:
    """Return the hub's imports, made when the first is asked for."""
    if hub.imports is None:
        hub.imports = Imports(hub)
    assert isinstance(hub.imports, Imports)
    return hub.imports


ImportsDep = Annotated[Imports, Depends(imports_of)]


@router.post("/cameras/import", status_code=202)
async def import_cameras(
    *,
    body: Annotated[bytes, Body(media_type="text/csv", max_length=1_000_000)],
    imports: ImportsDep,
    actor: Creates,
    dry_run: Annotated[bool, Query(description="Add nothing")] = True,
    probe: Annotated[bool, Query(description="In a dry run, ask the cameras too")] = False,
    together: Annotated[bool, Query(description="Add all or none")] = False,
) -> ImportOut:
    """Try or import a list of cameras (CSV); follow it with the id of the answer."""
    rows = read_list(body)
    return await imports.begin(actor, rows, dry_run=dry_run, probe=probe, together=together)


@router.get("/cameras/imports/{job_id}")
async def read_import(job_id: UUID, imports: ImportsDep, actor: Creates) -> ImportOut:
    """Return how far an import is, row by row."""
    return imports.read(job_id, actor)


@router.delete("/cameras/imports/{job_id}", status_code=204)
async def cancel_import(job_id: UUID, imports: ImportsDep, actor: Creates) -> Response:
    """Break an import off; what was added stays."""
    await imports.cancel(job_id, actor)
    return Response(status_code=204)


@router.patch("/cameras")
async def update_cameras(
    body: CamerasUpdate, hub: HubDep, actor: Annotated[Actor, permit("camera.update")]
) -> CamerasResultOut:
    """Change many cameras alike; each by itself, so that one that is refused holds up no other."""
    async with hub.database.read() as session:
        there = {camera.id: camera for camera in await homes.by_ids(session, body.ids)}
    named = body.set.model_dump(exclude_unset=True)
    results = []
    for camera_id in dict.fromkeys(body.ids):
        camera = there.get(camera_id)
        results.append(
            await _one(hub, actor, camera_id, 0 if camera is None else camera.version, named)
        )
    return CamerasResultOut(results=results)


async def _one(
    hub: Hub, actor: Actor, camera_id: UUID, version: int, named: dict[str, object]
) -> CameraResultOut:
    try:
        if not version:
            raise NotFoundError("There is no such camera.", remedy="Reload the list of cameras.")
        update = CameraUpdate.model_validate({"version": version, **named})
        camera = await change(hub, actor, camera_id, update)
    except HubError as error:
        return CameraResultOut(
            id=camera_id,
            changed=False,
            code=error.code,
            message=error.message,
            remedy=error.remedy,
        )
    return CameraResultOut(id=camera_id, name=camera.name, changed=True)
