"""Tables of accounts and of the roles bound to them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, Uuid, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Base, UtcDateTime


class Account(Base):
    """Somebody who may sign in. Deactivated accounts stay: what they did names them."""

    __tablename__ = "account"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    display_name: Mapped[str] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    password_changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    must_change_password: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The last time that somebody else set the password, and who: the holder is shown it for good.
    password_set_by: Mapped[str | None] = mapped_column(String(80))
    password_set_by_other_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Whether a TOTP secret or a passkey is enrolled: asked at every request, so kept here.
    has_second_factor: Mapped[bool] = mapped_column(default=False, server_default=false())

    roles: Mapped[list["AccountRole"]] = relationship(
        back_populates="account",
        cascade="all, delete-orphan",
        lazy="selectin",
        order_by="AccountRole.id",
    )


class AccountRole(Base):
    """A role held by an account in an area; the area "" is the whole site."""

    __tablename__ = "account_role"
    __table_args__ = (
        UniqueConstraint("account_id", "role", "area"),
        CheckConstraint("role <> 'service'", name="role_of_a_person"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(32))
    area: Mapped[str] = mapped_column(String(200), index=True)

    account: Mapped[Account] = relationship(back_populates="roles")
