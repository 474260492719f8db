"""Table of signals."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class Signal(Base):
    """What arrived, never changed afterwards. Its sender knows it by (source, event_id)."""

    __tablename__ = "signal"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_signal_incident_id", "incident_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(200))
    event_id: Mapped[str] = mapped_column(String(200))
    type: Mapped[str] = mapped_column(String(200))
    phase: Mapped[str] = mapped_column(String(12))
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    payload: Mapped[dict[str, Any]] = mapped_column(JsonValue)  # pictures by their SHA-256 only
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    posted_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incident.id"), default=None)
    joined: Mapped[bool] = mapped_column(Boolean, default=False)
