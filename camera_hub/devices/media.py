"""Asking for profiles and their addresses: Media2 (profile T) where there is one, else Media1."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from camera_hub.devices.conversation import Conversation
from camera_hub.devices.elements import (
    Element,
    as_number,
    attribute,
    count,
    every,
    first,
    node,
    number,
    text,
)
from camera_hub.devices.elements import address as address_in
from camera_hub.devices.errors import CameraUnauthorisedError, MalformedAnswerError
from camera_hub.devices.soap import DeviceFaultError
from camera_hub.devices.types import Profile

Version = Literal[1, 2]
PREFIXES: dict[Version, str] = {1: "trt", 2: "tr2"}

_CODECS = {"h264": "h264", "h265": "hevc", "hevc": "hevc", "jpeg": "jpeg", "mpeg4": "mpeg4"}
_MOST = 32


@dataclass(frozen=True, slots=True)
class MediaProfile:
    """A profile with video before its addresses are known; fields as in `types.Profile`.

    `encoder` is the token of its video encoder; `ptz`, `analytics` and `metadata` those of such
    configurations, or "".
    """

    token: str
    name: str
    codec: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int | None
    gop: int | None
    encoder: str
    ptz: str
    analytics: str = ""
    metadata: str = ""

    def profile(self, stream_url: str, snapshot_url: str, *, metadata: bool = False) -> Profile:
        """Return the profile with its addresses, and whether it tells or can tell what it sees."""
        return Profile(
            token=self.token,
            name=self.name,
            codec=self.codec,
            width=self.width,
            height=self.height,
            fps=self.fps,
            bitrate_kbps=self.bitrate_kbps,
            gop=self.gop,
            stream_url=stream_url,
            snapshot_url=snapshot_url,
            metadata=metadata or bool(self.analytics and self.metadata),
        )


@dataclass(frozen=True, slots=True)
class Encoding:
    """How an encoder is set: what Media1 and Media2 say alike. 0 and None where unknown."""

    token: str
    name: str
    codec: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int | None
    gop: int | None


async def read_profiles(talk: Conversation) -> tuple[Version, list[MediaProfile]]:
    """Return which media service answers, and its profiles with video, each token once.

    A device whose Media2 answers nothing usable is asked over Media1.

    Raises:
        CameraError: the device cannot be asked.
    """
    services = await talk.services()
    found: list[MediaProfile] = []
    if "tr2" in services:
        request = node("tr2:GetProfiles", node("tr2:Type", "All"))
        try:
            found = _profiles(await talk.ask("tr2", request))
        except DeviceFaultError:
            pass
        except MalformedAnswerError:
            if "trt" not in services:
                raise
        if found or "trt" not in services:
            return 2, found
    with suppress(DeviceFaultError):
        found = _profiles(await talk.ask("trt", node("trt:GetProfiles")))
    return 1, found


def _profiles(answer: Element) -> list[MediaProfile]:
    found: dict[str, MediaProfile] = {}
    for said in list(every(answer, "Profiles"))[:_MOST]:
        token = attribute(said, "token")
        # Media2 puts configurations into an element of their own and calls them shorter.
        inner = first(said, "Configurations")
        encoder = first(said, "VideoEncoderConfiguration")
        encoder = first(inner, "VideoEncoder") if encoder is None else encoder
        if not token or encoder is None or token in found:
            continue
        how = encoding_of(encoder)
        found[token] = MediaProfile(
            token=token,
            name=text(said, "Name") or token,
            codec=how.codec,
            width=how.width,
            height=how.height,
            fps=how.fps,
            bitrate_kbps=how.bitrate_kbps,
            gop=how.gop,
            encoder=how.token,
            ptz=_token(said, inner, "PTZConfiguration", "PTZ"),
            analytics=_token(said, inner, "VideoAnalyticsConfiguration", "Analytics"),
            metadata=_token(said, inner, "MetadataConfiguration", "Metadata"),
        )
    return list(found.values())


def _token(said: Element, inner: Element | None, name: str, shorter: str) -> str:
    found = first(said, name)
    return attribute(first(inner, shorter) if found is None else found, "token")


def encoding_of(encoder: Element) -> Encoding:
    """Return what an element such as VideoEncoderConfiguration says."""
    interval = number(encoder, "RateControl/EncodingInterval") or 1.0
    fps = _sensible(number(encoder, "RateControl/FrameRateLimit")) / max(interval, 1.0)
    gop = as_number(attribute(encoder, "GovLength"))
    for name in ("H264", "H265", "Extension/H265"):
        gop = count(encoder, f"{name}/GovLength") if gop is None else gop
    return Encoding(
        token=attribute(encoder, "token"),
        name=text(encoder, "Name"),
        codec=codec_of(text(encoder, "Encoding")),
        width=int(_sensible(number(encoder, "Resolution/Width"))),
        height=int(_sensible(number(encoder, "Resolution/Height"))),
        fps=fps,
        bitrate_kbps=int(_sensible(number(encoder, "RateControl/BitrateLimit"))) or None,
        gop=int(_sensible(gop)) or None,
    )


def codec_of(name: str) -> str:
    """Return a codec by our name: devices write H264, H.264, h264."""
    plain = name.lower().replace(".", "")
    return _CODECS.get(plain, plain[:20])


async def stream_uri(talk: Conversation, version: Version, profile: str) -> str:
    """Return the stream's address as the device names it; unchecked.

    Raises:
        soap.DeviceFaultError: the device names none.
        CameraError: the device cannot be asked.
    """
    if version == 2:
        request = node(
            "tr2:GetStreamUri", node("tr2:Protocol", "RTSP"), node("tr2:ProfileToken", profile)
        )
        return address_in(await talk.ask("tr2", request), "Uri")
    setup = node(
        "trt:StreamSetup",
        node("tt:Stream", "RTP-Unicast"),
        node("tt:Transport", node("tt:Protocol", "RTSP")),
    )
    request = node("trt:GetStreamUri", setup, node("trt:ProfileToken", profile))
    return address_in(await talk.ask("trt", request), "MediaUri/Uri")


async def snapshot_uri(talk: Conversation, version: Version, profile: str) -> str:
    """Return the snapshot's address as the device names it; unchecked, "" without one.

    Raises:
        CameraError: the device cannot be asked.
    """
    prefix = PREFIXES[version]
    request = node(f"{prefix}:GetSnapshotUri", node(f"{prefix}:ProfileToken", profile))
    try:
        answer = await talk.ask(prefix, request)
    except (DeviceFaultError, CameraUnauthorisedError):
        # Some accounts may watch and not take snapshots.
        return ""
    return address_in(answer, "Uri") or address_in(answer, "MediaUri/Uri")


def _sensible(value: float | None) -> float:
    """Return a number that is missing, negative or absurd as 0."""
    return value if value is not None and 0 <= value <= 1_000_000 else 0.0
