"""The monthly digest of a household: who looked, as what, what for; kept as it was told.

The month runs in the site's time zone. When it is over, `keep_digests` writes it down once; until
then, and for a month that nobody kept, it is made anew at each request. It is a page so far:
sending it comes with the closed loop.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.consent.models import ConsentGrant
from access.consent.schemas import GrantOut
from access.digests import repository
from access.households.models import Household
from api import viewing_rows
from api.hub import Hub
from api.months import Month
from api.viewing_rows import Row, Scope
from camera_hub.devices import homes
from core.errors import InvalidInputError
from core.logging import get_logger

NO_PURPOSE = "none"
"""What live view counts as in `by_purpose`: it needs no purpose."""

CHECK_EVERY_S = 60.0
_AT_ONCE = 20
_FURTHEST_BACK = 13
_log = get_logger("api.digests")


class DigestCamera(BaseModel):
    """How often and how long (seconds) a camera was looked at, by whom and what for."""

    camera_id: UUID
    name: str
    place_kind: str
    viewings: int
    seconds: int
    by_role: dict[str, int]
    by_purpose: dict[str, int]


class DigestOut(BaseModel):
    """What a household is told of a month.

    `exports` counts exports that show one of these cameras. `still_sealed` is how many viewings are
    told later, because an incident is sealed; `released` how many of earlier months can be read
    since this one. `kept_at` is null while the month runs.
    """

    month: str
    household_id: UUID
    household: str
    cameras: list[DigestCamera]
    exports: int
    grants: list[GrantOut]
    still_sealed: int
    released: int
    kept_at: datetime | None


@dataclass
class _Tally:
    name: str
    place_kind: str
    viewings: int = 0
    seconds: float = 0.0
    by_role: Counter[str] = field(default_factory=Counter)
    by_purpose: Counter[str] = field(default_factory=Counter)


async def digest_of(
    hub: Hub, session: AsyncSession, household: Household, month: Month
) -> DigestOut:
    """Return the digest of a month: as it was kept, else as it is now.

    Raises:
        InvalidInputError: code `bad-month`: it has not begun.
    """
    if hub.clock.now() < month.start(hub.settings.site.zone):
        raise InvalidInputError(
            f"{month} has not begun.",
            remedy="Choose this month or an earlier one.",
            code="bad-month",
        )
    kept = await repository.find(session, household.id, str(month))
    if kept is not None:
        return DigestOut.model_validate({**kept.data, "kept_at": kept.made_at})
    return await _make(hub, session, household, month)


async def keep_digests(hub: Hub) -> int:
    """Write down the digests of months that are over; return how many were written."""
    zone = hub.settings.site.zone
    this = Month.of(hub.clock.now(), zone)
    async with hub.database.read() as session:
        first = await repository.first_household_at(session)
    if first is None:
        return 0
    month = max(Month.of(first, zone), this.plus(-_FURTHEST_BACK))
    written = 0
    while month < this:
        while wrote := await _keep_some(hub, month):
            written += wrote
        month = month.plus(1)
    return written


async def _keep_some(hub: Hub, month: Month) -> int:
    """Write down some digests of a month in a transaction of their own."""
    zone = hub.settings.site.zone
    between = month.start(zone), month.end(zone)
    async with hub.database.read() as session:
        waiting = await repository.without(session, str(month), *between, limit=_AT_ONCE)
    wrote = 0
    for household in waiting:
        async with hub.database.read() as session:
            digest = await _make(hub, session, household, month)
        # Another process of the site may have been first; what it wrote stays.
        async with hub.database.transaction() as session:
            wrote += await repository.add_once(
                session,
                household_id=household.id,
                month=str(month),
                made_at=hub.clock.now(),
                data=digest.model_dump(mode="json"),
            )
    return wrote


async def watch_residents(hub: Hub) -> None:
    """End seals whose time is over and keep the digests of months that are; for ever."""
    while True:
        async with hub.database.transaction() as session:
            expired = await hub.seals.expire(session)
        kept = await keep_digests(hub)
        if expired or kept:
            _log.info("residents_told", expired_seals=expired, digests=kept)
        await hub.clock.sleep(CHECK_EVERY_S)


async def _make(hub: Hub, session: AsyncSession, household: Household, month: Month) -> DigestOut:
    zone, now = hub.settings.site.zone, hub.clock.now()
    between = month.start(zone), month.end(zone)
    scope = Scope(frozenset({household.id}), (household.area,))
    rows = await viewing_rows.page(session, scope, now, between=between)
    return DigestOut(
        month=str(month),
        household_id=household.id,
        household=household.name,
        cameras=_by_camera(rows, now),
        exports=sum(row.record.kind == "export" for row in rows),
        grants=await _grants(hub, session, household.id, between),
        still_sealed=await viewing_rows.count_sealed(session, scope, now, between),
        released=await viewing_rows.count_released(
            session, scope, (between[0], min(now, between[1]))
        ),
        kept_at=None,
    )


def _by_camera(rows: Sequence[Row], now: datetime) -> list[DigestCamera]:
    found: dict[UUID, _Tally] = {}
    for row in reversed(rows):
        record = row.record
        tally = found.setdefault(record.camera_id, _Tally(row.camera_name, row.place_kind))
        tally.viewings += 1
        # Below zero when the clock was put back meanwhile; that takes nothing from the others.
        tally.seconds += max(0.0, ((record.ended_at or now) - record.started_at).total_seconds())
        tally.by_role[record.role or "unknown"] += 1
        tally.by_purpose[record.purpose or NO_PURPOSE] += 1
    return [
        DigestCamera(
            camera_id=camera_id,
            name=tally.name,
            place_kind=tally.place_kind,
            viewings=tally.viewings,
            seconds=round(tally.seconds),
            by_role=dict(sorted(tally.by_role.items())),
            by_purpose=dict(sorted(tally.by_purpose.items())),
        )
        for camera_id, tally in sorted(found.items(), key=lambda item: (item[1].name, item[0]))
    ]


async def _grants(
    hub: Hub, session: AsyncSession, household_id: UUID, between: tuple[datetime, datetime]
) -> list[GrantOut]:
    """Return the household's grants that were live at some time in between."""
    query: Any = (
        select(ConsentGrant)
        .where(
            ConsentGrant.household_id == household_id,
            ConsentGrant.given_at < between[1],
            or_(ConsentGrant.withdrawn_at.is_(None), ConsentGrant.withdrawn_at >= between[0]),
            or_(ConsentGrant.ends_at.is_(None), ConsentGrant.ends_at >= between[0]),
        )
        .order_by(ConsentGrant.id)
    )
    grants = list(await session.scalars(query))
    names = await homes.names(session, {grant.camera_id for grant in grants})
    return await hub.consent.describe(session, grants, names)
