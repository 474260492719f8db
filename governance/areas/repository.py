"""Every query of areas and departments."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account, AccountRole
from access.policy.areas import ancestors, in_areas
from access.policy.types import Role
from governance.areas.models import Area, Department, DepartmentMember


async def by_path(session: AsyncSession, path: str) -> Area | None:
    """Return an area, a closed one too."""
    return await session.get(Area, path, populate_existing=True)


async def spoken(session: AsyncSession, path: str) -> str:
    """Return what people call the area, or the last part of its path where the tree has none."""
    drawn = await by_path(session, path) if path else None
    return path.rpartition("/")[2] if drawn is None else drawn.name


async def names(session: AsyncSession, paths: Collection[str]) -> dict[str, str]:
    """Return what people call these areas and those above them; none that the tree lacks."""
    wanted = {above for path in paths for above in ancestors(path) if above}
    found = select(Area.path, Area.name).where(Area.path.in_(wanted)).order_by(Area.path)
    return {path: name for path, name in await session.execute(found)}


async def is_open(session: AsyncSession, path: str) -> bool:
    """Say whether this area is in the tree."""
    found = select(Area.path).where(Area.path == path, Area.closed_at.is_(None))
    return await session.scalar(found) is not None


async def any_open(session: AsyncSession) -> bool:
    """Say whether there is a tree at all."""
    return bool(await session.scalar(select(exists().where(Area.closed_at.is_(None)))))


async def open_areas(session: AsyncSession, areas: Sequence[str] = ("",)) -> list[Area]:
    """Return the areas in and below `areas` that are not closed, each before those in it.

    By the parts of the path: by its letters `demo-2` would stand between `demo` and `demo/hill`.
    """
    query = select(Area).where(Area.closed_at.is_(None), in_areas(Area.path, areas))
    return sorted(await session.scalars(query), key=lambda row: row.path.split("/"))


async def add(session: AsyncSession, row: Area | Department) -> None:
    """Write a new row."""
    session.add(row)
    await session.flush()


async def department(session: AsyncSession, department_id: UUID) -> Department | None:
    """Return a department, a closed one too."""
    return await session.get(Department, department_id)


async def department_locked(session: AsyncSession, department_id: UUID) -> Department | None:
    """Return a department that is not closed, locked until the transaction ends."""
    query = (
        select(Department)
        .where(Department.id == department_id, Department.closed_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return await session.scalar(query)


async def departments(session: AsyncSession, areas: Sequence[str]) -> list[Department]:
    """Return the departments of `areas` that are not closed, by area and name."""
    query = select(Department).where(
        Department.closed_at.is_(None), in_areas(Department.area, areas)
    )
    return list(
        await session.scalars(query.order_by(Department.area, Department.name, Department.id))
    )


async def members(
    session: AsyncSession, department_ids: Collection[UUID]
) -> list[tuple[UUID, Account]]:
    """Return (department, account) of every member, by display name, inactive ones too."""
    if not department_ids:
        return []
    query = (
        select(DepartmentMember.department_id, Account)
        .join(Account, Account.id == DepartmentMember.account_id)
        .where(DepartmentMember.department_id.in_(department_ids))
        .order_by(Account.display_name, Account.id)
    )
    return [(department_id, account) for department_id, account in await session.execute(query)]


async def working(session: AsyncSession, found: Department) -> list[Account]:
    """Return the members of a department who are active and hold its role there still."""
    holds = exists().where(
        AccountRole.account_id == Account.id,
        AccountRole.role == Role.DEPARTMENT.value,
        AccountRole.area.in_(ancestors(found.area)),
    )
    query = (
        select(Account)
        .join(DepartmentMember, DepartmentMember.account_id == Account.id)
        .where(DepartmentMember.department_id == found.id, Account.active.is_(True), holds)
        .order_by(Account.display_name, Account.id)
    )
    return list(await session.scalars(query))


async def replace_members(
    session: AsyncSession, department_id: UUID, account_ids: Collection[UUID]
) -> None:
    """Make exactly these accounts the members of the department."""
    await session.execute(
        delete(DepartmentMember).where(DepartmentMember.department_id == department_id)
    )
    session.add_all(
        DepartmentMember(department_id=department_id, account_id=account_id)
        for account_id in account_ids
    )
    await session.flush()
