"""View records on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from access.accounts.schemas import AccountBrief

ViewKind = Literal["live", "snapshot", "incident_image", "playback", "thumbnail", "export"]


class ViewRecordOut(BaseModel):
    """Who saw which camera, when and why; under which grant, and whether people were blurred.

    With `sound` it was heard too. `camera_name` is empty if the camera is not known."""

    id: UUID
    account: AccountBrief
    camera_id: UUID
    camera_name: str
    kind: ViewKind
    purpose: str
    reference: str
    grant_id: UUID | None
    redacted: bool
    sound: bool
    incident_id: UUID | None
    started_at: datetime
    ended_at: datetime | None
