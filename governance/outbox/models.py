"""Table of the outbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class OutboxEvent(Base):
    """Something that changed, written in the transaction that changed it.

    `seq` rises in the order of commits (see `service.append`), so that a reader needs nothing
    but the last number it has seen. Numbers are never used twice; there may be gaps.
    """

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # SQLAlchemy's own protocol

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    type: Mapped[str] = mapped_column(String(60))
    area: Mapped[str] = mapped_column(String(255))
    incident_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    camera_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    payload: Mapped[dict[str, Any]] = mapped_column(JsonValue)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
