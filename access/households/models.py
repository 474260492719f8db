"""Tables of households and their members."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class Household(Base):
    """People who live in one home. A closed one (moved out) stays, for history."""

    __tablename__ = "household"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    area: Mapped[str] = mapped_column(String(200), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class HouseholdMember(Base):
    """An account that lives in a household. `added_by` is None for the command line."""

    __tablename__ = "household_member"

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    added_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
