"""What recordings take of the disks, when these will be full, and checks of disks and index."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict

from access.policy.types import Actor, Resource
from access.scope import camera_scope
from api.door import permit, require
from api.hub import HubDep
from api.recording_watch import Faults, tell_of_lost
from api.storage_checks import StorageCheck
from camera_hub.devices import homes, repository
from camera_hub.recording.index.checking import CheckReport
from core.errors import NotFoundError

router = APIRouter(prefix="/storage", tags=["storage"])


class DiskOut(BaseModel):
    """A disk. Sizes in bytes; `free` is what recordings may still take, `quota` 0 for no limit.

    `full_at`: when what must be kept no longer fits; null: not within a year.
    """

    name: str
    state: Literal["ok", "full", "away"]
    reason: Literal["", "no-room", "disk-away", "not-used-yet"]
    total: int
    used: int
    free: int
    quota: int
    per_day: int
    full_at: AwareDatetime | None
    oldest_at: AwareDatetime | None


class CameraStorageOut(BaseModel):
    """What one camera takes, in bytes. `retention_h` null: as long as there is room."""

    camera_id: UUID
    name: str
    bytes: int
    per_day: int
    retention_h: int | None
    oldest_at: AwareDatetime | None
    locked_bytes: int


class StorageOut(BaseModel):
    """Disks and cameras. `full_at`: when all disks together cannot hold what must be kept."""

    disks: list[DiskOut]
    cameras: list[CameraStorageOut]
    full_at: AwareDatetime | None


class CheckCreate(BaseModel):
    """`presence` looks for the files, `size` at their sizes too, `hash` reads all of them.

    `repair`: put into the index what it lacks, and take out what a disk has lost.
    """

    model_config = ConfigDict(extra="forbid")

    depth: Literal["presence", "size", "hash"] = "presence"
    repair: bool = False


class CheckCountsOut(BaseModel):
    """What a check has found so far; see `camera-hub recordings check`."""

    files: int
    rows: int
    bytes: int
    missing: int
    unknown: int
    indexed: int
    broken: int
    changed: int
    hashed: int
    removed: int
    away: list[str]
    missing_files: list[str]
    unknown_files: list[str]
    broken_files: list[str]
    changed_files: list[str]


class CheckOut(BaseModel):
    """A check. `done` of `total` folders, each a day of a camera."""

    id: UUID
    state: Literal["running", "good", "bad", "failed"]
    depth: Literal["presence", "size", "hash"]
    repair: bool
    done: int
    total: int
    message: str
    found: CheckCountsOut


@router.get("")
async def read_storage(hub: HubDep, actor: Annotated[Actor, permit("storage.read")]) -> StorageOut:
    """Return how full the disks are, and what each camera that one may know of takes."""
    async with hub.database.read() as session:
        survey = await hub.recordings.survey(session)
        grants = await hub.consent.live_grants(session, actor)
        scope = camera_scope(
            hub.policy, actor, "camera.list", {grant.camera_id for grant in grants}
        )
        known = await repository.ids_in_scope(session, scope)
        # What a home's takes grows when something moves there: that is its household's to know.
        at_home = await homes.at_home(session, known)
        mine = await homes.of_households(session, actor.households)
        known -= at_home - {camera.id for camera in mine}
    return StorageOut(
        disks=[DiskOut.model_validate(disk, from_attributes=True) for disk in survey.disks],
        cameras=[
            CameraStorageOut.model_validate(use, from_attributes=True)
            for use in survey.cameras
            if use.camera_id in known
        ],
        full_at=survey.full_at,
    )


@router.post("/checks", status_code=202)
async def start_storage_check(
    body: CheckCreate, hub: HubDep, actor: Annotated[Actor, permit("storage.check")]
) -> CheckOut:
    """Begin to compare index and disks, or return the check that is under way.

    A repair is for administrators of the whole site: it is about all of the cameras.
    """
    if body.repair:
        require(hub, actor, "storage.check", Resource("storage"))

    async def tell(report: CheckReport) -> None:
        await tell_of_lost(Faults(hub), report)

    return _out(hub.storage_checks.start(hub.recordings, body.depth, body.repair, tell))


@router.get("/checks/{check_id}")
async def read_storage_check(
    check_id: UUID, hub: HubDep, _actor: Annotated[Actor, permit("storage.check")]
) -> CheckOut:
    """Return how far a check is, and what it has found. A restart of the hub forgets checks."""
    run = hub.storage_checks.get(check_id)
    if run is None:
        raise NotFoundError("There is no such check.", remedy="Start a new one.")
    return _out(run)


def _out(run: StorageCheck) -> CheckOut:
    return CheckOut(
        id=run.id,
        state=run.state,
        depth=run.depth,
        repair=run.repair,
        done=run.done,
        total=run.total,
        message=run.message,
        found=CheckCountsOut.model_validate(run.report, from_attributes=True),
    )
