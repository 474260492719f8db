"""Table of seals."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from access.policy.types import Resource
from core.database import Base, UtcDateTime


class Seal(Base):
    """While it is in force, residents do not see who looked into the incident; afterwards they do.

    In force from `approved_at` until `until` or, if somebody lifted it, `ended_at`. The incident is
    named by id and number without a foreign key: incidents live a floor above.
    """

    __tablename__ = "seal"
    __table_args__ = (
        CheckConstraint("approved_by <> requested_by", name="second_person"),
        # One at a time; an expired one is ended before the next is asked for.
        Index(
            "uq_seal_incident_id_open",
            "incident_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_seal_number", "incident_number"),
        Index("ix_seal_area_id", "area", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    incident_number: Mapped[str] = mapped_column(String(24))
    area: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(300))
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    requested_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"), default=None)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    ended_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    lifted: Mapped[bool] = mapped_column(default=False)

    def resource(self) -> Resource:
        """Return the seal as what is asked for."""
        return Resource("seal", id=str(self.id), area=self.area)
