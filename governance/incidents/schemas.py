"""Incidents as they go over the wire, in answers and in events alike."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Kind = Literal[
    "intrusion",
    "person_down",
    "camera_offline",
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
Resolution = Literal["handled", "false_alarm", "recovered"]

# NUL cannot be stored by PostgreSQL; other control characters have no place in a note.
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=_TEXT)]
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
    """A picture with its file's facts."""

    name: str
    media_type: str
    size: int
    created_at: datetime


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
    """An incident. `observed_at` is the arrival of the newest frame that it rests on."""

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


class IncidentDetailOut(IncidentOut):
    """An incident with its history and its pictures."""

    log: list[LogEntryOut]
    attachments: list[AttachmentOut]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AcknowledgeRequest(_Request):
    """`version` is the one the caller has seen."""

    version: int = Field(ge=1)


class HandleRequest(_Request):
    """Take the incident on."""

    version: int = Field(ge=1)
    note: Note = ""


class FeedbackRequest(_Request):
    """Say what was done."""

    version: int = Field(ge=1)
    note: RequiredNote


class CloseRequest(_Request):
    """Close it; the system alone says `recovered`."""

    version: int = Field(ge=1)
    note: RequiredNote
    resolution: Literal["handled", "false_alarm"] = "handled"


class NoteRequest(_Request):
    """Add to the history."""

    text: RequiredNote
