"""What is recorded of a camera, what is not and why, and what is kept under lock."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.schemas import AccountBrief
from access.policy.areas import covers
from access.policy.types import Actor, Role
from access.scope import camera_scope
from api.door import permit, require
from api.hub import Hub, HubDep
from api.looking import camera_to_look_at, may_look
from api.pages import Page, Paging
from api.recording_rows import IncidentMark, incidents_of
from camera_hub.devices import homes
from camera_hub.devices.models import Camera
from camera_hub.devices.recording_plan import plan_of
from camera_hub.recording.index import locks
from camera_hub.recording.index.gaps import CameraPast
from camera_hub.recording.index.locks import LockedCamera, LockWanted
from camera_hub.recording.index.models import RecordingLock
from camera_hub.recording.index.retention import hours_in_force
from core.errors import ForbiddenError, HubError, InvalidInputError, NotFoundError

router = APIRouter(tags=["recordings"])

LONGEST = timedelta(days=32)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

GapReason = Literal[
    "not_yet",
    "deleted",
    "lost",
    "withdrawn",
    "offline",
    "not_recording",
    "not_added",
    "off",
    "schedule",
    "no_event",
    "unknown",
]


class _Wire(BaseModel):
    model_config = ConfigDict(populate_by_name=True)


class StretchOut(_Wire):
    """From when to when, UTC."""

    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")


class SpanOut(StretchOut):
    """A time that was recorded without a gap, and when something moved in it."""

    cause: Literal["always", "schedule", "event"]
    motion: list[StretchOut]


class GapOut(StretchOut):
    """A time that is not recorded. `not_yet`: its file is still being written."""

    reason: GapReason


class LockOut(StretchOut):
    """A span that is kept until `expires_at`. `requested_by` null: the hub, for an incident."""

    id: UUID
    camera_id: UUID
    camera_name: str
    incident_id: UUID | None
    reason: str
    requested_by: AccountBrief | None
    created_at: AwareDatetime
    expires_at: AwareDatetime
    ended_at: AwareDatetime | None
    ended_by: AccountBrief | None
    state: Literal["active", "ended", "expired"]
    allowed: list[Literal["extend", "end"]]


class RecordingsOut(_Wire):
    """A camera's recordings between two moments. `retention_h` null: as long as there is room.

    `time_zone` is the site's (IANA), in which its days are counted.
    """

    spans: list[SpanOut]
    gaps: list[GapOut]
    incidents: list[IncidentMark]
    locks: list[LockOut]
    oldest_at: AwareDatetime | None
    retention_h: int | None
    time_zone: str


class DayOut(BaseModel):
    """A day of the site's time zone with recordings."""

    day: date
    seconds: float
    bytes: int


class LockCreate(_Wire):
    """A span that is to be kept, why, and until when."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    camera_id: UUID
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")
    incident_id: UUID | None = None
    reason: str = Field(min_length=3, max_length=300)
    expires_at: AwareDatetime

    @field_validator("start", "end", "expires_at")
    @classmethod
    def _of_our_times(cls, value: datetime) -> datetime:
        if not _FIRST <= value <= _LAST:
            raise ValueError("lies between the years 2000 and 2200")
        return value


class LockExtend(_Wire):
    """Until when a lock is to last instead, and why."""

    model_config = ConfigDict(extra="forbid")

    expires_at: AwareDatetime
    reason: str = Field(min_length=3, max_length=300)

    @field_validator("expires_at")
    @classmethod
    def _of_our_times(cls, value: datetime) -> datetime:
        if not _FIRST <= value <= _LAST:
            raise ValueError("lies between the years 2000 and 2200")
        return value


From = Annotated[
    AwareDatetime | None, Query(alias="from", description="A day before `to` if left out")
]
To = Annotated[AwareDatetime | None, Query(alias="to", description="Now if left out")]


@router.get("/cameras/{camera_id}/recordings")
async def read_recordings(
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("recording.list")],
    start: From = None,
    end: To = None,
) -> RecordingsOut:
    """Return what is recorded of a camera between two moments (at most 32 days), and what is not.

    Incidents are named that the caller may read. No picture leaves here, and no view is recorded.
    """
    until = end or hub.clock.now()
    start, end = _between(start or max(until, _FIRST) - timedelta(days=1), until)
    async with hub.database.read() as session:
        camera = await camera_to_look_at(session, camera_id)
        await may_look(hub, session, actor, camera, "recording.list")
        spans = await hub.recordings.spans(session, camera_id, start, end)
        gaps = await hub.recordings.gaps(session, _past(hub, camera), spans, (start, end))
        marks = await incidents_of(hub, session, actor, camera_id, (start, end))
        kept = await hub.recordings.locks.of_camera(session, camera_id, start, end)
        people = await locks.people(session, kept)
        oldest = await hub.recordings.oldest(session, camera_id)
    hours, _ = hours_in_force(hub.law, camera.place_type, camera.place_kind, camera.retention_hours)
    return RecordingsOut(
        spans=[
            SpanOut(
                start=span.start,
                end=span.end,
                cause=span.cause,
                motion=[StretchOut(start=a, end=b) for a, b in span.motion],
            )
            for span in spans
        ],
        gaps=[GapOut(start=a, end=b, reason=why) for a, b, why in gaps],
        incidents=marks,
        locks=[_out(hub, actor, row, camera, people) for row in kept],
        oldest_at=oldest,
        retention_h=hours,
        time_zone=str(hub.settings.site.zone),
    )


@router.get("/cameras/{camera_id}/recordings/days")
async def read_recording_days(
    camera_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("recording.list")],
    month: Annotated[
        str,
        Query(pattern=r"^(2\d{3}-(0[1-9]|1[0-2]))?$", description="YYYY-MM; this one if left out"),
    ] = "",
) -> list[DayOut]:
    """Return the days of a month, in the site's time zone, of which something is recorded."""
    zone = hub.settings.site.zone
    month = month or f"{hub.clock.now().astimezone(zone):%Y-%m}"
    async with hub.database.read() as session:
        camera = await camera_to_look_at(session, camera_id)
        await may_look(hub, session, actor, camera, "recording.list")
        found = await hub.recordings.days(
            session, camera_id, date.fromisoformat(f"{month}-01"), zone
        )
    return [DayOut.model_validate(one, from_attributes=True) for one in found]


@router.get("/recordings/locks")
async def list_recording_locks(
    page: Paging,
    hub: HubDep,
    actor: Annotated[Actor, permit("recording.lock")],
    state: Literal["active", "all"] = "active",
    camera_id: UUID | None = None,
) -> Page[LockOut]:
    """List the locks on recordings of the cameras that one may lock, newest first."""
    before = page.after(UUID)
    async with hub.database.read() as session:
        rows = await hub.recordings.locks.page(
            session,
            camera_scope(hub.policy, actor, "recording.lock"),
            active=state == "active",
            camera_id=camera_id,
            before=before[0] if before else None,
            limit=page.fetch,
        )
        shown = [row for row, _ in rows[: page.limit]]
        people = await locks.people(session, shown)
        items = [
            _out(hub, actor, row, await _camera(session, row.camera_id), people) for row in shown
        ]
    return page.page(rows, lambda row: (row[0].id,), items)


@router.post("/recordings/locks", status_code=201)
async def lock_recordings(
    body: LockCreate, hub: HubDep, actor: Annotated[Actor, permit("recording.lock")]
) -> LockOut:
    """Keep a span of a camera, whatever its age and the disks say, until `expires_at`."""
    async with hub.database.transaction() as session:
        camera = await camera_to_look_at(session, body.camera_id)
        await may_look(hub, session, actor, camera, "recording.lock")
        if body.incident_id is not None:
            await _readable(hub, session, actor, body.incident_id)
        row = await hub.recordings.locks.lock(
            session,
            actor,
            LockedCamera(camera.id, camera.name, camera.area),
            LockWanted(
                start=body.start.astimezone(UTC),
                end=body.end.astimezone(UTC),
                reason=body.reason.strip(),
                expires_at=body.expires_at.astimezone(UTC),
                incident_id=body.incident_id,
            ),
        )
        return _out(hub, actor, row, camera, await locks.people(session, [row]))


@router.patch("/recordings/locks/{lock_id}")
async def extend_lock(
    lock_id: UUID,
    body: LockExtend,
    hub: HubDep,
    actor: Annotated[Actor, permit("recording.lock")],
) -> LockOut:
    """Let a lock last longer: by whoever may end it."""
    async with hub.database.transaction() as session:
        row, camera = await _lock_of(hub, session, actor, lock_id)
        until, why = body.expires_at.astimezone(UTC), body.reason.strip()
        await hub.recordings.locks.extend(session, actor, row, camera.area, until=until, why=why)
        return _out(hub, actor, row, camera, await locks.people(session, [row]))


@router.delete("/recordings/locks/{lock_id}")
async def unlock_recordings(
    lock_id: UUID,
    hub: HubDep,
    actor: Annotated[Actor, permit("recording.lock")],
    reason: Annotated[str, Query(max_length=300, description="Why; it is in the ledger")] = "",
) -> LockOut:
    """End a lock: whoever made it, a supervisor of the place, or the household of the home."""
    async with hub.database.transaction() as session:
        row, camera = await _lock_of(hub, session, actor, lock_id)
        await hub.recordings.locks.unlock(session, actor, row, camera.area, reason.strip())
        return _out(hub, actor, row, camera, await locks.people(session, [row]))


async def _lock_of(
    hub: Hub, session: AsyncSession, actor: Actor, lock_id: UUID
) -> tuple[RecordingLock, Camera]:
    """Return a lock that the actor may change, and its camera."""
    row = await hub.recordings.locks.get(session, lock_id)
    camera = await homes.also_deleted(session, row.camera_id)
    if camera is None:
        raise locks.no_such_lock()
    try:
        await may_look(hub, session, actor, camera, "recording.lock")
    except NotFoundError:
        raise locks.no_such_lock() from None
    if not _may_end(actor, row, camera):
        raise ForbiddenError(
            "Somebody else has locked this.",
            remedy="Ask them, or a supervisor of the place.",
            code="not-yours",
        )
    return row, camera


def _between(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    if not start < end or end - start > LONGEST or not _FIRST <= start < end <= _LAST:
        raise InvalidInputError(
            "The span is empty, or longer than 32 days.",
            remedy="Ask for a day or a month: `from` before `to`.",
            code="bad-span",
        )
    return start.astimezone(UTC), end.astimezone(UTC)


def _past(hub: Hub, camera: Camera) -> CameraPast:
    mode = plan_of(camera.recording).mode if camera.enabled else "off"
    return CameraPast(camera.id, camera.created_at, mode, hub.settings.recording.segment_s + 30.0)


async def _camera(session: AsyncSession, camera_id: UUID) -> Camera:
    camera = await homes.also_deleted(session, camera_id)
    assert camera is not None  # the list was joined with it
    return camera


async def _readable(hub: Hub, session: AsyncSession, actor: Actor, incident_id: UUID) -> None:
    try:
        incident = await hub.governance.incidents.get(session, incident_id)
        require(hub, actor, "incident.read", incident.resource())
    except HubError:
        raise InvalidInputError(
            "There is no such incident that you may read.",
            remedy="Name an incident of your areas, or none.",
            code="unknown-reference",
        ) from None


def _may_end(actor: Actor, row: RecordingLock, camera: Camera) -> bool:
    if row.requested_by is not None and row.requested_by == actor.id:
        return True
    if camera.place_kind == "home":
        return camera.household_id in actor.households
    return any(
        binding.role is Role.SUPERVISOR and covers(binding.area, camera.area)
        for binding in actor.bindings
    )


def _out(
    hub: Hub,
    actor: Actor,
    row: RecordingLock,
    camera: Camera,
    people: "dict[UUID, AccountBrief]",
) -> LockOut:
    state = hub.recordings.locks.state_of(row)
    may = state == "active" and _may_end(actor, row, camera)
    return LockOut(
        id=row.id,
        camera_id=row.camera_id,
        camera_name=camera.name,
        start=row.from_at,
        end=row.to_at,
        incident_id=row.incident_id,
        reason=row.reason,
        requested_by=people.get(row.requested_by) if row.requested_by else None,
        created_at=row.created_at,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        ended_by=people.get(row.ended_by) if row.ended_by else None,
        state=state,
        allowed=["extend", "end"] if may else [],
    )
