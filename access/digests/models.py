"""Table of monthly digests."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class HouseholdDigest(Base):
    """The digest of a month (`2026-11`, in the site's time zone) as it was when the month was over.

    It is never written anew: a camera that is renamed or deleted later changes nothing in it.
    """

    __tablename__ = "household_digest"

    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    data: Mapped[dict[str, Any]] = mapped_column(JsonValue)
