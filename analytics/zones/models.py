"""Tables of zones. Nothing here describes a person: a zone is a part of a picture."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class ZoneSetRow(Base):
    """The zones of one camera as a whole: what an editor's version number counts."""

    __tablename__ = "zone_set"

    camera_id: Mapped[UUID] = mapped_column(
        Uuid, ForeignKey("camera.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ZoneRow(Base):
    """One zone: `polygon` is [[x, y], …] in 0..1, `rules` a list as in `schemas.Rule`."""

    __tablename__ = "zone"
    __table_args__ = (Index(None, "camera_id", "position"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    camera_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("camera.id", ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(100))
    polygon: Mapped[list[list[float]]] = mapped_column(JsonValue)
    rules: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue)
