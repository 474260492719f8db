"""Table of the files that decide over rights, as they were when the hub started last."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class RuleFile(Base):
    """`jurisdiction` or `policy`: which file was in force, and the SHA-256 of what it said."""

    __tablename__ = "rule_file"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    source: Mapped[str] = mapped_column(String(300))
    digest: Mapped[str] = mapped_column(String(64))
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
