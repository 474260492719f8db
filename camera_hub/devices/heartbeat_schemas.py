"""What a media worker and the hub tell each other once a second (docs/design/api.md)."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from camera_hub.devices.recording_plan import RecordingPlan
from camera_hub.devices.schemas import (
    AnalysedBy,
    Count,
    StatusOut,
    StreamRole,
    Transport,
)
from core.text import Cleaned, Printable


class ReportedDisk(BaseModel):
    """A disk as a worker finds it. `total`, `used`, `free`: bytes of its file system.

    `recorded`: bytes of recordings, counted only where the disk has a quota.
    """

    name: Annotated[str, StringConstraints(max_length=40), Printable]
    state: Literal["ok", "full", "read_only", "gone", "hanging", "failed"]
    reason: Cleaned = ""
    total: Count = 0
    used: Count = 0
    free: Count = 0
    recorded: Count | None = None


class ReportedStatus(StatusOut):
    """A camera's status as its worker reports it; the reason may quote the camera."""

    model_config = ConfigDict(allow_inf_nan=False)

    reason: Cleaned
    camera_id: UUID


class SignalCounters(BaseModel):
    """What became of a worker's signals since its process started."""

    emitted: Count = 0
    posted: Count = 0
    rejected: Count = 0
    lost: Count = 0


class DetectorReport(BaseModel):
    """The detector that a worker is connected to."""

    model: str
    backend: str
    device: str


class HeartbeatIn(BaseModel):
    """What a media worker says every second."""

    pid: int = Field(ge=0, le=2**31 - 1)
    address: Annotated[str, StringConstraints(max_length=255), Printable]
    revision: Annotated[str, StringConstraints(max_length=64), Printable] | None = None
    spool_depth: Count = 0
    signals: SignalCounters = SignalCounters()
    detector: DetectorReport | None = None
    cameras: list[ReportedStatus] = Field(default=[], max_length=10_000)
    disks: list[ReportedDisk] = Field(default=[], max_length=64)


class AssignedStream(BaseModel):
    """Where to read a stream, with the credentials to do it."""

    url: str
    username: str
    password: str


class AssignedCameraOut(BaseModel):
    """A camera that this worker is to read; `zones` as in `GET /cameras/{id}/zones`.

    `recording`: see `camera_hub/recording/plans.py`.
    """

    id: UUID
    name: str
    area: str
    version: int
    streams: dict[StreamRole, AssignedStream]
    analyse: bool
    zones: list[dict[str, Any]] = []
    masks: list[dict[str, Any]] = []
    masks_burnt: bool = False
    recording: RecordingPlan = RecordingPlan()
    transport: Transport = "tcp"
    sound: bool = False
    analysed_by: AnalysedBy = "hub"


class HeartbeatOut(BaseModel):
    """`cameras` is null when nothing changed since the `revision` that the worker named.

    `moving` are those of the worker's cameras that say themselves that something moves, `asked`
    those that record at times and are to do so now, because of an open incident, `turned` those
    that somebody turns: what they show changes on purpose, `retuned` those of which somebody has
    set an encoder: how much they send does.
    """

    revision: str
    cameras: list[AssignedCameraOut] | None
    moving: list[UUID] = []
    asked: list[UUID] = []
    turned: list[UUID] = []
    retuned: list[UUID] = []
