"""Tables of what presses an alarm, and of the codes by which it is bound to its household."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, UtcDateTime

_IN_USE = text("removed_at IS NULL")


class AlarmDevice(Base):
    """A phone, TV, button or panel of a household. A removed one stays, for history.

    `token_id` is what it shows at the door over HTTP. `key` (sealed) signs its MQTT messages, or
    encrypts what a panel says over DC-09; a panel is known by its `account_code`.
    """

    __tablename__ = "alarm_device"
    __table_args__ = (
        # One panel answers to an account code at a time.
        Index(
            "uq_alarm_device_account_code",
            "account_code",
            unique=True,
            sqlite_where=_IN_USE,
            postgresql_where=_IN_USE,
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(80))
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("service_token.id"), index=True)
    account_code: Mapped[str | None] = mapped_column(String(16))
    key: Mapped[str | None] = mapped_column(Text)
    # How often it promises to be heard; None: it promises nothing and is never called silent.
    heartbeat_s: Mapped[int | None] = mapped_column(Integer)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    # The number of its last signed heartbeat; an older one is a recording of it.
    last_counter: Mapped[int] = mapped_column(BigInteger, default=0)
    # Heartbeats missed when it was called silent; negative: heard again, and that is yet to be
    # told; 0 while it is heard.
    missed: Mapped[int] = mapped_column(Integer, default=0)
    battery_pct: Mapped[int | None] = mapped_column(Integer, default=None)
    battery_low_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    tested_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class PairingCode(Base):
    """A code that lets one device into a household, once and soon. The code itself is nowhere.

    `prefix_hash` is of its first characters, so that a wrong guess at the rest counts against it.
    """

    __tablename__ = "pairing_code"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    prefix_hash: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(12))
    made_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
