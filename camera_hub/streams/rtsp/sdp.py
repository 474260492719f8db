"""What a camera's description (SDP, RFC 8866) says about its tracks."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from camera_hub.streams.parameters import Codec

_STATIC = {
    **{"0": "PCMU/8000", "2": "G721/8000", "4": "G723/8000", "8": "PCMA/8000", "9": "G722/8000"},
    **{"14": "MPA/90000", "18": "G729/8000"},
    **{"26": "JPEG", "28": "NV", "31": "H261", "32": "MPEG-1/2 video", "33": "MPEG-2 TS"},
}
_CODECS: dict[str, Codec] = {"H264": "h264", "H265": "hevc"}
_NAMES = {"MP4V-ES": "MPEG-4", "JPEG": "Motion JPEG"}
_MAX_SETS = 64
_MAX_SET_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Group:
    """Where a track is sent to everybody (`c=` and `m=` lines); `port` and `ttl` 0 if not said."""

    address: str
    port: int
    ttl: int


@dataclass(slots=True)
class VideoTrack:
    """The video of a stream.

    `codec` None: `encoding` names one that is not read here. `control` is as the camera wrote
    it. `parameter_sets` are NAL units without start codes, in the order that decoders need.
    `interleaved_units` says that NAL units come out of their order (packetization-mode 2,
    sprop-max-don-diff), which is not read here.
    """

    codec: Codec | None
    encoding: str
    payload_type: int
    clock_rate: int
    control: str
    parameter_sets: tuple[bytes, ...] = ()
    interleaved_units: bool = False
    group: Group | None = None


@dataclass(frozen=True, slots=True)
class SideTrack:
    """A track beside the video: sound, or what the camera says it sees.

    `encoding` is in upper case; `channels` as the rtpmap names them (1 if it does not);
    `parameters` are those of its fmtp, names in lower case.
    """

    encoding: str
    payload_type: int
    clock_rate: int
    channels: int
    control: str
    parameters: dict[str, str] = field(default_factory=dict, hash=False)
    group: Group | None = None


@dataclass(slots=True)
class Description:
    """A whole description: its own control address, its video (None if it has none), the rest."""

    control: str = ""
    video: VideoTrack | None = None
    sounds: tuple[SideTrack, ...] = ()
    metadata: tuple[SideTrack, ...] = ()


@dataclass(slots=True)
class _Media:
    kind: str
    formats: list[str]
    control: str = ""
    rtpmap: dict[str, str] = field(default_factory=dict)
    fmtp: dict[str, str] = field(default_factory=dict)
    port: str = ""
    group: tuple[str, int] | None = None


def read_description(body: bytes) -> Description:
    """Read a description; what it says wrongly is left out. The first usable video is taken."""
    description, media = Description(), list[_Media]()
    group: tuple[str, int] | None = None
    for line in body.decode("utf-8", "replace").splitlines():
        key, _, value = line.strip().partition("=")
        if key == "m":
            words = value.split()
            kind, port = (*words[:2], "", "")[:2]
            media.append(_Media(kind.lower(), words[3:], port=port, group=group))
        elif key == "c":
            if media:
                media[-1].group = _group(value)
            else:
                group = _group(value)
        elif key == "a":
            name, _, text = value.partition(":")
            current = media[-1] if media else None
            if name == "control":
                if current is None:
                    description.control = text.strip()
                else:
                    current.control = text.strip()
            elif current is not None and name in ("rtpmap", "fmtp"):
                number, _, rest = text.strip().partition(" ")
                getattr(current, name)[number] = rest.strip()
    videos = [track for m in media if m.kind == "video" for track in _tracks(m)]
    usable = [track for track in videos if track.codec]
    description.video = next(iter(usable or videos), None)
    description.sounds = tuple(t for m in media if m.kind == "audio" for t in _formats(m))
    description.metadata = tuple(
        track
        for m in media
        if m.kind == "application"
        for track in _formats(m)
        if track.encoding.startswith("VND.ONVIF.METADATA")
    )
    return description


def _formats(media: _Media) -> list[SideTrack]:
    tracks = []
    group = None
    if media.group is not None:
        group = Group(
            media.group[0], _number(media.port.partition("/")[0], 0, 65535), media.group[1]
        )
    for number in media.formats:
        name, _, rest = media.rtpmap.get(number, _STATIC.get(number, "")).partition("/")
        if not (number.isascii() and number.isdigit() and len(number) < 4) or int(number) > 127:
            continue
        rate, _, channels = rest.partition("/")
        tracks.append(
            SideTrack(
                encoding=name[:40].upper(),
                payload_type=int(number),
                clock_rate=_number(rate, 90000, 10_000_000),
                channels=_number(channels, 1, 255),
                control=media.control,
                parameters=_parameters(media.fmtp.get(number, "")),
                group=group,
            )
        )
    return tracks


def _group(connection: str) -> tuple[str, int] | None:
    """Return the group and its ttl that a `c=` line names (RFC 8866 section 5.7)."""
    words = connection.split()
    if len(words) == 3:
        address, _, rest = words[2].partition("/")
        with suppress(ValueError):
            ip = ipaddress.ip_address(address)
            # Behind an IPv6 group stands how many there are.
            ttl = rest.partition("/")[0] if ip.version == 4 else ""
            return (str(ip), _number(ttl, 0, 255)) if ip.is_multicast else None
    return None


def _number(text: str, otherwise: int, most: int) -> int:
    valid = text.isascii() and text.isdigit() and len(text) < 12
    return int(text) if valid and 0 < int(text) <= most else otherwise


def _tracks(media: _Media) -> list[VideoTrack]:
    return [_video(track) for track in _formats(media)]


def _video(track: SideTrack) -> VideoTrack:
    codec, fmtp = _CODECS.get(track.encoding), track.parameters
    return VideoTrack(
        codec=codec,
        encoding=_NAMES.get(track.encoding, track.encoding),
        payload_type=track.payload_type,
        clock_rate=track.clock_rate,
        control=track.control,
        parameter_sets=_sets(codec, fmtp),
        interleaved_units=fmtp.get("packetization-mode") == "2"
        or fmtp.get("sprop-max-don-diff", "0").lstrip("0") != "",
        group=track.group,
    )


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name}


def _sets(codec: Codec | None, fmtp: dict[str, str]) -> tuple[bytes, ...]:
    names = ["sprop-parameter-sets"]
    if codec == "hevc":
        names = ["sprop-vps", "sprop-sps", "sprop-pps"]
    found = []
    for name in names:
        for text in fmtp.get(name, "").split(",")[:_MAX_SETS]:
            try:
                unit = base64.b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
            except (binascii.Error, ValueError):
                continue
            # Some cameras put a start code in front or zeros behind.
            unit = unit.removeprefix(b"\x00\x00\x00\x01").rstrip(b"\x00")
            if 1 < len(unit) <= _MAX_SET_BYTES:
                found.append(unit)
    return tuple(found)


def resolve(base: str, control: str) -> str:
    """Return the address that `control` means, on the host and port of `base` in any case.

    A camera behind a port forwarding names the address that it has at home; the host is the one
    that the person entered. `base` ends in the path that relative addresses are added to.

    Raises:
        ValueError: it cannot be part of a request.
    """
    if not control or control == "*":
        return base
    if not control.isprintable() or any(c.isspace() for c in control) or len(control) > 2000:
        raise ValueError("a control address that is none")
    if control.lower().startswith(("rtsp://", "rtspu://", "rtsps://")):
        given, own = urlsplit(control), urlsplit(base)
        return given._replace(scheme=own.scheme, netloc=own.netloc).geturl()
    if control.startswith("/") and not base.endswith("/"):
        return base + control
    return base + ("" if base.endswith("/") else "/") + control.lstrip("/")
