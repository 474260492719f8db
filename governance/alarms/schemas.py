"""Alarms and their devices as they go over the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from core.text import Normalised, Printable, no_longer_than

AlarmKind = Literal["fire", "security", "medical"]
DeviceKind = Literal["phone", "tv", "button", "panel", "app"]
StepName = Literal["received", "seen", "coming", "arrived", "closed"]

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80),
    Printable,
    Normalised,
    no_longer_than(80),
]
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000, pattern=_TEXT)]


def _capitalised(value: Any) -> Any:
    return value.capitalize() if isinstance(value, str) else value


class AlarmIn(BaseModel):
    """One press. What cannot be read of `pressed_at`, `held` and `location` refuses no alarm.

    `id` is made by the device once per press and stays the same for every repetition; it may be
    left out together with an `Idempotency-Key`. Further members are ignored.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: UUID | None = None
    kind: AlarmKind
    pressed_at: Any = Field(
        default=None,
        description="When it was pressed, by the device's clock (ISO 8601 with zone)",
        json_schema_extra={"type": "string", "format": "date-time"},
    )
    status: Annotated[Literal["Actual", "Test", "Exercise"], BeforeValidator(_capitalised)] = (
        "Actual"
    )
    held: Any = Field(
        default=None,
        description="Whether the key was held down instead of counted down",
        json_schema_extra={"type": "boolean"},
    )
    location: Any = Field(
        default=None,
        description="As the body of POST /alarms/{id}/location; dropped if it cannot be true",
        json_schema_extra={"type": "object"},
    )


class LocationIn(BaseModel):
    """Where the device is: degrees (WGS 84), metres."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    accuracy_m: float | None = Field(default=None, ge=0, le=10_000_000)
    at: AwareDatetime | None = None


class CancelIn(BaseModel):
    """What the household says with its cancellation."""

    model_config = ConfigDict(extra="forbid")

    note: Words = ""


class LadderStep(BaseModel):
    """A step that has been taken. `by` is a display name; `eta_at` only of `coming`."""

    step: StepName
    at: datetime
    by: str = ""
    eta_at: datetime | None = None


class NewsOut(BaseModel):
    """Something to know beside the steps. `text` is in the caller's language.

    `what`: `contact_answered`, `rang`, `whistled`, `cancel_asked`, `location`, `reopened`,
    `pressed_again`, `restored` (a panel's sensor is quiet again), `merged`.
    """

    at: datetime
    what: str
    by: str = ""
    text: str


class AlarmOut(BaseModel):
    """An alarm as its household sees it.

    `warnings`: `clock_off` (the device's clock is wrong), `location_dropped`, `pressed_at_unread`.
    """

    id: str
    kind: AlarmKind
    status: Literal["Actual", "Test", "Exercise"]
    incident_id: UUID
    number: str
    device_id: UUID | None
    pressed_at: datetime
    received_at: datetime
    open: bool
    steps: list[LadderStep]
    news: list[NewsOut]
    cancel_asked_at: datetime | None
    warnings: list[str]


class DeviceOut(BaseModel):
    """A device as its household and the duty desk see it. `silent`: it missed three heartbeats."""

    id: UUID
    household_id: UUID
    household: str
    area: str
    kind: DeviceKind
    name: str
    account_code: str | None
    signs: bool = Field(description="It has a key: signed MQTT messages, or encrypted DC-09")
    heartbeat_s: int | None
    last_seen_at: datetime | None
    silent: bool
    battery_pct: int | None
    tested_at: datetime | None
    test_due: bool
    created_at: datetime


class DeviceIssued(BaseModel):
    """A device just made. `token` and `key` are shown here and never again.

    `token` is what it shows over HTTP (`Authorization: Bearer`); `key`, in hexadecimal digits,
    signs MQTT messages or encrypts DC-09.
    """

    device: DeviceOut
    token: str | None
    key: str | None


class DeviceCreate(BaseModel):
    """A new device of a household.

    `key` is what the installer has entered into a panel already, in `key_format`; without one, a
    panel with `encrypted` and every button get a new one.
    """

    model_config = ConfigDict(extra="forbid")

    kind: DeviceKind
    name: Name
    heartbeat_s: int | None = Field(default=None, ge=5, le=3600)
    account_code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{3,16}$")] | None = None
    encrypted: bool = False
    key: Annotated[str, StringConstraints(min_length=16, max_length=64)] | None = None
    key_format: Literal["hex", "text"] = "hex"


class PairingCodeCreate(BaseModel):
    """What kind of device the code is for."""

    model_config = ConfigDict(extra="forbid")

    kind: DeviceKind = "phone"


class PairingCodeOut(BaseModel):
    """A code to type into a device; shown once.

    `link` opens the device's page with the code filled in, `qr_svg` is the same as a picture;
    both are empty for what has no page, and where the hub does not know its own address.
    """

    code: str
    kind: DeviceKind
    expires_at: datetime
    link: str = ""
    qr_svg: str = ""


class PairIn(BaseModel):
    """A device asks to be let in. `code`: capitals, small letters and blanks are all the same."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    name: Name


class HouseholdBrief(BaseModel):
    """Whose device it is."""

    name: str
    area: str


class DeviceSelfOut(BaseModel):
    """What a device may show of itself.

    `alarm_number` and `sms_number` are the centre's, for when the hub does not answer; `push_key`
    is the public key for Web Push. Empty: not set up. `test_due`: the last test press is more than
    30 days ago.
    """

    device: DeviceOut
    household: HouseholdBrief
    alarm_number: str
    sms_number: str
    push_key: str
    tested_at: datetime | None
    test_due: bool


class HeartbeatIn(BaseModel):
    """A sign of life."""

    model_config = ConfigDict(extra="ignore")

    battery_pct: int | None = Field(default=None, ge=0, le=100)


class HeartbeatOut(BaseModel):
    """When the hub heard it, and within how many seconds it expects the next one."""

    at: datetime
    next_within_s: int | None
