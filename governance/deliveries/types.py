"""The words of deliveries: who is told, by what, why, and how that went."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal
from uuid import UUID

RecipientKind = Literal["account", "contact", "room", "device"]
Channel = Literal["push", "email", "sms", "voice", "wecom", "dingtalk", "feishu"]
Purpose = Literal["alert", "whistle", "reminder", "news", "over", "consent", "code", "test"]

CHANNELS: tuple[Channel, ...] = (
    "push",
    "email",
    "sms",
    "voice",
    "wecom",
    "dingtalk",
    "feishu",
)
ROOM_CHANNELS: frozenset[str] = frozenset({"wecom", "dingtalk", "feishu"})
"""Channels whose gateway is itself the place where the message is read."""

RINGING: frozenset[str] = frozenset({"alert", "whistle", "reminder"})
"""Purposes that ask for an answer, and are cancelled by one."""


class DeliveryState(StrEnum):
    """How far one attempt has come; only `WAITING` and `SENDING` are not final."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    WITHHELD = "withheld"
    GIVEN_UP = "given_up"


REACHED: frozenset[str] = frozenset({DeliveryState.SENT, DeliveryState.UNKNOWN})
"""States in which the recipient has, or may have, been told."""


@dataclass(frozen=True)
class Recipient:
    """Somebody to be told: an account, a household's contact, a chat room, or an alarm device.

    `id` is the account's, the contact's, the gateway's or the device's; `locale` such as `zh-CN`.
    """

    kind: RecipientKind
    id: UUID
    name: str
    locale: str
