"""Tables of deliveries, of the ways to people, and of the gateways that lead there."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime

_WAITING = text("state = 'waiting'")
_SENDING = text("state = 'sending'")
_PRESENT = text("removed_at IS NULL")


class Delivery(Base):
    """One attempt to tell one recipient something through one channel.

    `key` is the same for every attempt: `incident:round_key:purpose:recipient:channel`, and the
    contact point or subscription where the recipient has several. `lane` names what is asked (a
    gateway, or the host of a push service): each lane has its own limit of requests at a time.
    `provider_key` is what the provider knows the message by: an attempt that follows an `unknown`
    one has the same. `about` holds what the text needs and the incident does not say.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("key", "attempt"),
        Index(
            "ix_delivery_waiting",
            "rank",
            "not_before",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index(
            "ix_delivery_sending",
            "leased_until",
            sqlite_where=_SENDING,
            postgresql_where=_SENDING,
        ),
        Index("ix_delivery_incident_id", "incident_id", "created_at"),
        Index("ix_delivery_answer_hash", "answer_hash"),
        Index("ix_delivery_provider_key", "provider_key"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    key: Mapped[str] = mapped_column(String(300))
    attempt: Mapped[int] = mapped_column(Integer, default=1)
    # None: it is about no incident (a request for consent, a code, a test of a gateway).
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("incident.id"), default=None)
    recipient_kind: Mapped[str] = mapped_column(String(12))
    recipient_id: Mapped[UUID] = mapped_column(Uuid)
    recipient_name: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(16), default="")
    channel: Mapped[str] = mapped_column(String(12))
    point_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    gateway_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    lane: Mapped[str] = mapped_column(String(120), default="")
    purpose: Mapped[str] = mapped_column(String(12))
    round_key: Mapped[str] = mapped_column(String(60))
    about: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    # Most severe incident and most urgent purpose first.
    rank: Mapped[int] = mapped_column(Integer, default=0)
    state: Mapped[str] = mapped_column(String(12))
    not_before: Mapped[datetime] = mapped_column(UtcDateTime)
    # Stays after the lease has expired: its holder may still come back with an outcome.
    lease_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    code: Mapped[str] = mapped_column(String(40), default="")
    detail: Mapped[str] = mapped_column(String(300), default="")
    provider_key: Mapped[UUID] = mapped_column(Uuid)
    provider_ref: Mapped[str] = mapped_column(String(200), default="")
    answer_hash: Mapped[str | None] = mapped_column(String(64), default=None)
    # seen, coming, cannot: the same on all attempts that have the same link.
    answer: Mapped[str | None] = mapped_column(String(12), default=None)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    eta_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ContactPoint(Base):
    """An address by which an account or a household's contact is told."""

    __tablename__ = "contact_point"
    __table_args__ = (
        Index("ix_contact_point_account_id", "account_id"),
        Index("ix_contact_point_contact_id", "contact_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), default=None
    )
    contact_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("household_contact.id", ondelete="CASCADE"), default=None
    )
    channel: Mapped[str] = mapped_column(String(12))
    address_sealed: Mapped[str] = mapped_column(String(1000))
    label: Mapped[str] = mapped_column(String(60), default="")
    tries: Mapped[int] = mapped_column(Integer, default=0)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PushSubscription(Base):
    """A browser that has asked to be pushed to, of an account or of an alarm device."""

    __tablename__ = "push_subscription"
    __table_args__ = (
        Index("ix_push_subscription_account_id", "account_id"),
        Index("ix_push_subscription_device_id", "device_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), default=None
    )
    device_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    endpoint_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # Host of the push service: a lane of its own.
    host: Mapped[str] = mapped_column(String(100))
    subscription_sealed: Mapped[str] = mapped_column(String(4000))
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class Gateway(Base):
    """A provider that carries messages of one channel, or the robot of one chat room."""

    __tablename__ = "gateway"
    __table_args__ = (
        Index(
            "uq_gateway_name_present",
            "name",
            unique=True,
            sqlite_where=_PRESENT,
            postgresql_where=_PRESENT,
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    channel: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(12))  # apprise, http
    url_sealed: Mapped[str] = mapped_column(String(4000))
    secret_sealed: Mapped[str] = mapped_column(String(1000), default="")
    active: Mapped[bool] = mapped_column(default=True)
    room: Mapped[str] = mapped_column(String(80), default="")
    area: Mapped[str] = mapped_column(String(200), default="")
    locale: Mapped[str] = mapped_column(String(16), default="zh-CN")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    last_ok_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    last_failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    last_error: Mapped[str] = mapped_column(String(300), default="")


class GatewayCallback(Base):
    """Ids of callbacks that were accepted, so that none counts twice."""

    __tablename__ = "gateway_callback"

    gateway_id: Mapped[UUID] = mapped_column(
        ForeignKey("gateway.id", ondelete="CASCADE"), primary_key=True
    )
    message_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
