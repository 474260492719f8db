"""From the answer to GetProfiles to numbers that can be trusted to be numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from camera_hub.devices.types import Profile

_CODECS = {"h264": "h264", "h265": "hevc", "hevc": "hevc", "jpeg": "jpeg", "mpeg4": "mpeg4"}
_MOST = 32
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Encoding:
    """A profile before its addresses are known; fields as in `Profile`."""

    token: str
    name: str
    codec: str
    width: int
    height: int
    fps: float
    bitrate_kbps: int | None
    gop: int | None

    def profile(self, stream_url: str, snapshot_url: str) -> Profile:
        """Return the profile with its addresses."""
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
        )


def read_encodings(answer: Any) -> list[Encoding]:
    """Return the profiles with video of an answer, at most 32, each token once."""
    found: dict[str, Encoding] = {}
    for profile in list(answer or ())[:_MOST]:
        token = text_of(profile, "token")
        encoder = getattr(profile, "VideoEncoderConfiguration", None)
        if not token or encoder is None or token in found:
            continue
        found[token] = _encoding(token, profile, encoder)
    return list(found.values())


def text_of(thing: Any, name: str) -> str:
    """Return a text of an answer without control characters, shortened; empty if missing."""
    value = getattr(thing, name, None)
    if value is None:
        return ""
    text = "".join(c for c in str(value) if c.isprintable()).strip()
    return text[: _LONGEST if name != "Uri" else None]


def _encoding(token: str, profile: Any, encoder: Any) -> Encoding:
    name = text_of(encoder, "Encoding").lower().replace(".", "")
    resolution = getattr(encoder, "Resolution", None)
    rate = getattr(encoder, "RateControl", None)
    codec = _CODECS.get(name, name[:20])
    fps = _number(rate, "FrameRateLimit") / max(_number(rate, "EncodingInterval"), 1)
    gop = _number(getattr(encoder, "H264", None), "GovLength")
    return Encoding(
        token=token,
        name=text_of(profile, "Name") or token,
        codec=codec,
        width=int(_number(resolution, "Width")),
        height=int(_number(resolution, "Height")),
        fps=fps,
        bitrate_kbps=int(_number(rate, "BitrateLimit")) or None,
        gop=int(gop) or None,
    )


def _number(thing: Any, name: str) -> float:
    """Return a number that is missing, negative or absurd as 0."""
    try:
        value = float(getattr(thing, name, None) or 0)
    except (TypeError, ValueError):
        return 0.0
    return value if 0 <= value <= 1_000_000 else 0.0
