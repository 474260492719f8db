"""Table of webhooks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Integer, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class Webhook(Base):
    """A receiver of events, and how far it has come in the outbox.

    `leased_until` says that one process is posting to it now, so that several do not do it at once.
    """

    __tablename__ = "webhook"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    url: Mapped[str] = mapped_column(String(2000))
    sealed_secret: Mapped[str] = mapped_column(Text)
    types: Mapped[list[str]] = mapped_column(JsonValue)  # [] is all
    area: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    cursor_seq: Mapped[int] = mapped_column(BigInteger)
    delivered: Mapped[int] = mapped_column(Integer, default=0)
    missed: Mapped[int] = mapped_column(Integer, default=0)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    last_error: Mapped[str] = mapped_column(String(300), default="")
    last_ok_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    lease_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
