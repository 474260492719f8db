"""Deliveries, ways to people, gateways and answers on the wire."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from core.text import Normalised, Printable
from governance.deliveries.models import Delivery
from governance.deliveries.types import Channel

Word = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80),
    Normalised,
    Printable,
]
Words = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=60), Normalised, Printable
]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]
AnswerWord = Literal["seen", "coming", "cannot"]
Minutes = Annotated[int, Field(ge=1, le=240, description="Until arrival, with `coming`")]


class DeliveryOut(BaseModel):
    """One attempt to tell one recipient; never its address."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    attempt: int
    recipient_kind: Literal["account", "contact", "room", "device"]
    recipient_id: UUID
    recipient_name: str
    channel: Channel
    purpose: str
    round_key: str
    state: Literal[
        "waiting", "sending", "sent", "failed", "unknown", "cancelled", "withheld", "given_up"
    ]
    code: str
    detail: str
    answer: AnswerWord | None
    answered_at: datetime | None
    not_before: datetime
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: Delivery) -> "DeliveryOut":
        """Return `row` for the wire."""
        return cls.model_validate(row)


class ContactPointCreate(BaseModel):
    """A number or mail address of one's own; a code is sent to it."""

    model_config = ConfigDict(extra="forbid")

    channel: Literal["email", "sms", "voice"]
    address: Annotated[str, StringConstraints(min_length=3, max_length=254)]
    label: Words = ""


class CodeBody(BaseModel):
    """The code that arrived."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]{6}$")]


class ContactPointOut(BaseModel):
    """A way to somebody; of its address only as much as tells it from another."""

    id: UUID
    channel: str
    address: str
    label: str
    verified_at: datetime | None
    created_at: datetime


class ContactPointsOut(BaseModel):
    """All ways to the own account; `channels` have a gateway, so that a code can be sent."""

    items: list[ContactPointOut]
    channels: list[str]


class PushKeys(BaseModel):
    """The two keys of a browser's subscription, base64url."""

    model_config = ConfigDict(extra="ignore")

    p256dh: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{86,88}={0,2}$")]
    auth: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{20,24}={0,2}$")]


class PushCreate(BaseModel):
    """What the browser's `PushSubscription.toJSON()` gives."""

    model_config = ConfigDict(extra="ignore")

    endpoint: Annotated[str, StringConstraints(min_length=10, max_length=1000)]
    keys: PushKeys


class PushRemove(BaseModel):
    """Which subscription ends."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class PushDeviceOut(BaseModel):
    """A browser that is pushed to."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    user_agent: str
    created_at: datetime
    failed_at: datetime | None


class PushOut(BaseModel):
    """The key to subscribe with, and the browsers that have."""

    key: str
    items: list[PushDeviceOut]


class GatewayCreate(BaseModel):
    """A provider, or the robot of a chat room."""

    model_config = ConfigDict(extra="forbid")

    channel: Literal["email", "sms", "voice", "wecom", "dingtalk", "feishu"]
    name: Word
    kind: Literal["apprise", "http"]
    url: SecretStr = Field(min_length=3, max_length=2000)
    secret: SecretStr | None = Field(
        default=None,
        max_length=200,
        description="Of kind http: `whsec_` and base64; made by the hub if left out",
    )
    area: str = Field(default="", max_length=200)
    room: Words = Field(default="", description="What policies call the chat room (`room:NAME`)")
    locale: Locale = "zh-CN"
    active: bool = True


class GatewayChange(BaseModel):
    """What changes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Word | None = None
    url: SecretStr | None = Field(default=None, min_length=3, max_length=2000)
    secret: SecretStr | None = Field(default=None, max_length=200)
    area: str | None = Field(default=None, max_length=200)
    room: Words | None = None
    locale: Locale | None = None
    active: bool | None = None


class GatewayOut(BaseModel):
    """A gateway without its address and secret: `place` is the service or the host."""

    id: UUID
    channel: str
    name: str
    kind: str
    place: str
    room: str
    area: str
    locale: str
    active: bool
    created_at: datetime
    last_ok_at: datetime | None
    last_failed_at: datetime | None
    last_error: str


class GatewayMade(GatewayOut):
    """A gateway just made: the only time that a secret which the hub made is shown."""

    secret: str | None


class GatewayTest(BaseModel):
    """Whom a test message goes to; nobody for a room."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(default="", max_length=254)


class GatewayTested(BaseModel):
    """How the test went."""

    state: Literal["sent", "failed", "unknown", "cancelled"]
    code: str
    detail: str


class CallbackBody(BaseModel):
    """What a gateway reports of a message. `ref`: the `id` that the hub gave it."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["delivered", "failed", "reply", "digit"]
    ref: UUID
    text: str = Field(default="", max_length=1000)
    digit: str = Field(default="", max_length=2)


class AnswerBody(BaseModel):
    """What somebody says to an alert."""

    model_config = ConfigDict(extra="forbid")

    answer: AnswerWord
    minutes: Minutes | None = None


class AnswerPageOut(BaseModel):
    """What the link in a message shows. `expired`: nothing but that.

    Names of cameras and zones are not told of what happens in a home.
    """

    state: Literal["open", "over", "expired"]
    headline: str = ""
    kind: str = ""
    severity: str = ""
    status: str = ""
    number: str = ""
    place: str = ""
    household_name: str = ""
    camera_name: str = ""
    zone_name: str = ""
    opened_at: datetime | None = None
    name: str = ""
    answer: AnswerWord | None = None
    answered_at: datetime | None = None
    eta_at: datetime | None = None
