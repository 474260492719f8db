"""Incidents as they go over the wire, in answers and in events alike."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

Kind = Literal[
    "intrusion",
    "person_down",
    "camera_offline",
    "camera_tampered",
    "camera_input",
    "camera_frozen",
    "camera_black",
    "camera_overexposed",
    "camera_covered",
    "camera_blurred",
    "camera_moved",
    "camera_clock",
    "camera_low_rate",
    "camera_not_recording",
    "camera_not_analysed",
    "disk_failed",
    "storage_full",
    "storage_full_soon",
    "footage_lost",
    "machine_clock",
    "process_failed",
    "spool_trouble",
    "device_silent",
    "alarm_fire",
    "alarm_security",
    "alarm_medical",
    "other",
]
Severity = Literal["extreme", "severe", "moderate", "minor", "unknown"]
StateName = Literal[
    "reported",
    "triaged",
    "dispatched",
    "handling",
    "suspended",
    "feedback",
    "closed",
    "archived",
    "merged",
    "rejected",
]
Resolution = Literal["handled", "false_alarm", "recovered", "test", "rejected"]
WaitingFor = Literal[
    "ring",
    "acknowledge",
    "triage",
    "dispatch",
    "handle",
    "feedback",
    "close",
    "resume",
    "end",
    "archive",
]
Progress = Literal["going", "arrived", "done"]
AttachmentKind = Literal["signal", "result"]

# NUL cannot be stored by PostgreSQL; other control characters have no place in a note.
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
_LINE = r"^[^\x00-\x1f\x7f]*$"
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=_TEXT)]
Headline = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=_LINE)
]
RequiredNote = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000, pattern=_TEXT)
]


class PersonOut(BaseModel):
    """An account, as it was named when it acted."""

    id: UUID
    display_name: str


class SystemActorOut(BaseModel):
    """The hub itself, as the actor of a log entry."""

    kind: Literal["system"] = "system"


class BoxOut(BaseModel):
    """An object found in a picture; `box` is [x1, y1, x2, y2] in 0..1."""

    label: str
    confidence: float
    box: list[float]


class PictureOut(BaseModel):
    """A picture of an incident; `url` is a path of this API."""

    id: UUID
    url: str
    width: int
    height: int
    objects: list[BoxOut]


class AttachmentOut(PictureOut):
    """A picture with its file's facts; `added_by` is set for pictures of the result."""

    kind: AttachmentKind
    name: str
    media_type: str
    size: int
    created_at: datetime
    added_by: PersonOut | None


class DepartmentBriefOut(BaseModel):
    """A department, as it was named when the incident was given to it."""

    id: UUID
    name: str


class LocationOut(BaseModel):
    """Where an alarm's device was when it said so. Degrees (WGS 84); `accuracy_m` in metres."""

    latitude: float
    longitude: float
    accuracy_m: float | None = None
    at: datetime | None = None


class ResultPhotosOut(BaseModel):
    """How many pictures of the result the policy asks for, and how many there are."""

    needed: int
    there: int


class IncidentBriefOut(BaseModel):
    """An incident by its number."""

    id: UUID
    number: str


class LogEntryOut(BaseModel):
    """One entry of the history."""

    id: int
    at: datetime
    actor: PersonOut | SystemActorOut
    action: str
    from_state: str | None
    to_state: str | None
    note: str
    data: dict[str, Any]


class IncidentOut(BaseModel):
    """An incident. `observed_at` is the arrival of the newest frame that it rests on.

    `waiting_for` is what `next_due_at` is about; `level` counts the levels above its area that were
    whistled for; `allowed` names the steps that its state and its policy leave open.
    """

    id: UUID
    number: str
    kind: Kind
    category: str
    urgency: str
    severity: Severity
    certainty: str
    status: Literal["actual", "exercise", "test"]
    state: StateName
    version: int
    headline: str
    area: str
    camera_id: UUID | None
    camera_name: str
    zone_name: str
    household_id: UUID | None
    household_name: str
    opened_at: datetime
    observed_at: datetime
    last_signal_at: datetime
    signal_count: int
    acknowledged_at: datetime | None
    acknowledged_by: PersonOut | None
    handler: PersonOut | None
    closed_at: datetime | None
    resolution: Resolution | None
    overdue: bool
    next_due_at: datetime | None
    escalations: int
    snapshot: PictureOut | None
    allowed: list[str]
    level: int
    round: int
    department: DepartmentBriefOut | None
    assignee: PersonOut | None
    returns: int
    suspended_until: datetime | None
    merged_into_id: UUID | None
    merged_into_number: str
    progress: Progress | None
    progress_at: datetime | None
    progress_by: str
    eta_at: datetime | None
    archived_at: datetime | None
    location: LocationOut | None
    policy_id: str | None
    verifier: Literal["anyone", "other"]
    result_photos: ResultPhotosOut
    waiting_for: WaitingFor | None


class IncidentDetailOut(IncidentOut):
    """An incident with its history and its pictures.

    `policy` is the dispatch policy as it was when the incident opened; its steps count from
    `ring_from`, when the present round of ringing began.
    """

    log: list[LogEntryOut]
    attachments: list[AttachmentOut]
    policy: dict[str, Any]
    ring_from: datetime | None
    merged: list[IncidentBriefOut]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class VersionRequest(_Request):
    """`version` is the one the caller has seen."""

    version: int = Field(ge=1)


class AcknowledgeRequest(VersionRequest):
    """Say that one has seen it."""


class ResumeRequest(VersionRequest):
    """Go on with it before its time."""


class ReasonRequest(VersionRequest):
    """A step that has a reason: sending back, reopening, rejecting, taking apart again."""

    reason: RequiredNote


class TriageRequest(VersionRequest):
    """Say how severe it is and what it is about; what is left out stays as it is."""

    severity: Literal["extreme", "severe", "moderate", "minor"] | None = None
    headline: Headline | None = None
    note: Note = ""


class DispatchRequest(VersionRequest):
    """Give it to a department, a person, or both."""

    department_id: UUID | None = None
    assignee_id: UUID | None = None
    note: Note = ""

    @model_validator(mode="after")
    def _to_somebody(self) -> Self:
        if self.department_id is None and self.assignee_id is None:
            raise ValueError("name a department or a person")
        return self


class TransferRequest(VersionRequest):
    """Hand it to another department."""

    department_id: UUID
    reason: RequiredNote


class HandleRequest(VersionRequest):
    """Take the incident on."""

    note: Note = ""


class FeedbackRequest(VersionRequest):
    """Say what was done."""

    note: RequiredNote


class VerifyRequest(VersionRequest):
    """Say whether the work holds; what did not pass goes back to its handler."""

    passed: bool
    note: RequiredNote
    resolution: Literal["handled", "false_alarm"] = "handled"


class CloseRequest(VersionRequest):
    """Close it; the system alone says `recovered` or `test`."""

    note: RequiredNote
    resolution: Literal["handled", "false_alarm"] = "handled"


class SuspendRequest(VersionRequest):
    """Let it rest until a moment, with its offset."""

    until: AwareDatetime
    reason: RequiredNote


class MergeRequest(VersionRequest):
    """Let it be dealt with as part of another one."""

    into_id: UUID
    reason: RequiredNote


class WhistleRequest(_Request):
    """Call the level above."""

    reason: RequiredNote


class ProgressRequest(_Request):
    """Say that one is on the way, there, or done. `minutes` until arrival goes with `going`."""

    progress: Progress
    minutes: int | None = Field(default=None, ge=0, le=1440)


class NoteRequest(_Request):
    """Add to the history."""

    text: RequiredNote
