"""Departments: whom a case can be sent to, and who works there."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource
from api.door import permit, require
from api.hub import HubDep
from api.pages import Page
from governance.areas import repository
from governance.areas.models import Department
from governance.areas.schemas import (
    DepartmentCreate,
    DepartmentOut,
    DepartmentUpdate,
    MembersPut,
)

router = APIRouter(tags=["areas"])


@router.get("/departments")
async def list_departments(
    hub: HubDep, actor: Annotated[Actor, permit("area.list")]
) -> Page[DepartmentOut]:
    """List the departments of the own areas, by area and name; there is only one page."""
    async with hub.database.read() as session:
        rows = await repository.departments(session, hub.policy.areas(actor, "area.list"))
        return Page(items=await hub.governance.departments.describe(session, rows))


@router.post("/departments", status_code=201)
async def create_department(
    body: DepartmentCreate, hub: HubDep, actor: Annotated[Actor, permit("area.write")]
) -> DepartmentOut:
    """Make a department without members."""
    area = normalise_area(body.area)
    require(hub, actor, "area.write", Resource("area", area=area))
    async with hub.database.transaction() as session:
        row = await hub.governance.departments.add(session, actor, name=body.name, area=area)
        return (await hub.governance.departments.describe(session, [row]))[0]


@router.patch("/departments/{department_id}")
async def update_department(
    department_id: UUID,
    body: DepartmentUpdate,
    hub: HubDep,
    actor: Annotated[Actor, permit("area.write")],
) -> DepartmentOut:
    """Give a department another name."""
    async with hub.database.transaction() as session:
        row = await hub.governance.departments.locked(session, department_id)
        require(hub, actor, "area.write", _resource(row))
        await hub.governance.departments.rename(session, actor, row, body.name)
        return (await hub.governance.departments.describe(session, [row]))[0]


@router.delete("/departments/{department_id}", status_code=204)
async def close_department(
    department_id: UUID, hub: HubDep, actor: Annotated[Actor, permit("area.write")]
) -> None:
    """Close a department; what it has stays with it until somebody moves it on."""
    async with hub.database.transaction() as session:
        row = await hub.governance.departments.locked(session, department_id)
        require(hub, actor, "area.write", _resource(row))
        await hub.governance.departments.close(session, actor, row)


@router.put("/departments/{department_id}/members")
async def set_department_members(
    department_id: UUID,
    body: MembersPut,
    hub: HubDep,
    actor: Annotated[Actor, permit("area.write")],
) -> DepartmentOut:
    """Make exactly these accounts its members; each holds the role `department` there."""
    async with hub.database.transaction() as session:
        row = await hub.governance.departments.locked(session, department_id)
        require(hub, actor, "area.write", _resource(row))
        await hub.governance.departments.set_members(session, actor, row, body.account_ids)
        return (await hub.governance.departments.describe(session, [row]))[0]


def _resource(row: Department) -> Resource:
    return Resource("area", id=str(row.id), area=row.area)
