"""What a probe of a camera finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SourceKind = Literal["onvif", "rtsp"]


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What an ONVIF device says of itself; an empty string where it says nothing."""

    manufacturer: str
    model: str
    firmware: str
    serial: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One stream that a camera offers.

    `codec` is `h264`, `hevc`, `jpeg` or whatever else the camera names, in lower case. `width`
    and `height` are in pixels, `fps` in pictures a second (0 where unknown), `gop` in pictures
    from keyframe to keyframe. The addresses hold no credentials; `snapshot_url` may be empty.
    `metadata` says whether the camera tells, or can be told to tell, what it sees there.
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


@dataclass(frozen=True, slots=True)
class ProbeWarning:
    """Something to know about a camera that works nevertheless.

    Codes: `clock-skew`, `clock-unreadable`, `stream-host-rewritten`, `long-gop`, `no-h264`,
    `profile-skipped`.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found. `main` and `sub` are profile tokens, alike where there is only one.

    `clock_offset_s` is the camera's clock minus ours in seconds, None where it has none.
    """

    device: DeviceFacts | None
    clock_offset_s: float | None
    profiles: tuple[Profile, ...]
    main: str
    sub: str
    warnings: tuple[ProbeWarning, ...]
