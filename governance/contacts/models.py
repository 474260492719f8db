"""Table of a household's contacts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class HouseholdContact(Base):
    """A neighbour or relative. Told of the household's alarms only between the two moments
    `agreed_at` and `withdrawn_at` or `removed_at`; may agree anew after having withdrawn.
    """

    __tablename__ = "household_contact"
    __table_args__ = (Index("ix_household_contact_household_id", "household_id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    name: Mapped[str] = mapped_column(String(80))
    relation: Mapped[str] = mapped_column(String(60), default="")
    locale: Mapped[str] = mapped_column(String(16))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    agreed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
