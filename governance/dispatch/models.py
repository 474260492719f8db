"""Table of the dispatch policies: whole sets, one row for each version."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class DispatchPolicySet(Base):
    """The policies as somebody wrote them at one time. The highest version is in force.

    Earlier ones stay: an incident names the version that it was opened under. Without a row the
    policies that came with the hub are in force, as version 0.
    """

    __tablename__ = "dispatch_policy"

    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)  # YAML as it was written, with its comments
    body: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_by_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)  # None: command line
    updated_by_name: Mapped[str] = mapped_column(String(200), default="")
