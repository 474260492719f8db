"""Table of exports."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.orm import Mapped, mapped_column

from access.policy.types import Resource
from core.database import Base, JsonValue, UtcDateTime


class ExportRequest(Base):
    """A wish to hand pictures and recordings out, and what became of it.

    Without an incident (only recordings) `incident_number` is "".
    The file lies at `<exports_dir>/<id>.zip` while `state` is `ready`. `attachment_ids` are the
    pictures chosen when it was asked for, as texts; later pictures of the incident are not in it.
    Where people are blurred, what is to leave is prepared while it is `requested`, so that the
    second person can look at it: then `sha256` is that of the list of what was prepared.
    """

    __tablename__ = "export_request"
    __table_args__ = (
        UniqueConstraint("year", "ordinal"),
        CheckConstraint(
            "state IN ('requested', 'approved', 'building', 'ready', 'refused', 'withdrawn', "
            "'expired', 'failed')",
            name="state",
        ),
        CheckConstraint("audience IN ('authority', 'publication', 'subject')", name="audience"),
        Index("ix_export_request_area_id", "area", "id"),
        Index("ix_export_request_state", "state"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    year: Mapped[int] = mapped_column(Integer)
    ordinal: Mapped[int] = mapped_column(Integer)
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incident.id"), index=True)
    incident_number: Mapped[str] = mapped_column(String(24))
    area: Mapped[str] = mapped_column(String(200))
    camera_id: Mapped[UUID | None] = mapped_column(Uuid)
    camera_name: Mapped[str] = mapped_column(String(200))
    place_kind: Mapped[str] = mapped_column(String(20))
    household_id: Mapped[UUID | None] = mapped_column(Uuid)
    attachment_ids: Mapped[list[str]] = mapped_column(JsonValue)
    # [{camera_id, name, area, place_kind, household_id, from, to, lock_id}], texts
    recordings: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    # Whether the recordings go out with their sound, and as they are (`raw`) or `blurred`.
    sound: Mapped[bool] = mapped_column(Boolean, default=False)
    rendition: Mapped[str] = mapped_column(String(10), default="raw")
    # What tells the masks that the pictures were made with from others; null: none are made yet.
    picture_masks: Mapped[str | None] = mapped_column(String(64), default=None)
    progress: Mapped[int] = mapped_column(Integer, default=0)  # percent of what is being built
    # Of what was prepared: how many files it has, and which of them each account has opened.
    # {account id: {"of": number, "opened": [numbers]}}
    previews: Mapped[dict[str, dict[str, Any]] | None] = mapped_column(JsonValue, default=None)
    purpose: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(80))
    reason: Mapped[str] = mapped_column(Text)
    audience: Mapped[str] = mapped_column(String(12))
    expires_in_days: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(12))
    requested_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"), default=None)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    note: Mapped[str] = mapped_column(Text, default="")
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    size: Mapped[int | None] = mapped_column(BigInteger, default=None)
    sha256: Mapped[str | None] = mapped_column(String(64), default=None)
    failure: Mapped[str] = mapped_column(Text, default="")

    @property
    def number(self) -> str:
        """What people call it, such as X2026-000012."""
        return f"X{self.year}-{self.ordinal:06d}"

    @property
    def blurred(self) -> bool:
        """Whether people and vehicles are blurred, and somebody looks at that first."""
        return self.rendition == "blurred" or self.audience != "authority"

    @property
    def prepared(self) -> bool:
        """Whether what is to leave is there to be looked at."""
        return self.state == "requested" and self.blurred and self.sha256 is not None

    def resource(self) -> Resource:
        """Return what the door is asked about."""
        return Resource(
            kind="export",
            id=str(self.id),
            area=self.area,
            place_kind=self.place_kind,
            household="" if self.household_id is None else str(self.household_id),
        )

    def recorded(self) -> list[Resource]:
        """Return what the door is asked about for each camera whose recordings are in it."""
        return [
            Resource(
                kind="export",
                id=str(self.id),
                area=one["area"],
                place_kind=one["place_kind"],
                household=one["household_id"] or "",
            )
            for one in self.recordings
        ]
