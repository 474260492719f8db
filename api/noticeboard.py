"""What anybody may know of the cameras here: counted at most once a minute, and no home is named.

Home cameras are counted by area only. An area with fewer than three is counted with the area above
it, so that a flat, a stairwell or a small house does not tell that it has one.
"""

import asyncio
from collections.abc import Collection, Hashable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.jurisdictions.schemas import Text
from access.ledger.models import LedgerEntry
from access.ledger.times import to_us
from access.policy.areas import ancestors
from access.views.models import ViewRecord
from api.months import Month
from camera_hub.devices import repository
from camera_hub.devices.models import Camera
from governance.areas import repository as areas

if TYPE_CHECKING:
    from api.hub import Hub

FEWEST = 3
"""Fewer home cameras than this are not counted by themselves."""
MONTHS = 13
COUNTED_FOR_S = 60.0
NO_PURPOSE = "none"
_EXPORTS = ("export.requested", "export.approved", "export.refused")


class PublicCamera(BaseModel):
    """A camera of a public or shared space, as everybody there may know it.

    `place` is what the law in force calls its `place_type`; null where it knows none.
    """

    name: str
    area: str
    place_kind: str
    place_type: str
    place: Text | None
    purpose: str
    owner: str
    contact: str
    retention_hours: int | None
    residents_may_watch: bool
    masked: bool
    signage: bool
    sound: bool


class HomesOut(BaseModel):
    """Home cameras in an area and below; null is "of fewer than three households"."""

    area: str
    cameras: int | None


class PublicMonth(BaseModel):
    """Counts of a month: viewings by others than the own household, and exports by outcome."""

    month: str
    viewings: int
    by_purpose: dict[str, int]
    requested_exports: int
    exports: int
    refused_exports: int


class TransparencyOut(BaseModel):
    """The page for everybody. `homes` are cameras; null: those of fewer than three households.

    `area_names` is what people call the areas that it names, and those above them, by path.
    """

    site: str
    jurisdiction: str
    law: Text
    law_note: Text
    owner: str
    contact: str
    counted_at: datetime
    cameras: list[PublicCamera]
    homes: int | None
    homes_by_area: list[HomesOut]
    area_names: dict[str, str]
    months: list[PublicMonth]


class Noticeboard:
    """Keeps what was counted last for a minute, however many ask."""

    def __init__(self) -> None:
        self._counting = asyncio.Lock()
        self._kept: TransparencyOut | None = None
        self._kept_at = 0.0

    async def read(self, hub: "Hub") -> TransparencyOut:
        """Return what was counted within the last minute; counts anew else."""
        async with self._counting:
            now = hub.clock.monotonic()
            if self._kept is None or not 0 <= now - self._kept_at < COUNTED_FOR_S:
                self._kept, self._kept_at = await count_for_everybody(hub), now
            return self._kept


async def count_for_everybody(hub: "Hub") -> TransparencyOut:
    """Read and count what the page of transparency shows."""
    site = hub.settings.site
    async with hub.database.read() as session:
        cameras = await repository.all_bare(session)
        this = Month.of(hub.clock.now(), site.zone)
        months = [
            await _count_month(session, hub, this.plus(-back)) for back in reversed(range(MONTHS))
        ]
        # A home camera from before there were households counts as a household of its own.
        homes = [
            (camera.area, camera.household_id or camera.id)
            for camera in cameras
            if camera.place_kind == "home"
        ]
        shown = [_public(hub, camera) for camera in cameras if camera.place_kind != "home"]
        by_area = count_homes(homes)
        area_names = await areas.names(
            session, {one.area for one in shown} | {one.area for one in by_area}
        )
    return TransparencyOut(
        site=site.name,
        jurisdiction=hub.law.name,
        law=hub.law.content.title,
        law_note=hub.law.content.note,
        owner=site.owner,
        contact=site.contact,
        counted_at=hub.clock.now(),
        cameras=shown,
        homes=_few([household for _, household in homes]),
        homes_by_area=by_area,
        area_names=area_names,
        months=months,
    )


def count_homes(homes: Iterable[tuple[str, Hashable]]) -> list[HomesOut]:
    """Count home cameras by area, from the narrowest up; what is too few goes to the area above.

    `homes` are area and household of each camera. Too few is fewer than three households: else a
    flat with three cameras would be named. What is left over for the whole site must not be the
    total less all the others; then the smallest of those goes to the whole site as well.
    """
    waiting: dict[str, list[Hashable]] = {}
    for area, household in homes:
        waiting.setdefault(area, []).append(household)
    found: dict[str, list[Hashable]] = {}
    while waiting:
        area = max(waiting, key=lambda path: (path.count("/") + 1 if path else 0, path))
        here = waiting.pop(area)
        if area and len(set(here)) < FEWEST:
            waiting.setdefault(ancestors(area)[1], []).extend(here)
            continue
        while found and len(set(here)) < FEWEST:
            here += found.pop(min(found, key=lambda path: (len(found[path]), path)))
        found[area] = here
    return [HomesOut(area=area, cameras=_few(here)) for area, here in sorted(found.items())]


def _few(households: Collection[Hashable]) -> int | None:
    """Return how many cameras these are, given the household of each; None for few households."""
    return len(households) if not households or len(set(households)) >= FEWEST else None


def _public(hub: "Hub", camera: Camera) -> PublicCamera:
    site = hub.settings.site
    place = hub.law.places.get(camera.place_type)
    return PublicCamera(
        name=camera.name,
        area=camera.area,
        place_kind=camera.place_kind,
        place_type=camera.place_type,
        place=place.title if place else None,
        purpose=camera.purpose,
        owner=camera.owner or site.owner,
        contact=camera.contact or site.contact,
        retention_hours=hub.law.retention_of(
            camera.place_type, camera.place_kind, camera.retention_hours
        ),
        residents_may_watch=camera.residents_may_watch,
        masked=bool(camera.masks),
        signage=camera.signage,
        sound=camera.sound,
    )


async def _count_month(session: AsyncSession, hub: "Hub", month: Month) -> PublicMonth:
    zone = hub.settings.site.zone
    start, end = month.start(zone), month.end(zone)
    views = await session.execute(
        select(ViewRecord.purpose, func.count())
        .where(
            ViewRecord.started_at >= start,
            ViewRecord.started_at < end,
            ViewRecord.role != "household",
        )
        .group_by(ViewRecord.purpose)
    )
    by_purpose = {purpose or NO_PURPOSE: count for purpose, count in views}
    steps = await session.execute(
        select(LedgerEntry.kind, func.count())
        .where(
            LedgerEntry.kind.in_(_EXPORTS),
            LedgerEntry.at >= to_us(start),
            LedgerEntry.at < to_us(end),
        )
        .group_by(LedgerEntry.kind)
    )
    exports = {kind: count for kind, count in steps}
    return PublicMonth(
        month=str(month),
        viewings=sum(by_purpose.values()),
        by_purpose=dict(sorted(by_purpose.items())),
        requested_exports=exports.get("export.requested", 0),
        exports=exports.get("export.approved", 0),
        refused_exports=exports.get("export.refused", 0),
    )
