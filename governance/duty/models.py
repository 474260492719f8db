"""Tables of rotas, of what differs from them for once, and of hand-overs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class Rota(Base):
    """A weekly rota of one post (a role) in an area and everything below it."""

    __tablename__ = "rota"
    __table_args__ = (Index("ix_rota_area", "area", "post"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    area: Mapped[str] = mapped_column(String(200))
    post: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class RotaSlot(Base):
    """One person's hours on one day of each week, on the wall clock of the site.

    `starts` and `ends` are "HH:MM"; `ends` at or before `starts` is on the next day.
    """

    __tablename__ = "rota_slot"
    __table_args__ = (Index("ix_rota_slot_rota_id", "rota_id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    rota_id: Mapped[UUID] = mapped_column(ForeignKey("rota.id"))
    weekday: Mapped[int] = mapped_column(Integer)  # 0 is Monday
    starts: Mapped[str] = mapped_column(String(5))
    ends: Mapped[str] = mapped_column(String(5))
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), index=True)


class RotaOverride(Base):
    """Somebody on duty for once: instead of `replaces_id`, or as well as the others."""

    __tablename__ = "rota_override"
    __table_args__ = (Index("ix_rota_override_rota_id", "rota_id", "until_at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    rota_id: Mapped[UUID] = mapped_column(ForeignKey("rota.id"))
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    until_at: Mapped[datetime] = mapped_column(UtcDateTime)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    replaces_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"), default=None)
    reason: Mapped[str] = mapped_column(Text, default="")
    by_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)  # None: command line
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class HandOver(Base):
    """One who goes hands the post to one who comes. Open until both have confirmed, or refused.

    `open_incidents` is what was open in the area when it was offered: a list of
    `{"id", "number", "headline", "severity", "state"}`.
    """

    __tablename__ = "hand_over"
    __table_args__ = (Index("ix_hand_over_rota_id", "rota_id", "offered_at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    rota_id: Mapped[UUID] = mapped_column(ForeignKey("rota.id"))
    from_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    to_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    note: Mapped[str] = mapped_column(Text, default="")
    open_incidents: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    offered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    given_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    refused_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    refused_by_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    refused_reason: Mapped[str] = mapped_column(Text, default="")

    @property
    def done_at(self) -> datetime | None:
        """When both had confirmed; None before."""
        if self.given_at is None or self.taken_at is None:
            return None
        return max(self.given_at, self.taken_at)

    @property
    def is_open(self) -> bool:
        """Whether one of both has still to confirm, and nobody has refused."""
        return self.refused_at is None and self.done_at is None
