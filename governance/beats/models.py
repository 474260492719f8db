"""Table of beats."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class Beat(Base):
    """When `name` was last well."""

    __tablename__ = "beat"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
