"""How cameras have been doing: outages, availability and what is not recorded, month by month."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, get_args
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import covers, normalise_area
from access.policy.types import Actor
from access.scope import camera_scope
from api.cameras import visible
from api.door import permit
from api.hub import Hub, HubDep
from api.looking import possible_look
from api.months import Month
from camera_hub.devices import outages, repository
from camera_hub.devices.models import Camera, CameraOutage
from camera_hub.devices.outages import OutageKind
from camera_hub.devices.recording_plan import plan_of
from camera_hub.recording.index import repository as segments
from camera_hub.recording.index.gaps import CameraPast
from governance.signals.models import Signal

router = APIRouter(tags=["cameras"])

LOOK_EVERY_S = 2.0
LOOK_BACK = timedelta(hours=1)
"""At its start the hub reads what it may not have noted before it was killed."""
_OVERLAP = timedelta(seconds=10)
_MOST_SIGNALS = 500
_MOST_CAMERAS = 2000
_MOST_GAPS = 1000
_PREFIX = "org.camerahub.camera."
_KINDS: dict[str, OutageKind] = {
    f"{_PREFIX}{kind}": kind for kind in get_args(OutageKind) if kind not in outages.AWAY
}
_FORGET_EVERY_S = 24 * 3600.0


class OutageOut(BaseModel):
    """A time in which something was wrong; `to` null: it still is."""

    model_config = ConfigDict(populate_by_name=True)

    kind: OutageKind
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime | None = Field(alias="to")
    incident_id: UUID | None


class MissingOut(BaseModel):
    """A time that is not recorded, and why; reasons as in `GET /cameras/{id}/recordings`."""

    model_config = ConfigDict(populate_by_name=True)

    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")
    reason: str


class HealthOut(BaseModel):
    """Shares of a month until now, 0 to 1 (null: nothing of it has passed).

    `availability`: with pictures; `usable`: with pictures one can rely on; `recorded`: of which
    recordings are kept.
    """

    month: str
    availability: float | None
    usable: float | None
    recorded: float | None


class CameraHealthOut(HealthOut):
    """A camera's month: what was wrong, and what is not recorded (at most 1000 gaps)."""

    outages: list[OutageOut]
    gaps: list[MissingOut]


class AreaHealthOut(HealthOut):
    """An area's month: the means of its cameras, each for the time it has been there."""

    area: str
    cameras: int
    outages: int


AskedMonth = Annotated[str, Query(max_length=20, description="YYYY-MM; this one if left out")]


@router.get("/cameras/{camera_id}/health")
async def read_camera_health(
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.read")],
    month: AskedMonth = "",
) -> CameraHealthOut:
    """Return how a camera was doing in a month of the site's calendar."""
    async with hub.database.read() as session:
        camera = await visible(hub, session, actor, camera_id)
        grants = await hub.consent.live_grants(session, actor, [camera.id])
        # What of a home is recorded says when somebody was there: as in the list of recordings.
        listed = camera.place_kind != "home" or (
            possible_look(hub, actor, camera, grants, "recording.list") is not None
        )
        return await health_of(hub, session, camera, month, listed=listed)


async def health_of(
    hub: Hub, session: AsyncSession, camera: Camera, month: str, *, listed: bool
) -> CameraHealthOut:
    """Return how a camera was doing; `listed`: and what of it is recorded.

    Raises:
        InvalidInputError: this is no month.
    """
    asked, start, end = _span(hub, month)
    start = max(start, camera.created_at)
    rows = await outages.between(session, [camera.id], start, end) if start < end else []
    missing: list[MissingOut] = []
    if listed and start < end:
        spans = await hub.recordings.spans(session, camera.id, start, end)
        mode = plan_of(camera.recording).mode if camera.enabled else "off"
        past = CameraPast(
            camera.id, camera.created_at, mode, hub.settings.recording.segment_s + 30.0
        )
        found = await hub.recordings.gaps(session, past, spans, (start, end))
        missing = [MissingOut(start=a, end=b, reason=why) for a, b, why in found[:_MOST_GAPS]]
    shares = await _shares(session, camera, rows, start, end, listed=listed)
    return CameraHealthOut(
        month=str(asked),
        availability=shares[0],
        usable=shares[1],
        recorded=shares[2],
        outages=[
            OutageOut(
                kind=row.kind,  # written by `outages` only
                start=row.started_at,
                end=row.ended_at,
                incident_id=row.incident_id,
            )
            for row in rows
        ],
        gaps=missing,
    )


@router.get("/areas/health")
async def read_area_health(
    hub: HubDep,
    actor: Annotated[Actor, permit("camera.read")],
    month: AskedMonth = "",
    area: Annotated[str, Query(max_length=255, description="It and all below; empty: all")] = "",
) -> list[AreaHealthOut]:
    """Return how the cameras of each area were doing in a month: those that the caller may see."""
    asked, start, end = _span(hub, month)
    wanted = normalise_area(area) if area else ""
    async with hub.database.read() as session:
        cameras = await repository.page(
            session,
            scope=camera_scope(hub.policy, actor, "camera.read"),
            after=None,
            limit=_MOST_CAMERAS,
        )
        cameras = [one for one in cameras if not wanted or covers(wanted, one.area)]
        rows = await outages.between(session, [one.id for one in cameras], start, end)
        by_camera: dict[UUID, list[CameraOutage]] = {}
        for row in rows:
            by_camera.setdefault(row.camera_id, []).append(row)
        found: dict[str, list[tuple[int, Shares]]] = {}
        for camera in cameras:
            own = by_camera.get(camera.id, [])
            listed = camera.place_kind != "home" or camera.household_id in actor.households
            begun = max(start, camera.created_at)
            shares = await _shares(session, camera, own, begun, end, listed=listed)
            found.setdefault(camera.area, []).append((len(own), shares))
    return [
        AreaHealthOut(
            month=str(asked),
            area=name,
            cameras=len(each),
            outages=sum(count for count, _ in each),
            availability=_mean([shares[0] for _, shares in each]),
            usable=_mean([shares[1] for _, shares in each]),
            recorded=_mean([shares[2] for _, shares in each]),
        )
        for name, each in sorted(found.items())
    ]


Shares = tuple[float | None, float | None, float | None]


def _span(hub: Hub, text: str) -> tuple[Month, datetime, datetime]:
    """Return the month and its beginning and end, the end not after now."""
    zone, now = hub.settings.site.zone, hub.clock.now()
    month = Month.parse(text) if text else Month.of(now, zone)
    return month, month.start(zone), min(month.plus(1).start(zone), now)


async def _shares(
    session: AsyncSession,
    camera: Camera,
    rows: Sequence[CameraOutage],
    start: datetime,
    end: datetime,
    *,
    listed: bool,
) -> Shares:
    total = outages.sum_up(rows, start, end)
    if total is None:
        return None, None, None
    if not listed:
        return round(total.available, 6), round(total.usable, 6), None
    seconds, _ = await segments.recorded_between(session, camera.id, start, end)
    return (
        round(total.available, 6),
        round(total.usable, 6),
        round(min(1.0, seconds / total.seconds), 6),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 6) if known else None


async def watch_outages(hub: Hub) -> None:
    """Note the outages that signals tell of, and forget old ones; runs until cancelled."""
    watch, forget_at = OutageWatch(hub), 0.0
    while True:
        await watch.look()
        if hub.clock.monotonic() >= forget_at:
            forget_at = hub.clock.monotonic() + _FORGET_EVERY_S
            async with hub.database.transaction() as session:
                await outages.forget_old(session, hub.clock.now())
        await asyncio.sleep(LOOK_EVERY_S)


class OutageWatch:
    """Reads the signals of cameras' faults in the order they came, and notes the outages.

    Some are read twice, at a start and where transactions may have overlapped: noting what is
    noted changes nothing.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._since = hub.clock.now() - LOOK_BACK
        self._noted: dict[UUID, None] = {}

    async def look(self) -> None:
        """Note what is new."""
        query = (
            select(Signal)
            .where(Signal.received_at >= self._since, Signal.type.in_(_KINDS))
            .order_by(Signal.received_at, Signal.id)
            .limit(_MOST_SIGNALS)
        )
        async with self._hub.database.read() as session:
            rows = list(await session.scalars(query))
        news = [row for row in rows if row.id not in self._noted]
        if news:
            async with self._hub.database.transaction() as session:
                for row in news:
                    await _note(session, row)
            self._noted.update((row.id, None) for row in news)
        while len(self._noted) > 4 * _MOST_SIGNALS:
            del self._noted[next(iter(self._noted))]
        if len(rows) == _MOST_SIGNALS:
            self._since = rows[-1].received_at
        else:
            self._since = max(self._since, self._hub.clock.now() - _OVERLAP)


async def _note(session: AsyncSession, row: Signal) -> None:
    named = row.payload.get("data", {}).get("camera_id")
    try:
        camera_id = UUID(str(named))
    except ValueError:
        return
    kind = _KINDS[row.type]
    if row.phase == "ended":
        await outages.end(session, camera_id, {kind}, row.occurred_at)
    elif row.phase == "started":
        await outages.begin(session, camera_id, kind, row.occurred_at, row.incident_id)
