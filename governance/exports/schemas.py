"""Exports on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from access.accounts.schemas import AccountBrief

Audience = Literal["authority", "publication", "subject"]
State = Literal[
    "requested", "approved", "building", "ready", "refused", "withdrawn", "expired", "failed"
]
Step = Literal["approve", "refuse", "withdraw", "download"]

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]


class ExportCreate(BaseModel):
    """What somebody asks to hand out. Without `attachment_ids`: all pictures of the incident.

    For `publication` and `subject` people and vehicles are blurred.
    """

    model_config = ConfigDict(extra="forbid")

    incident_id: UUID
    attachment_ids: list[UUID] | None = Field(default=None, min_length=1, max_length=200)
    purpose: str = Field(max_length=40)
    reference: str = Field(default="", max_length=80)
    reason: Line
    audience: Audience
    expires_in_days: int = Field(ge=1, le=30)


class NoteInput(BaseModel):
    """Why it is approved, refused or withdrawn."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


class ExportOut(BaseModel):
    """An export. `allowed` are the steps that the one who asks may take now."""

    id: UUID
    number: str
    incident_id: UUID
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
    size: int | None
    sha256: str | None
    failure: str
    allowed: list[Step]
