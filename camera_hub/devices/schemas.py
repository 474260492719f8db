"""Cameras and heartbeats as they go over the wire (docs/design/api.md)."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from access.jurisdictions.schemas import Text
from camera_hub.devices.recording_plan import RecordingPlan
from camera_hub.devices.spots import SpotOnPlan
from camera_hub.streams.types import ReasonCode, SoundState, StreamState
from core.text import Normalised, Printable, no_longer_than, printable

PlaceKind = Literal["public_space", "shared_space", "home"]
SourceKind = Literal["onvif", "rtsp"]
StreamRole = Literal["main", "sub"]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=120),
    Printable,
    Normalised,
    no_longer_than(120),
]
Area = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Username = Annotated[str, StringConstraints(max_length=120), Printable]
ProfileToken = Annotated[str, StringConstraints(max_length=120), Printable]
Count = Annotated[int, Field(ge=0, le=2**53)]
PlaceType = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{0,40}$")]
RetentionHours = Annotated[int, Field(ge=0, le=87_600)]
Rendition = Literal["raw", "masked", "redacted"]
Transport = Literal["tcp", "udp", "multicast"]
AnalysedBy = Literal["hub", "camera"]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Heading = Annotated[float, Field(ge=0, lt=360, allow_inf_nan=False)]
Purpose = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=300),
    Printable,
    Normalised,
    no_longer_than(300),
]
Owner = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=120),
    Printable,
    Normalised,
    no_longer_than(120),
]
Contact = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=200),
    Printable,
    Normalised,
    no_longer_than(200),
]


def _sendable(password: SecretStr) -> SecretStr:
    printable(password.get_secret_value())
    return password


Password = Annotated[SecretStr, Field(max_length=200), AfterValidator(_sendable)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ProbeRequest(_Body):
    """Where a camera is and how to sign in to it."""

    source_kind: SourceKind
    address: Address
    username: Username = ""
    password: Password = SecretStr("")


class CameraCreate(ProbeRequest, SpotOnPlan):
    """A camera to add. Profiles left out are chosen as the probe suggests.

    `probe: false` (RTSP only) adds a camera that cannot be reached yet. `place_type` is one of the
    places of `GET /law`; what that law asks for must be given. A home camera names its household.
    `recording` left out is the site's `recording.mode`, and `off` in a home. Latitude and longitude
    are WGS 84, `heading` is where it looks, in degrees clockwise from north.
    """

    name: Name
    area: Area = ""
    place_kind: PlaceKind = "shared_space"
    household_id: UUID | None = None
    place_type: PlaceType = ""
    purpose: Purpose = ""
    owner: Owner = ""
    contact: Contact = ""
    retention_hours: RetentionHours | None = None
    retention_reason: Purpose = ""
    signage: bool = False
    residents_may_watch: bool = False
    sound: bool = False
    sound_reason: Purpose = ""
    main_profile: ProfileToken | None = None
    sub_profile: ProfileToken | None = None
    analyse: bool = True
    recording: RecordingPlan | None = None
    transport: Transport = "tcp"
    analysed_by: AnalysedBy = "hub"
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    heading: Heading | None = None
    probe: bool = True


class CameraUpdate(_Body, SpotOnPlan):
    """What to change; `version` is the one that was read.

    A new address or account is tried first, unless `probe` is false. `retention_hours: null`
    goes back to what the law in force keeps by default; a latitude, longitude or heading of null
    is forgotten.
    """

    version: int = Field(ge=1, le=2**31 - 1)
    name: Name | None = None
    area: Area | None = None
    place_kind: PlaceKind | None = None
    household_id: UUID | None = None
    place_type: PlaceType | None = None
    purpose: Purpose | None = None
    owner: Owner | None = None
    contact: Contact | None = None
    retention_hours: RetentionHours | None = None
    retention_reason: Purpose | None = None
    signage: bool | None = None
    residents_may_watch: bool | None = None
    sound: bool | None = None
    sound_reason: Purpose | None = None
    address: Address | None = None
    username: Username | None = None
    password: Password | None = None
    enabled: bool | None = None
    analyse: bool | None = None
    recording: RecordingPlan | None = None
    transport: Transport | None = None
    analysed_by: AnalysedBy | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    heading: Heading | None = None
    probe: bool = True


class DeviceOut(BaseModel):
    """What the device says of itself; `clock_offset_s` is its clock minus the hub's."""

    manufacturer: str
    model: str
    firmware: str
    serial: str
    clock_offset_s: float | None = None


class ProfileOut(BaseModel):
    """A media profile that the device offers. `gop` is in frames.

    `metadata`: it says, or can be told to say, what it sees there (`analysed_by: camera`).
    """

    token: str
    name: str
    codec: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int | None
    gop: int | None
    stream_url: str
    snapshot_url: str
    metadata: bool = False


class WarningOut(BaseModel):
    """Something that works, but should be looked at.

    `texts` has the message in each language where it does not follow from the code alone.
    """

    code: str
    message: str
    texts: Text | None = None


class ProbeOut(BaseModel):
    """What was found at an address; `main` and `sub` are the suggested profile tokens."""

    device: DeviceOut | None
    clock_offset_s: float | None
    profiles: list[ProfileOut]
    main: str
    sub: str
    warnings: list[WarningOut]


class StreamOut(BaseModel):
    """A stream of a camera; its address never holds credentials."""

    role: StreamRole
    url: str
    codec: str
    width: int
    height: int
    fps: float


class RecordingStatus(BaseModel):
    """How a camera's recording is doing; `bytes` since its worker began with it.

    `reason` of `waiting`: `schedule`, `event` or `starting`; of `failing`: `no_video`, `no_disk`,
    `disk_slow` (parts were left out lately), `masks` (masked pictures cannot be made).
    """

    state: Literal["off", "recording", "waiting", "failing"]
    reason: Annotated[str, StringConstraints(max_length=40), Printable] = ""
    disk: Annotated[str, StringConstraints(max_length=40), Printable] = ""
    bytes: Count = 0
    last_segment_at: AwareDatetime | None = None


class StatusOut(BaseModel):
    """State and counters of the stream that is always read, and how the recording is doing."""

    state: StreamState
    reason_code: ReasonCode
    reason: str
    since: AwareDatetime
    fps: float = 0.0
    bitrate_kbps: float = 0.0
    width: int = 0
    height: int = 0
    codec: str = ""
    sound: SoundState = SoundState.OFF
    last_frame_at: AwareDatetime | None = None
    frames_read: int = 0
    frames_analysed: int = 0
    frames_dropped: int = 0
    recording: RecordingStatus | None = None


class GrantBrief(BaseModel):
    """The consent by which the reader sees a home camera."""

    id: UUID
    kind: Literal["share", "alarm"]
    ends_at: AwareDatetime | None


class CameraFactsOut(BaseModel):
    """What is said of a camera's place. `retention_in_force_hours`: its own, else the law's."""

    household_id: UUID | None
    place_type: str
    purpose: str
    owner: str
    contact: str
    retention_hours: int | None
    retention_in_force_hours: int | None
    retention_reason: str
    signage: bool
    residents_may_watch: bool
    sound: bool
    sound_reason: str
    masks: list[dict[str, Any]]
    masks_burnt: bool
    recording: RecordingPlan
    latitude: float | None
    longitude: float | None
    heading: float | None
    plan_id: UUID | None
    plan_x: float | None
    plan_y: float | None


class CameraOut(CameraFactsOut):
    """A camera. `actions`: which of live, snapshot and `recording.play` the reader may.

    `grant` and `rendition` are what the reader gets: by whose consent, and what leaves. `warnings`
    come with the answer to a change only.
    """

    id: UUID
    name: str
    area: str
    place_kind: PlaceKind
    source_kind: SourceKind
    address: str
    username: str
    has_password: bool
    enabled: bool
    analyse: bool
    transport: Transport
    analysed_by: AnalysedBy
    version: int
    created_at: AwareDatetime
    device: DeviceOut | None
    streams: list[StreamOut]
    status: StatusOut
    actions: list[str] = []
    grant: GrantBrief | None = None
    rendition: Rendition = "raw"
    warnings: list[WarningOut] = []
