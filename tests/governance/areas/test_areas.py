"""The tree of areas: what may be added where, what keeps an area open, and what it refuses."""

import pytest
from sqlalchemy import select

from access.households.models import Household
from access.ledger.models import LedgerEntry
from access.tokens.service import Tokens
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from governance.areas import repository
from governance.areas.models import Area
from governance.areas.schemas import Level, Use
from governance.areas.service import check
from governance.service import Governance
from tests.governance.conftest import Parts
from tests.governance.duty.people import account, give_roles, rota
from tests.governance.support import opened
from tests.support.stores import ON_SQLITE

TREE = ("demo", "demo/riverside", "demo/riverside/jade-garden")


async def add(kernel: Governance, path: str, level: Level | None = None) -> Area:
    async with kernel.database.transaction() as session:
        return await kernel.areas.add(session, None, path=path, name=path, level=level)


async def grow(kernel: Governance) -> None:
    for path in TREE:
        await add(kernel, path)


async def refused(kernel: Governance, path: str) -> tuple[str, str]:
    async with kernel.database.read() as session:
        with pytest.raises(InvalidInputError) as caught:
            await check(session, path)
    assert caught.value.code == "unknown-area"
    return str(caught.value.detail["nearest"]), str(caught.value)


@ON_SQLITE
async def test_without_a_tree_every_path_may_be_used(kernel: Governance) -> None:
    async with kernel.database.read() as session:
        await check(session, "anything/at/all")
        await check(session, "")


async def test_with_a_tree_only_what_is_in_it_and_the_nearest_is_named(kernel: Governance) -> None:
    await grow(kernel)
    async with kernel.database.read() as session:
        for path in ("", *TREE):
            await check(session, path)
    near, told = await refused(kernel, "demo/riverside/jade-gardn")
    assert near == "demo/riverside/jade-garden"
    assert "'demo/riverside/jade-garden'" in told
    assert (await refused(kernel, "Demo/Riverside"))[0] == "demo/riverside"
    assert (await refused(kernel, "demo/xxxxxxxxxxxxxxxxxxxxxx"))[0] == "demo"
    assert (await refused(kernel, "zzz"))[0] == "demo"


@ON_SQLITE
async def test_levels_go_down_one_or_more_at_a_time(kernel: Governance) -> None:
    assert (await add(kernel, "demo")).level == "county"
    assert (await add(kernel, "demo/estate", "community")).level == "community"  # no township
    assert (await add(kernel, "demo/estate/north")).level == "cell"
    for path, level in (
        ("demo/other", "county"),
        ("demo/estate/south", "township"),
        ("demo/estate/south", "community"),
        ("demo/estate/north/corner", None),
    ):
        with pytest.raises(InvalidInputError) as caught:
            await add(kernel, path, level)
        assert caught.value.code == "wrong-level", path
    with pytest.raises(InvalidInputError) as caught:
        await add(kernel, "demo/nowhere/cell")
    assert caught.value.code == "no-area-above"
    with pytest.raises(InvalidInputError) as caught:
        await add(kernel, "")
    assert caught.value.code == "invalid-area"
    with pytest.raises(ConflictError):
        await add(kernel, "demo/estate")


@ON_SQLITE
async def test_a_level_changes_only_between_those_above_and_below(kernel: Governance) -> None:
    await grow(kernel)
    async with kernel.database.transaction() as session:
        row = await kernel.areas.get(session, "demo/riverside")
        for level in ("county", "community", "cell"):
            with pytest.raises(InvalidInputError):
                await kernel.areas.change(session, None, row, name=None, level=level)  # type: ignore[arg-type]
        await kernel.areas.change(session, None, row, name="Riverside", level="township")
    async with kernel.database.read() as session:
        shown = await kernel.areas.get(session, "demo/riverside")
    assert (shown.name, shown.level) == ("Riverside", "township")


async def close(kernel: Governance, path: str, others: list[Use] | None = None) -> None:
    async with kernel.database.transaction() as session:
        row = await kernel.areas.get(session, path)
        await kernel.areas.close(session, None, row, others or [])


async def uses(kernel: Governance, path: str, others: list[Use] | None = None) -> dict[str, int]:
    with pytest.raises(ConflictError) as caught:
        await close(kernel, path, others)
    assert caught.value.code == "area-in-use"
    return {use["kind"]: use["count"] for use in caught.value.detail["uses"]}


async def test_an_area_in_use_stays_and_says_what_uses_it(kernel: Governance, parts: Parts) -> None:
    await grow(kernel)
    garden = TREE[-1]
    holder = await account(parts, "li-na", f"patrol@{garden}")
    await account(parts, "gone", f"patrol@{garden}", active=False)
    tokens = Tokens(parts.clock, parts.ledger)
    async with kernel.database.transaction() as session:
        flat = Household(id=new_id(), name="Flat", area=garden, created_at=parts.clock.now())
        session.add(flat)
        department = await kernel.departments.add(session, None, name="Water", area=garden)
        token, _ = await tokens.issue(session, name="sensor", scopes=["signal.post"], area=garden)
    row = await rota(kernel, garden, "patrol")
    incident = await opened(kernel, area=garden)
    camera = [Use(kind="camera", count=1, names=["Gate 3"])]
    everything = {
        "account": 1,
        "token": 1,
        "household": 1,
        "department": 1,
        "rota": 1,
        "incident": 1,
        "camera": 1,
    }
    assert await uses(kernel, garden, camera) == everything
    # What lies in an area below keeps the one above as well.
    assert await uses(kernel, TREE[1], camera) == {"area": 1, **everything}
    async with kernel.database.transaction() as session:
        locked = await kernel.incidents.locked(session, incident.id)
        await kernel.incidents.recover(session, locked)
        found = await session.get(Household, flat.id)
        assert found is not None
        found.closed_at = parts.clock.now()
        await kernel.departments.close(
            session, None, await kernel.departments.locked(session, department.id)
        )
        await kernel.rotas.close(session, None, await kernel.rotas.locked(session, row.id))
        await tokens.revoke(session, token.id, None)
    assert await uses(kernel, garden) == {"account": 1}
    await give_roles(parts, holder, "patrol@demo")
    await close(kernel, garden)
    assert (await refused(kernel, garden))[0] == "demo/riverside"
    with pytest.raises(NotFoundError):
        await close(kernel, garden)
    # What was closed can come back, and then counts again.
    await add(kernel, garden, "cell")
    async with kernel.database.read() as session:
        await check(session, garden)
        kinds = list(await session.scalars(select(LedgerEntry.kind).order_by(LedgerEntry.seq)))
    assert [kind for kind in kinds if kind.startswith("area.")][-2:] == [
        "area.closed",
        "area.added",
    ]


@ON_SQLITE
async def test_a_department_has_members_who_hold_its_role_there(
    kernel: Governance, parts: Parts
) -> None:
    await grow(kernel)
    works = await account(parts, "works", "department@demo")
    leaves = await account(parts, "leaves", "department@demo/riverside")
    wrong = await account(parts, "wrong", "patrol@demo")
    async with kernel.database.transaction() as session:
        row = await kernel.departments.add(session, None, name="Water", area="demo/riverside")
        with pytest.raises(InvalidInputError, match="Wrong") as caught:
            await kernel.departments.set_members(session, None, row, [works.id, wrong.id])
        assert caught.value.code == "not-of-this-post"
        await kernel.departments.set_members(session, None, row, [works.id, leaves.id, works.id])
        with pytest.raises(InvalidInputError) as unknown:
            await kernel.departments.add(session, None, name="X", area="demo/nowhere")
        assert unknown.value.code == "unknown-area"
    await give_roles(parts, leaves)
    async with kernel.database.read() as session:
        (shown,) = await kernel.departments.describe(session, [row])
        working = await repository.working(session, row)
    assert [member.display_name for member in shown.members] == ["Leaves", "Works"]
    assert shown.working == 1
    assert [person.display_name for person in working] == ["Works"]


async def test_the_tree_is_listed_with_each_area_before_those_in_it(kernel: Governance) -> None:
    await grow(kernel)
    await add(kernel, "demo/hill", "township")
    await add(kernel, "demo-2")
    async with kernel.database.read() as session:
        below = await repository.open_areas(session, ["demo/riverside"])
        listed = [row.path for row in await repository.open_areas(session)]
    assert [row.path for row in below] == list(TREE[1:])
    assert listed == ["demo", "demo/hill", *TREE[1:], "demo-2"]
