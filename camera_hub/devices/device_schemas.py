"""A camera's own settings and its head, as they go over the wire (docs/design/recordings.md)."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from camera_hub.devices.schemas import DeviceOut, ProfileOut, StreamRole, WarningOut
from core.text import Printable

Codec = Literal["h264", "hevc"]
Token = Annotated[str, StringConstraints(min_length=1, max_length=120), Printable]
Position = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RangeOut(BaseModel):
    """From and to, both possible."""

    min: float
    max: float


class SizeOut(BaseModel):
    """A picture's size in pixels."""

    width: int
    height: int


class EncoderOptionsOut(BaseModel):
    """What an encoder offers with one codec; empty or null where the camera does not say.

    `fps` lists the rates offered, or with `fps_is_range` the ends of a range. `gop` is in pictures,
    `bitrate_kbps` in kbit/s.
    """

    codec: str
    sizes: list[SizeOut]
    fps: list[float]
    fps_is_range: bool
    gop: RangeOut | None
    bitrate_kbps: RangeOut | None


class EncoderOut(BaseModel):
    """A video encoder, how it is set, what it offers, and which of our streams it makes."""

    token: str
    name: str
    codec: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int | None
    gop: int | None
    roles: list[StreamRole] = []
    options: list[EncoderOptionsOut] = []


class ClockOut(BaseModel):
    """A camera's clock. `offset_s` is its time minus the hub's, null where it tells none.

    `mode` is `manual`, `ntp` or ""; `timezone` is a POSIX TZ text.
    """

    at: AwareDatetime | None
    offset_s: float | None
    mode: str
    timezone: str
    servers: list[str] = []
    servers_by_dhcp: bool = False


class DeviceDetailsOut(BaseModel):
    """What a camera says of itself now. `media` is 2 for ONVIF's Media2 (profile T), else 1."""

    device: DeviceOut
    clock: ClockOut
    media: Literal[1, 2]
    profiles: list[ProfileOut]
    encoders: list[EncoderOut]
    ptz: bool
    events: bool
    warnings: list[WarningOut]


class EncoderUpdate(_Body):
    """How an encoder should be set; what is left out stays. Width and height go together.

    `fit: "sub"` chooses what suits a sub-stream of what the camera offers: H.264, about 640x360,
    a keyframe a second. It goes alone.
    """

    fit: Literal["sub"] | None = None
    codec: Codec | None = None
    width: Annotated[int, Field(ge=16, le=16384)] | None = None
    height: Annotated[int, Field(ge=16, le=16384)] | None = None
    fps: Annotated[float, Field(gt=0, le=240, allow_inf_nan=False)] | None = None
    gop: Annotated[int, Field(ge=1, le=10_000)] | None = None
    bitrate_kbps: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class DifferenceOut(BaseModel):
    """A setting that the camera did not take as it was asked for."""

    setting: str
    asked: str
    accepted: str


class EncoderSetOut(BaseModel):
    """How the encoder is set now, as the camera says, and what it did not take."""

    encoder: EncoderOut
    not_taken: list[DifferenceOut]


class ClockUpdate(_Body):
    """`manual` sets the hub's time now; `ntp` lets the camera follow `server` ("": by DHCP)."""

    mode: Literal["ntp", "manual"]
    server: Annotated[str, StringConstraints(strip_whitespace=True, max_length=253)] = ""


class PtzCommand(_Body):
    """One command to a camera's head.

    `move` turns with speeds from -1 to 1 for two seconds unless it is repeated; `absolute` goes to
    a position within `limits`; `preset` to `preset`; `save_preset` remembers where it looks now as
    `name`, over `preset` if that is given. `rename_preset` turns to `preset` and remembers it as
    `name`: a camera keeps name and position together. `remove_preset` lets it forget `preset`.
    """

    op: Literal[
        "move",
        "absolute",
        "stop",
        "preset",
        "home",
        "save_preset",
        "rename_preset",
        "remove_preset",
    ]
    pan: Position | None = None
    tilt: Position | None = None
    zoom: Position | None = None
    preset: Annotated[str, StringConstraints(max_length=120), Printable] = ""
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=60), Printable] = ""


class PtzDoneOut(BaseModel):
    """`moving` until a stop or the lease's end; `preset` is the token of one that was saved."""

    moving: bool
    lease_s: float
    preset: str = ""


class PresetOut(BaseModel):
    """A position that the camera remembers."""

    token: str
    name: str


class PtzAxesOut(BaseModel):
    """Ranges of pan, tilt and zoom; null where the head has no such axis."""

    pan: RangeOut | None
    tilt: RangeOut | None
    zoom: RangeOut | None


class PtzPlaceOut(BaseModel):
    """Where the head looks, in the units of `limits`."""

    pan: float | None
    tilt: float | None
    zoom: float | None


class PtzOut(BaseModel):
    """What a camera's head can do and where it is.

    `position` is null where the camera does not say. `problem` says why the camera could not be
    stopped: it may still be turning.
    """

    can_move: bool
    can_zoom: bool
    can_go: bool
    home: bool
    limits: PtzAxesOut
    presets: list[PresetOut]
    position: PtzPlaceOut | None
    moving: bool
    lease_s: float
    problem: str
