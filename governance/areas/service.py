"""Every decision about areas and departments. Nothing here commits."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.ledger.service import JsonScalar, Ledger
from access.policy.areas import ancestors, normalise_area
from access.policy.types import Actor, Role
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from governance.areas import repository
from governance.areas.models import Area, Department
from governance.areas.schemas import LEVELS, DepartmentOut, Level, Use
from governance.areas.uses import uses_of
from governance.duty import repository as duty_rows


async def check(session: AsyncSession, area: str) -> None:
    """Let an area be used that is in the tree. "" is the whole site; an empty tree allows all.

    Args:
        session: to read with.
        area: a path, as somebody wrote it or in its stored form.

    Raises:
        InvalidInputError: code `unknown-area`; names the nearest area that there is. Code
            `invalid-area`: no path at all.
    """
    area = normalise_area(area)
    if area == "" or await repository.is_open(session, area):
        return
    if not await repository.any_open(session):
        return
    known = [row.path for row in await repository.open_areas(session)]
    near = _nearest(area, known)
    raise InvalidInputError(
        f"There is no area '{area}'.",
        remedy=f"Did you mean '{near}'? An administrator adds areas on the page of areas, or with "
        "`camera-hub areas add`.",
        code="unknown-area",
        detail={"area": area, "nearest": near},
    )


def _nearest(area: str, known: Sequence[str]) -> str:
    """Return the known area written most like `area`, else the nearest above it, else the first."""
    folded = {path.casefold(): path for path in known}
    found = difflib.get_close_matches(area.casefold(), folded, n=1, cutoff=0.6)
    if found:
        return folded[found[0]]
    there = set(known)
    return next((above for above in ancestors(area) if above in there), known[0])


class Areas:
    """Decides about the tree."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def get(self, session: AsyncSession, path: str) -> Area:
        """Return an area that is in the tree.

        Raises:
            NotFoundError: there is none.
        """
        row = await repository.by_path(session, path)
        if row is None or row.closed_at is not None:
            raise NotFoundError("There is no such area.", remedy="Reload the list of areas.")
        return row

    async def add(
        self,
        session: AsyncSession,
        actor: Actor | None,
        *,
        path: str,
        name: str,
        level: Level | None,
    ) -> Area:
        """Add an area; one that was closed is opened again.

        Raises:
            InvalidInputError: `invalid-area`, `no-area-above`, or `wrong-level`.
            ConflictError: `area-exists`.
        """
        path = normalise_area(path)
        if not path:
            raise InvalidInputError(
                "The whole site is no area of the tree.",
                remedy="Write a path such as demo/riverside.",
                code="invalid-area",
            )
        row = await repository.by_path(session, path)
        if row is not None and row.closed_at is None:
            raise ConflictError(
                f"There is already an area '{path}'.",
                remedy="Change its name or level instead.",
                code="area-exists",
            )
        level = await self._level_of_new(session, path, level)
        if row is None:
            row = Area(path=path, name=name, level=level, created_at=self._clock.now())
            await repository.add(session, row)
        else:
            row.name, row.level, row.closed_at = name, level, None
        await self._record(session, "area.added", actor, path, {"name": name, "level": level})
        return row

    async def change(
        self,
        session: AsyncSession,
        actor: Actor | None,
        row: Area,
        *,
        name: str | None,
        level: Level | None,
    ) -> None:
        """Give an area another name or level.

        Raises:
            InvalidInputError: `wrong-level`: it would not lie between those above and below it.
        """
        if level is not None and level != row.level:
            await self._check_below(session, row.path, level)
            children = await repository.open_areas(session, [row.path])
            for child in children:
                direct = child.path.rpartition("/")[0] == row.path
                if direct and LEVELS.index(child.level) <= LEVELS.index(level):
                    raise _wrong_level(child.path, child.level, row.path, level)
            row.level = level
        if name is not None:
            row.name = name
        await self._record(
            session, "area.changed", actor, row.path, {"name": row.name, "level": row.level}
        )

    async def close(
        self, session: AsyncSession, actor: Actor | None, row: Area, others: Sequence[Use]
    ) -> None:
        """Take an area out of the tree.

        Args:
            session: the transaction.
            actor: who does it; None is the command line.
            row: the area.
            others: what uses it and is known a floor above: cameras.

        Raises:
            ConflictError: `area-in-use`; `detail["uses"]` lists what uses it.
        """
        uses = [*await uses_of(session, row.path), *others]
        if uses:
            listed = "; ".join(_in_words(use) for use in uses)
            raise ConflictError(
                f"The area '{row.path}' is in use: {listed}.",
                remedy="Move or close these first.",
                code="area-in-use",
                detail={"uses": [use.model_dump() for use in uses]},
            )
        row.closed_at = self._clock.now()
        await self._record(session, "area.closed", actor, row.path, {"name": row.name})

    async def _level_of_new(self, session: AsyncSession, path: str, level: Level | None) -> Level:
        parent = path.rpartition("/")[0]
        above = await repository.by_path(session, parent) if parent else None
        if parent and (above is None or above.closed_at is not None):
            raise InvalidInputError(
                f"There is no area '{parent}' for '{path}' to lie in.",
                remedy=f"Add '{parent}' first.",
                code="no-area-above",
            )
        if level is None:
            at = 0 if above is None else LEVELS.index(above.level) + 1
            if at == len(LEVELS):
                raise _wrong_level(path, LEVELS[-1], parent, above.level if above else "")
            return LEVELS[at]
        await self._check_below(session, path, level)
        return level

    async def _check_below(self, session: AsyncSession, path: str, level: Level) -> None:
        parent = path.rpartition("/")[0]
        above = await repository.by_path(session, parent) if parent else None
        if above is not None and LEVELS.index(level) <= LEVELS.index(above.level):
            raise _wrong_level(path, level, parent, above.level)

    async def _record(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        area: str,
        data: Mapping[str, JsonScalar],
    ) -> None:
        await self._ledger.append(session, kind, actor=actor, area=area, subject=area, data=data)


class Departments:
    """Decides about departments."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def get(self, session: AsyncSession, department_id: UUID) -> Department:
        """Return a department that is not closed.

        Raises:
            NotFoundError: there is none.
        """
        row = await repository.department(session, department_id)
        return _found(None if row is None or row.closed_at is not None else row)

    async def locked(self, session: AsyncSession, department_id: UUID) -> Department:
        """Return a department to be changed in this transaction.

        Raises:
            NotFoundError: there is none that is not closed.
        """
        return _found(await repository.department_locked(session, department_id))

    async def add(
        self, session: AsyncSession, actor: Actor | None, *, name: str, area: str
    ) -> Department:
        """Make a department without members.

        Raises:
            InvalidInputError: `unknown-area`.
        """
        await check(session, area)
        row = Department(id=new_id(), name=name, area=area, created_at=self._clock.now())
        await repository.add(session, row)
        await self._record(session, "department.created", actor, row, {"name": name})
        return row

    async def rename(
        self, session: AsyncSession, actor: Actor | None, row: Department, name: str
    ) -> None:
        """Give a department another name."""
        row.name = name
        await self._record(session, "department.changed", actor, row, {"name": name})

    async def close(self, session: AsyncSession, actor: Actor | None, row: Department) -> None:
        """Close a department: what it has stays with it until somebody moves it on."""
        row.closed_at = self._clock.now()
        await self._record(session, "department.closed", actor, row, {"name": row.name})

    async def set_members(
        self,
        session: AsyncSession,
        actor: Actor | None,
        row: Department,
        account_ids: Collection[UUID],
    ) -> None:
        """Make exactly these accounts its members.

        Raises:
            InvalidInputError: `not-of-this-post`: names who does not hold the role there.
        """
        wanted = list(dict.fromkeys(account_ids))
        await require_post(session, wanted, Role.DEPARTMENT, row.area)
        await repository.replace_members(session, row.id, wanted)
        await self._record(
            session, "department.members_changed", actor, row, {"members": len(wanted)}
        )

    async def describe(
        self, session: AsyncSession, rows: Sequence[Department]
    ) -> list[DepartmentOut]:
        """Return departments for the wire."""
        people: dict[UUID, list[Account]] = {row.id: [] for row in rows}
        for department_id, account in await repository.members(session, list(people)):
            people[department_id].append(account)
        found = []
        for row in rows:
            ids = [account.id for account in people[row.id]]
            working = await duty_rows.holds_post(
                session, ids, Role.DEPARTMENT.value, ancestors(row.area)
            )
            found.append(DepartmentOut.of(row, people[row.id], len(working)))
        return found

    async def _record(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        row: Department,
        data: Mapping[str, JsonScalar],
    ) -> None:
        await self._ledger.append(
            session, kind, actor=actor, area=row.area, subject=str(row.id), data=data
        )


async def require_post(
    session: AsyncSession, account_ids: Collection[UUID], post: Role, area: str
) -> None:
    """Let only accounts through that are active and hold `post` in `area`.

    Raises:
        InvalidInputError: code `not-of-this-post`; names who does not.
    """
    holding = await duty_rows.holds_post(session, account_ids, post.value, ancestors(area))
    missing = [who for who in account_ids if who not in holding]
    if not missing:
        return
    known = await duty_rows.accounts(session, missing)
    names = sorted(known[who].display_name if who in known else str(who) for who in set(missing))
    raise InvalidInputError(
        f"Not {post.value} in {area or 'the whole site'}: {', '.join(names)}.",
        remedy="Give them the role there first, or choose somebody who holds it.",
        code="not-of-this-post",
        detail={"account_ids": sorted({str(who) for who in missing})},
    )


def _found(row: Department | None) -> Department:
    if row is None:
        raise NotFoundError("There is no such department.", remedy="Reload the list.")
    return row


def _wrong_level(path: str, level: str, above: str, level_above: str) -> InvalidInputError:
    return InvalidInputError(
        f"'{path}' cannot be a {level}: it lies in '{above}', which is a {level_above}.",
        remedy="The levels, from the widest: county, township, community, cell. "
        "One may be left out.",
        code="wrong-level",
    )


def _in_words(use: Use) -> str:
    more = ", …" if use.count > len(use.names) else ""
    return f"{use.count} × {use.kind} ({', '.join(use.names)}{more})"
