"""Table of plans."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Float, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class SitePlan(Base):
    """A drawing of a part of the place. Its picture lies in the data directory, named by its hash.

    `width` and `height` are the picture's, in pixels; `sha256` is of the file as it is kept, whose
    name it is; `suffix` is `png` or `jpg`. `north` is where north is on the drawing, in degrees
    clockwise from its upper side.
    """

    __tablename__ = "site_plan"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    area: Mapped[str] = mapped_column(String(255), index=True)
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    suffix: Mapped[str] = mapped_column(String(4))
    north: Mapped[float] = mapped_column(Float, default=0.0)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
