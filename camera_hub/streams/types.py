"""What a camera stream is, how it is doing, and the pictures that come out of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import UUID

from camera_hub.streams.painting import Polygon, read_masks

if TYPE_CHECKING:
    import av
    import numpy as np
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    Packet = av.Packet[VideoStream]
    """A compressed picture."""

StreamRole = Literal["main", "sub"]
"""`main` is the full picture, read only while watched; `sub` the small one, read always."""


AnalysedBy = Literal["hub", "camera"]
"""Who looks at the pictures: the hub, or the camera itself, which then says what it sees."""

Transport = Literal["tcp", "udp", "multicast"]
"""How the packets come: inside the connection of the conversation, or as datagrams."""


class StreamState(StrEnum):
    """How a stream is doing."""

    CONNECTING = "connecting"
    ONLINE = "online"
    STALLED = "stalled"
    UNAUTHORISED = "unauthorised"
    NOT_FOUND = "not_found"
    UNSUPPORTED = "unsupported"
    DISABLED = "disabled"


class ReasonCode(StrEnum):
    """Why a stream is in its state; the console translates it."""

    OK = "ok"
    OVER_UDP = "over_udp"
    DATAGRAMS_LOST = "datagrams_lost"
    NO_METADATA = "no_metadata"
    METADATA_PACKED = "metadata_packed"
    METADATA_REFUSED = "metadata_refused"
    METADATA_TRANSPORT = "metadata_transport"
    STARTING = "starting"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    NO_DATA = "no_data"
    NO_DATAGRAMS = "no_datagrams"
    TRANSPORT_REFUSED = "transport_refused"
    WRONG_CREDENTIALS = "wrong_credentials"
    NO_SUCH_STREAM = "no_such_stream"
    NOT_VIDEO = "not_video"
    CODEC_UNSUPPORTED = "codec_unsupported"
    DIGEST_UNSUPPORTED = "digest_unsupported"
    CLOSED_BY_CAMERA = "closed_by_camera"
    WORKER_LOST = "worker_lost"
    RENDITION_FAILED = "rendition_failed"
    RAW_REFUSED = "raw_refused"
    DISABLED = "disabled"
    ERROR = "error"


class SoundState(StrEnum):
    """Whether a stream's sound comes and if not why; the console translates it."""

    OFF = ""
    WAITING = "waiting"
    OK = "ok"
    SILENT = "silent"
    NONE = "none"
    REFUSED = "refused"
    CODEC = "codec"
    GARBLED = "garbled"
    TRANSPORT = "transport"


@dataclass(frozen=True, slots=True)
class StreamSource:
    """Where a stream comes from. `url` holds no credentials; the password is never shown."""

    camera_id: UUID
    role: StreamRole
    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    transport: Transport = "tcp"
    sound: bool = False
    """Whether its sound is asked for too."""
    metadata: bool = False
    """Whether the camera is asked to say what it sees (ONVIF metadata stream)."""


@dataclass(frozen=True, slots=True)
class AssignedCamera:
    """A camera that the hub gave to this media worker.

    `zones` are the zones as on the wire (docs/design/api.md): a list of JSON objects
    which only the analytics reads. `masks` are outlines that nobody is shown;
    `masks_burnt` has them applied before recording too.
    """

    id: UUID
    name: str
    area: str
    version: int
    streams: Mapping[StreamRole, StreamSource]
    analyse: bool = True
    zones: tuple[Mapping[str, Any], ...] = ()
    masks: tuple[Polygon, ...] = ()
    masks_burnt: bool = False
    recording: Mapping[str, Any] = field(default_factory=dict)
    """When it records (`camera_hub/recording/plans.py`); empty: it does not."""
    sound: bool = False
    analysed_by: AnalysedBy = "hub"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AssignedCamera:
        """Read the answer of a heartbeat.

        Raises:
            KeyError, ValueError, TypeError: `data` has not the agreed shape.
        """
        camera_id = UUID(data["id"])
        streams: dict[StreamRole, StreamSource] = {}
        roles: tuple[StreamRole, ...] = ("main", "sub")
        tells = data.get("analysed_by") == "camera"
        for role in roles:
            stream = data["streams"].get(role)
            if stream:
                streams[role] = StreamSource(
                    camera_id=camera_id,
                    role=role,
                    url=stream["url"],
                    username=stream.get("username") or "",
                    password=stream.get("password") or "",
                    transport=_transport(data.get("transport")),
                    sound=bool(data.get("sound")),
                    metadata=tells and role == ("sub" if "sub" in data["streams"] else "main"),
                )
        return cls(
            id=camera_id,
            name=data["name"],
            area=data["area"],
            version=int(data["version"]),
            streams=streams,
            analyse=bool(data["analyse"]),
            zones=tuple(data.get("zones") or ()),
            masks=read_masks(data.get("masks") or ()),
            masks_burnt=bool(data.get("masks_burnt")),
            recording=data.get("recording") or {},
            sound=bool(data.get("sound")),
            analysed_by="camera" if tells else "hub",
        )


def _transport(value: Any) -> Transport:
    return value if value in ("udp", "multicast") else "tcp"


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Parameters of the video. A change of any of them re-opens every sink.

    `extradata` holds the parameter sets in Annex B form (start codes) as the camera sent
    them; `fps` is the nominal rate, 0 where the camera does not say; `reorder` says how many
    pictures may be decoded before one that is shown earlier (0 without B-frames).
    """

    codec: Literal["h264", "hevc"]
    width: int
    height: int
    time_base: Fraction
    extradata: bytes = field(repr=False)
    fps: float = 0.0
    reorder: int = 0
    sound: SoundInfo | None = None


@dataclass(frozen=True, slots=True)
class SoundInfo:
    """The sound that comes with a video, always AAC-LC (ISO/IEC 14496-3).

    `config` is its AudioSpecificConfig; `rate` in samples a second. What a camera sends in
    another form was encoded anew; video never is.
    """

    config: bytes
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class SoundPacket:
    """One raw AAC frame without ADTS header.

    `at` is when its first sample was heard, on the timeline of the video's dts and in its
    `time_base`; never falling. `samples` is its length, in samples of `SoundInfo.rate`.
    """

    data: bytes
    at: int
    samples: int


class SoundSink(Protocol):
    """A `Sink` that takes sound too; it is asked on the reader's thread, between the packets."""

    def sound(self, packet: SoundPacket) -> None:
        """Take one frame of sound. Must not block; sound never holds the video up."""
        ...


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream's state and counters at one instant. All times are aware and in UTC.

    `packets`, `bytes` and `keyframes` count since the reader was made; `fps` and
    `bitrate_kbps` are over the last few seconds; `reconnects` counts connections after the first.
    `sound` says whether there is sound too, where it was asked for.
    """

    state: StreamState
    reason_code: ReasonCode
    reason: str
    since: datetime
    packets: int = 0
    bytes: int = 0
    keyframes: int = 0
    fps: float = 0.0
    bitrate_kbps: float = 0.0
    width: int = 0
    height: int = 0
    codec: str = ""
    last_frame_at: datetime | None = None
    reconnects: int = 0
    sound: SoundState = SoundState.OFF

    def replace(self, **changes: Any) -> StreamStatus:
        """Return a copy with `changes`."""
        return replace(self, **changes)

    def to_json(self, *, frames_analysed: int = 0, frames_dropped: int = 0) -> dict[str, Any]:
        """Return the camera's `status` as on the wire (docs/design/api.md)."""
        return {
            "state": self.state.value,
            "reason_code": self.reason_code.value,
            "reason": self.reason,
            "since": self.since.isoformat(),
            "fps": round(self.fps, 2),
            "bitrate_kbps": round(self.bitrate_kbps, 1),
            "width": self.width,
            "height": self.height,
            "codec": self.codec,
            "sound": self.sound.value,
            "last_frame_at": self.last_frame_at.isoformat() if self.last_frame_at else None,
            "frames_read": self.packets,
            "frames_analysed": frames_analysed,
            "frames_dropped": frames_dropped,
        }


class Sink(Protocol):
    """Somebody who takes a stream's packets.

    All three are called on the reader's thread, in order: `opened`, any number of `packet`,
    `closed`, and again from the start after a reconnect or a change of parameters. They must
    not block and must not change the packet, which other sinks share.
    """

    def opened(self, info: StreamInfo) -> None:
        """A stream with these parameters begins; the next packet is a keyframe."""
        ...

    def packet(self, packet: Packet, arrived_monotonic: float, arrived_at: datetime) -> None:
        """Take one packet: strictly increasing dts, pts not before dts, in `info.time_base`."""
        ...

    def closed(self) -> None:
        """The stream ended, for now or for good."""
        ...


class Frame:
    """One decoded picture, converted only when and to what somebody asks for."""

    __slots__ = ("_frame", "arrived_at", "arrived_monotonic", "keyframe", "pts_s")
    _local = threading.local()

    def __init__(
        self, frame: av.VideoFrame, *, arrived_at: datetime, arrived_monotonic: float
    ) -> None:
        """Wrap `frame`, whose packet arrived at `arrived_at` (aware, UTC)."""
        self._frame = frame
        self.arrived_at = arrived_at
        self.arrived_monotonic = arrived_monotonic
        self.keyframe = bool(frame.key_frame)
        self.pts_s = float(frame.time or 0.0)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self._frame.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self._frame.height

    def luma(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the brightness, uint8 of shape (height, width), bilinear from the Y plane."""
        import cv2
        import numpy as np

        frame = self._frame
        if frame.format.name not in _EIGHT_BIT_Y:
            frame = self._reformatter().reformat(frame, format="gray")
        plane = frame.planes[0]
        stored = np.frombuffer(memoryview(plane), dtype=np.uint8)
        y = stored.reshape(plane.height, plane.line_size)[:, : plane.width]
        if (height, width) == y.shape:
            return y.copy()
        return np.asarray(cv2.resize(y, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def rgb(self, width: int = 0, height: int = 0) -> NDArray[np.uint8]:
        """Return uint8 RGB of shape (height, width, 3); 0 keeps the picture's own size."""
        converted = self._reformatter().reformat(
            self._frame,
            width=width or self.width,
            height=height or self.height,
            format="rgb24",
            interpolation="FAST_BILINEAR",
        )
        array: NDArray[np.uint8] = converted.to_ndarray()
        return array

    def jpeg(self, quality: int = 85) -> bytes:
        """Return the picture as JPEG at its own size; `quality` from 1 to 100."""
        import cv2

        image = self._reformatter().reformat(self._frame, format="bgr24").to_ndarray()
        _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return bytes(encoded)

    @classmethod
    def _reformatter(cls) -> Any:
        # A scaler keeps its tables between pictures but serves one thread only.
        if not hasattr(cls._local, "reformatter"):
            from av.video.reformatter import VideoReformatter

            cls._local.reformatter = VideoReformatter()
        return cls._local.reformatter


_EIGHT_BIT_Y = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}


class FrameSource(Protocol):
    """Where the analytics takes pictures from: always the newest, never a queue."""

    @property
    def decoded(self) -> int:
        """Pictures decoded so far."""
        ...

    @property
    def dropped(self) -> int:
        """Packets thrown away undecoded because decoding did not keep up."""
        ...

    def get(self, timeout: float) -> Frame | None:
        """Wait up to `timeout` seconds for a picture newer than the last one given."""
        ...
