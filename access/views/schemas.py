"""View records on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from access.accounts.schemas import AccountBrief


class ViewRecordOut(BaseModel):
    """Who saw which camera, when and why. `camera_name` is empty if the camera is not known."""

    id: UUID
    account: AccountBrief
    camera_id: UUID
    camera_name: str
    kind: Literal["live", "snapshot", "incident_image"]
    purpose: str
    incident_id: UUID | None
    started_at: datetime
    ended_at: datetime | None
