"""Tables of areas and departments."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime


class Area(Base):
    """One area of the tree. Its path names all areas above it; a closed one stays, for history."""

    __tablename__ = "area"

    path: Mapped[str] = mapped_column(String(200), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    level: Mapped[str] = mapped_column(String(12))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class Department(Base):
    """Who a case can be sent to: waterworks, property management, the fire brigade's office."""

    __tablename__ = "department"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    area: Mapped[str] = mapped_column(String(200), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class DepartmentMember(Base):
    """An account that works in a department; counts while it holds the role `department`."""

    __tablename__ = "department_member"

    department_id: Mapped[UUID] = mapped_column(ForeignKey("department.id"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True
    )
