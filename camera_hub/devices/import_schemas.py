"""Imports of lists, and changes of many cameras, as they go over the wire."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from camera_hub.devices.recording_plan import RecordingPlan
from camera_hub.devices.schemas import (
    Area,
    Contact,
    Owner,
    PlaceType,
    Purpose,
    RetentionHours,
    Transport,
)

RowState = Literal["ok", "exists", "invalid", "failed", "waiting", "created"]


class ImportRowOut(BaseModel):
    """A row of the list and what becomes of it.

    `ok`: it will be added; `exists`: there is a camera of this name in this area, which stays as it
    is; `invalid`: it cannot be added, the message says why; `waiting`; `failed`: the camera does
    not answer as it should, or the hub refuses it; `created`. `code` is that of the error, or of
    what is wrong with the row: `row-…`, `camera-exists`, `list-wrong`, `list-not-added`. `params`
    are what texts of such a code speak of: a column, another line, what may be written.
    """

    line: int
    name: str
    area: str
    state: RowState
    message: str = ""
    code: str = ""
    params: dict[str, str] = {}
    camera_id: UUID | None = None


class ImportOut(BaseModel):
    """An import: `done` of `total` rows have been worked on, `created` of them added."""

    id: UUID
    state: Literal["running", "done", "cancelled"]
    dry_run: bool
    done: int
    total: int
    created: int
    rows: list[ImportRowOut]


class CameraSet(BaseModel):
    """What may be changed of many cameras at once; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    area: Area | None = None
    place_type: PlaceType | None = None
    purpose: Purpose | None = None
    owner: Owner | None = None
    contact: Contact | None = None
    retention_hours: RetentionHours | None = None
    retention_reason: Purpose | None = None
    signage: bool | None = None
    residents_may_watch: bool | None = None
    enabled: bool | None = None
    analyse: bool | None = None
    recording: RecordingPlan | None = None
    transport: Transport | None = None


class CamerasUpdate(BaseModel):
    """Cameras, and what to change of each."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[list[UUID], Field(min_length=1, max_length=500)]
    set: CameraSet


class CameraResultOut(BaseModel):
    """What became of one camera: changed, or why not."""

    id: UUID
    name: str = ""
    changed: bool
    code: str = ""
    message: str = ""
    remedy: str = ""


class CamerasResultOut(BaseModel):
    """What became of each camera, in the order they were named."""

    results: list[CameraResultOut]
