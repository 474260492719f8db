"""A signal on the wire: a CloudEvent 1.0 whose data speaks CAP 1.2."""

import hashlib
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from access.policy.areas import normalise_area
from core.errors import InvalidInputError
from core.text import Normalised, Printable, no_longer_than
from governance.incidents.kinds import ALARMS, DETECTIONS, KINDS, OF_A_CAMERA

CATEGORIES = (
    "Geo", "Met", "Safety", "Security", "Rescue", "Fire",
    "Health", "Env", "Transport", "Infra", "CBRNE", "Other",
)  # fmt: skip
URGENCIES = ("Immediate", "Expected", "Future", "Past", "Unknown")
SEVERITIES = ("Extreme", "Severe", "Moderate", "Minor", "Unknown")
CERTAINTIES = ("Observed", "Likely", "Possible", "Unlikely", "Unknown")
STATUSES = ("Actual", "Exercise", "Test")

EARLIEST = datetime.fromisoformat("2000-01-01T00:00:00+00:00")

LONGEST_KEY = 700
"""What `Incident.dedup_key` holds."""

_MAX_ATTACHMENTS = 8
_MAX_OBJECTS = 200


def _one_of(words: tuple[str, ...]) -> BeforeValidator:
    known = {word.lower(): word for word in words}

    def find(value: Any) -> str:
        word = known.get(value.lower()) if isinstance(value, str) else None
        if word is None:
            raise ValueError(f"must be one of {', '.join(words)}")
        return word

    return BeforeValidator(find)


def _area(text: str) -> str:
    try:
        return normalise_area(text)
    except InvalidInputError as error:
        raise ValueError(error.message) from error


def _not_ancient(moment: datetime) -> datetime:
    if moment < EARLIEST:
        raise ValueError("must not be before the year 2000")
    return moment


Line = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200),
    Printable,
    Normalised,
    no_longer_than(200),
]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200), Printable]
Moment = Annotated[AwareDatetime, AfterValidator(_not_ancient)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    # Unknown members are kept in the raw payload: senders may say more than is understood here.
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Box(_Part):
    """An object in the picture; `box` is [x1, y1, x2, y2] in 0..1, origin top left."""

    label: Line
    confidence: Fraction = 1.0
    box: tuple[Fraction, Fraction, Fraction, Fraction]


class Model(_Part):
    """What found it."""

    name: Line
    version: Line = ""
    backend: Line = ""


class AttachmentIn(_Part):
    """A picture, its bytes in base64. Width and height are read from the bytes."""

    name: Annotated[Identifier, StringConstraints(pattern=r"^[^/\\]+$")]
    media_type: Annotated[str, StringConstraints(max_length=60)]
    content: str


class SignalData(_Part):
    """What happened."""

    phase: Literal["started", "continuing", "ended"] = "started"
    event_key: Line = ""
    category: Annotated[str, _one_of(CATEGORIES)]
    urgency: Annotated[str, _one_of(URGENCIES)]
    severity: Annotated[str, _one_of(SEVERITIES)]
    certainty: Annotated[str, _one_of(CERTAINTIES)]
    status: Annotated[str, _one_of(STATUSES)] = "Actual"
    headline: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=300),
        Printable,
        Normalised,
        no_longer_than(300),
    ]
    camera_id: UUID | None = None
    household_id: UUID | None = None
    zone_id: UUID | None = None
    zone_name: Line = ""
    rule: Line = ""
    area: Annotated[str, AfterValidator(_area)] = ""
    observed_at: Moment | None = None
    confidence: Fraction | None = None
    model: Model | None = None
    objects: list[Box] = Field(default=[], max_length=_MAX_OBJECTS)
    attachments: list[AttachmentIn] = Field(default=[], max_length=_MAX_ATTACHMENTS)


class SignalIn(_Part):
    """A CloudEvent 1.0 in structured mode. `time` is the moment of sending; default: now."""

    specversion: Literal["1.0"]
    id: Identifier
    source: Identifier
    type: Annotated[Identifier, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]
    time: Moment | None = None
    subject: Line = ""
    datacontenttype: Annotated[
        str, StringConstraints(pattern=r"^application/([\w.-]+\+)?json\b")
    ] = "application/json"
    data: SignalData

    @model_validator(mode="before")
    @classmethod
    def _what_an_alarm_means(cls, value: Any) -> Any:
        """Fill in what the button of an alarm leaves out: a person pressed it, just now."""
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            return value
        meant = ALARMS.get(KINDS.get(value["type"], ""))
        if meant is None or not isinstance(value.get("data"), dict):
            return value
        return {**value, "data": {**meant, **value["data"]}}

    @model_validator(mode="after")
    def _names_its_household(self) -> "SignalIn":
        if self.kind in ALARMS and self.data.household_id is None:
            raise ValueError(
                f"data.household_id: a signal of type {self.type} must name its household"
            )
        return self

    @model_validator(mode="after")
    def _names_its_camera(self) -> "SignalIn":
        if self.kind in OF_A_CAMERA and self.data.camera_id is None:
            raise ValueError(f"data.camera_id: a signal of type {self.type} must name its camera")
        return self

    @property
    def kind(self) -> str:
        """The kind of incident that this signal opens."""
        return KINDS.get(self.type, "other")

    @cached_property
    def dedup_key(self) -> str:
        """What one open incident at a time stands for.

        A detection: camera, rule and zone. An alarm: the household and what was pressed. A fault
        of a camera: the camera. Of a process or a spool: what the event is about. Anything else:
        the sender's own key, or none.
        An exercise never joins an incident in earnest, and a drill's alarms never each other. What
        a sender names freely counts for one camera or one area only: nobody joins, or ends, an
        incident of another one.
        """
        data = self.data
        if self.kind in ALARMS:
            key = str(data.household_id)
            if data.status == "Exercise":
                key = f"{key}:{data.event_key or self.id}"
        elif self.kind in DETECTIONS:
            zone = str(data.zone_id) if data.zone_id else data.zone_name
            key = f"{data.camera_id}:{data.rule or self.kind}:{zone}"
        elif self.kind == "camera_offline":
            key = str(data.camera_id)
        else:
            place = str(data.camera_id) if data.camera_id else data.area
            if self.kind == "other":
                own = data.event_key or self.subject or self.id
                key = f"{self.type}:{self.source}:{place}:{own}"
            else:
                key = f"{place}:{self.subject or self.source}"
        text = f"{data.status.lower()}:{self.kind}:{key}"
        # In bytes: an index of PostgreSQL takes no more than 2,704 of them.
        if len(text.encode()) > LONGEST_KEY:
            return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        return text


class SignalReceipt(BaseModel):
    """The answer to a signal; the same each time the same signal is posted."""

    id: str
    source: str
    incident_id: UUID | None
    joined: bool
    received_at: datetime


class BatchItemOut(BaseModel):
    """The answer to one signal of a batch: a receipt, or what is wrong with it."""

    status: int
    id: str | None = None
    source: str | None = None
    incident_id: UUID | None = None
    joined: bool | None = None
    received_at: datetime | None = None
    code: str | None = None
    detail: str | None = None
    remedy: str | None = None
    errors: list[dict[str, str]] | None = None


class SignalOut(BaseModel):
    """A stored signal; pictures by their SHA-256."""

    id: str
    source: str
    type: str
    phase: str
    occurred_at: datetime
    received_at: datetime
    joined: bool
    data: dict[str, Any]
