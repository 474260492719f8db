"""Exports on the wire."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from access.accounts.schemas import AccountBrief

Audience = Literal["authority", "publication", "subject"]
State = Literal[
    "requested", "approved", "building", "ready", "refused", "withdrawn", "expired", "failed"
]
Step = Literal["preview", "approve", "refuse", "withdraw", "download"]
Rendition = Literal["raw", "blurred"]

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


LONGEST_RECORDING = timedelta(hours=2)


class RecordingWish(BaseModel):
    """What is wanted of the recordings of one camera: two hours at most."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    camera_id: UUID
    from_at: AwareDatetime = Field(alias="from")
    to_at: AwareDatetime = Field(alias="to")

    @model_validator(mode="after")
    def _coherent(self) -> "RecordingWish":
        if not timedelta(0) < self.to_at - self.from_at <= LONGEST_RECORDING:
            raise ValueError("to must lie after from, at most two hours")
        if not 2000 <= self.from_at.year <= self.to_at.year <= 2200:
            raise ValueError("from and to lie between the years 2000 and 2200")
        return self


class ExportCreate(BaseModel):
    """What somebody asks to hand out: pictures of an incident, recordings, or both.

    Without `attachment_ids`: all pictures of the incident; `[]` beside recordings: none.
    `rendition` left out: `raw` for an `authority`, `blurred` for everybody else, who can have no
    other. `sound`: with the sound that was recorded; `raw` recordings only.
    """

    model_config = ConfigDict(extra="forbid")

    incident_id: UUID | None = None
    attachment_ids: list[UUID] | None = Field(default=None, max_length=200)
    recordings: list[RecordingWish] = Field(default=[], max_length=4)
    purpose: str = Field(max_length=40)
    reference: str = Field(default="", max_length=80)
    reason: Line
    audience: Audience
    rendition: Rendition | None = None
    sound: bool = False
    expires_in_days: int = Field(ge=1, le=30)


class RecordingOut(BaseModel):
    """Recordings that are in an export."""

    model_config = ConfigDict(populate_by_name=True)

    camera_id: UUID
    camera_name: str
    from_at: datetime = Field(alias="from")
    to_at: datetime = Field(alias="to")


class NoteInput(BaseModel):
    """Why it is approved, refused or withdrawn."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class ExportOut(BaseModel):
    """An export. `allowed` are the steps that the one who asks may take now.

    `progress` is in percent while it is `building`, or `blurred` and being prepared for the second
    person to look at; `prepared` says that it can be. `ahead` is how many exports are made before
    this one; null where it waits for nothing of that kind. `failure` of one that is `requested`:
    why it could not be prepared yet; that is tried again.
    """

    id: UUID
    number: str
    incident_id: UUID | None
    incident_number: str
    area: str
    camera_id: UUID | None
    camera_name: str
    purpose: str
    reference: str
    reason: str
    audience: Audience
    state: State
    requested_by: AccountBrief
    requested_at: datetime
    decided_by: AccountBrief | None
    decided_at: datetime | None
    note: str
    expires_in_days: int
    ready_at: datetime | None
    expires_at: datetime | None
    pictures: int
    recordings: list[RecordingOut]
    rendition: Rendition
    sound: bool
    prepared: bool
    ahead: int | None
    progress: int
    size: int | None
    sha256: str | None
    failure: str
    allowed: list[Step]


class PreviewFile(BaseModel):
    """A file that would leave. `seconds` and `camera_name` are of recordings; else null and ""."""

    number: int
    kind: Literal["picture", "recording"]
    name: str
    camera_name: str
    seconds: float | None
    size: int
    url: str


class PreviewOut(BaseModel):
    """What the second person looks at, and until when it can be fetched."""

    files: list[PreviewFile]
    until: datetime
