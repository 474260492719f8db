"""Table of timers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime

_PENDING = text("fired_at IS NULL AND cancelled_at IS NULL")


class Timer(Base):
    """A deadline of an incident. Pending until it is fired or cancelled, and then never again.

    `attempt` counts how often this step has been overdue before (0 at first); `seq` counts the
    timers of this kind over the incident's life.
    """

    __tablename__ = "timer"
    __table_args__ = (
        UniqueConstraint("incident_id", "kind", "seq"),
        # Of what is due the most severe is claimed first: one look for each rank.
        Index(
            "ix_timer_pending", "rank", "due_at", sqlite_where=_PENDING, postgresql_where=_PENDING
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incident.id"))
    kind: Mapped[str] = mapped_column(String(20))
    seq: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    # The incident's severity rank when it was set: of what is due, the most severe goes first.
    rank: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    fired_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
