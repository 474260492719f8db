"""The tree of areas."""

from typing import Annotated

from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import HubDep
from camera_hub.devices import repository as camera_rows
from governance.areas import repository
from governance.areas.schemas import AreaCreate, AreaOut, AreasOut, AreaUpdate, Use

router = APIRouter(tags=["areas"])

_NAMED = 5


@router.get("/areas")
async def list_areas(hub: HubDep, actor: Annotated[Actor, permit("area.list")]) -> AreasOut:
    """List the areas in and below the own ones, each before those in it.

    An empty list for somebody of the whole site says that there is no tree: every path may be
    used then.
    """
    async with hub.database.read() as session:
        rows = await repository.open_areas(session, hub.policy.areas(actor, "area.list"))
    return AreasOut(items=[AreaOut.of(row) for row in rows])


@router.post("/areas", status_code=201)
async def create_area(
    body: AreaCreate, hub: HubDep, actor: Annotated[Actor, permit("area.write")]
) -> AreaOut:
    """Add an area below one that is there; from the first one on, paths outside are refused."""
    path = normalise_area(body.path)
    require(hub, actor, "area.write", Resource("area", area=path.rpartition("/")[0]))
    async with hub.database.transaction() as session:
        row = await hub.governance.areas.add(
            session, actor, path=path, name=body.name, level=body.level
        )
        return AreaOut.of(row)


@router.patch("/areas/{area:path}")
async def update_area(
    area: str, body: AreaUpdate, hub: HubDep, actor: Annotated[Actor, permit("area.write")]
) -> AreaOut:
    """Change an area's name or level."""
    path = normalise_area(area)
    require(hub, actor, "area.write", Resource("area", id=path, area=path))
    async with hub.database.transaction() as session:
        row = await hub.governance.areas.get(session, path)
        await hub.governance.areas.change(session, actor, row, name=body.name, level=body.level)
        return AreaOut.of(row)


@router.delete("/areas/{area:path}", status_code=204)
async def close_area(area: str, hub: HubDep, actor: Annotated[Actor, permit("area.write")]) -> None:
    """Take an area out of the tree; 409 `area-in-use` lists what is still filed under it."""
    path = normalise_area(area)
    require(hub, actor, "area.write", Resource("area", id=path, area=path))
    async with hub.database.transaction() as session:
        row = await hub.governance.areas.get(session, path)
        await hub.governance.areas.close(session, actor, row, await camera_uses(session, path))


async def camera_uses(session: AsyncSession, path: str) -> list[Use]:
    """Return the cameras in an area, as what uses it."""
    names = await camera_rows.names_in(session, path)
    return [Use(kind="camera", count=len(names), names=names[:_NAMED])] if names else []
