"""Table of view records."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid, false
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class ViewRecord(Base):
    """One viewing. Committed before the first frame; `ended_at` is written when it stops.

    `purpose` is a key of `access.views.purposes`, or "". Camera, household, grant and incident
    are named by id without a foreign key: a record outlives them.
    """

    __tablename__ = "view_record"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('live', 'snapshot', 'incident_image', 'playback', 'thumbnail', 'export')",
            name="kind",
        ),
        Index("ix_view_records_area_id", "area", "id"),
        Index("ix_view_records_camera_id_id", "camera_id", "id"),
        Index("ix_view_records_household_id_id", "household_id", "id"),
        Index("ix_view_records_started_at", "started_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    session_id: Mapped[UUID | None] = mapped_column(Uuid)
    camera_id: Mapped[UUID] = mapped_column(Uuid)
    area: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(16))
    purpose: Mapped[str] = mapped_column(String(200))
    reference: Mapped[str] = mapped_column(String(80), default="", server_default="")
    grant_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    redacted: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whether it could be heard as well.
    sound: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whose home it was, so that a camera that is gone keeps its history.
    household_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    # What the place and the viewer were then; both may be something else by now.
    place_kind: Mapped[str] = mapped_column(String(20), default="", server_default="")
    role: Mapped[str] = mapped_column(String(20), default="", server_default="")
    incident_id: Mapped[UUID | None] = mapped_column(Uuid, index=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
