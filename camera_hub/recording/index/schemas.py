"""What is said of recorded segments over the wire, and what the hub's parts hand each other."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    model_validator,
)

AT_ONCE = 500
"""Most segments in one message."""
LONGEST = timedelta(minutes=15)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""No recording is from before or after; each day in between is looked at by a check."""
PATH = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/\d{4}-\d\d-\d\d/\d{6}-\d{1,12}-(main|sub)\.mp4$"
"""`<camera id>/<YYYY-MM-DD>/<HHMMSS>-<sequence>-<role>.mp4`, below the disk's folder."""

Role = Literal["main", "sub"]
Cause = Literal["always", "schedule", "event"]
RecordingClock = Literal["steady", "jumped"]
DeletionCause = Literal["retention", "quota", "withdrawn", "lost"]


class SegmentIn(BaseModel):
    """A closed file, as the worker that wrote it or a scan of the disk describes it.

    Times are UTC. `sha256` is of the whole file, "" where nobody has read it through yet.
    `motion`: hex of 64 bits, bit n set where second n of the segment had motion.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: UUID
    camera_id: UUID
    role: Role
    started_at: AwareDatetime
    ends_at: AwareDatetime
    bytes: int = Field(ge=1, le=1 << 40)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    disk: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    path: str = Field(pattern=PATH, max_length=200)
    sequence: int = Field(ge=0, le=10**12 - 1)
    codec: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.,_-]{0,39}$")
    width: int = Field(ge=1, le=16384)
    height: int = Field(ge=1, le=16384)
    cause: Cause = "always"
    clock: RecordingClock = "steady"
    motion: str = Field(default="", pattern=r"^[0-9a-f]{0,16}$")

    @model_validator(mode="after")
    def _coherent(self) -> "SegmentIn":
        if not self.started_at < self.ends_at:
            raise ValueError("ends_at must lie after started_at")
        if self.ends_at - self.started_at > LONGEST:
            raise ValueError("a segment is at most 15 minutes long")
        if not _FIRST <= self.started_at < self.ends_at <= _LAST:
            raise ValueError("started_at and ends_at lie between the years 2000 and 2200")
        if not self.path.startswith(f"{self.camera_id}/"):
            raise ValueError("path must lie in the folder of the camera")
        if not self.path.endswith(f"-{self.role}.mp4"):
            raise ValueError("path must name the role")
        return self


@dataclass(frozen=True, slots=True)
class BadSegment:
    """An entry of a batch that is no segment; the others of its batch are taken all the same."""

    id: UUID
    message: str


def _or_bad(value: Any, handler: Callable[[Any], SegmentIn]) -> "SegmentIn | BadSegment":
    """Keep what can be told apart by its id from spoiling the whole batch."""
    try:
        return handler(value)
    except ValidationError as error:
        try:
            found = UUID(str(value["id"]))
        except (TypeError, KeyError, ValueError):
            raise error from None
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return BadSegment(found, f"{where}: {first['msg']}" if where else str(first["msg"]))


class SegmentsIn(BaseModel):
    """What a worker has recorded since it last reported."""

    model_config = ConfigDict(extra="forbid")

    segments: list[Annotated[SegmentIn, WrapValidator(_or_bad)]] = Field(max_length=AT_ONCE)


class RefusedSegment(BaseModel):
    """A segment that is not in the index, and why; its file stays where it is."""

    id: UUID
    code: Literal["bad-segment", "other-content", "path-taken"]
    message: str


class SegmentsOut(BaseModel):
    """`taken`: what the index has for certain (committed), new or known already."""

    taken: list[UUID]
    refused: list[RefusedSegment] = []


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A row of `segment`, without the session it came from."""

    id: UUID
    camera_id: UUID
    role: str
    started_at: datetime
    ends_at: datetime
    bytes: int
    sha256: str
    disk: str
    path: str
    sequence: int
    codec: str
    width: int
    height: int
    cause: str
    clock: str
    motion: str
    deleting: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A time without a gap: neighbouring segments of one cause, at most 1.5 s apart.

    `motion` holds the spans with motion in it (UTC), as far as the recorder marked any.
    """

    start: datetime
    end: datetime
    cause: str
    motion: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class DayTotal:
    """How much of a day was recorded, in seconds and bytes. `day`: YYYY-MM-DD (UTC)."""

    day: str
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class DiskPlace:
    """A disk as settings name it. `quota` and `keep_free` in bytes; quota 0: none."""

    name: str
    path: Path
    quota: int
    keep_free: int
