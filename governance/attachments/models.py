"""Table of attachments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class Attachment(Base):
    """A picture that came with a signal, or that shows the result of the work (`kind` `result`).

    Its bytes lie on disk under `sha256` (hexadecimal). A result has no signal, but somebody who
    added it. `objects` is a list of `{label, confidence, box: [x1, y1, x2, y2]}`, boxes in 0..1.
    """

    __tablename__ = "attachment"
    __table_args__ = (
        Index("ix_attachment_incident_id", "incident_id", "id"),
        Index("ix_attachment_sha256", "sha256"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(40))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    size: Mapped[int] = mapped_column(BigInteger)
    objects: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    kind: Mapped[str] = mapped_column(String(8), default="signal", server_default="signal")
    signal_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("signal.id"), index=True, default=None
    )
    added_by_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    added_by_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incident.id"), default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
