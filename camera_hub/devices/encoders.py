"""A camera's video encoders: how they are set, what they offer, and setting them.

What is asked for is never taken for granted: cameras round, clamp and ignore silently, so the
settings are read back and the differences told.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from camera_hub.devices.conversation import Conversation, refused
from camera_hub.devices.elements import (
    Element,
    attribute,
    every,
    first,
    name_of,
    node,
)
from camera_hub.devices.encoder_options import EncoderOptions, Range, read_options
from camera_hub.devices.errors import MalformedAnswerError
from camera_hub.devices.media import PREFIXES, Encoding, Version, encoding_of
from camera_hub.devices.soap import DeviceFaultError
from core.errors import InvalidInputError

_SUB = (640, 360)
_MOST = 32
_NAMES = {"h264": "H264", "hevc": "H265", "jpeg": "JPEG", "mpeg4": "MPEG4"}
# The order of elements in both versions' VideoEncoderConfiguration.
_ORDER = (
    "Name", "UseCount", "Encoding", "Resolution", "Quality", "RateControl", "MPEG4", "H264",
    "Multicast", "SessionTimeout",
)  # fmt: skip
_ORDER_2 = ("Name", "UseCount", "Encoding", "Resolution", "RateControl", "Multicast", "Quality")


@dataclass(frozen=True, slots=True)
class Wish:
    """What an encoder should be set to; None leaves a setting as it is. Units as in `Encoding`."""

    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    gop: int | None = None
    bitrate_kbps: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that the camera did not take as it was asked for."""

    setting: str
    asked: str
    accepted: str


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder, how it is set, and what it offers."""

    setting: Encoding
    options: tuple[EncoderOptions, ...]


async def read_encoders(talk: Conversation, version: Version) -> list[Encoder]:
    """Return the camera's video encoders, at most 32.

    Raises:
        CameraError: the camera cannot be asked, or refuses to tell.
    """
    return [
        Encoder(encoding_of(said), await _options(talk, version, attribute(said, "token")))
        for said in await _configurations(talk, version)
    ]


async def set_encoder(
    talk: Conversation, version: Version, token: str, wish: Wish
) -> tuple[Encoding, list[Difference]]:
    """Set an encoder and return how it is set now, and what of the wish it did not take.

    Raises:
        InvalidInputError: `no-such-encoder`, or `not-offered`: it is none of the options.
        CameraError: the camera cannot be asked, or refuses.
    """
    said = await _configuration(talk, version, token)
    before = encoding_of(said)
    options = await _options(talk, version, token)
    _check_offered(wish, before, options)
    wanted = _as_wished(said, version, wish, before)
    prefix = PREFIXES[version]
    request = node(f"{prefix}:SetVideoEncoderConfiguration", wanted)
    if version == 1:
        request.append(node("trt:ForcePersistence", "true"))
    try:
        await talk.ask(prefix, request)
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, "these encoder settings") from None
    after = encoding_of(await _configuration(talk, version, token))
    return after, differences(wish, after)


def fitting_sub(encoder: Encoder) -> Wish:
    """Return settings that make a stream a good sub-stream, of those that the encoder offers.

    H.264 for every browser, the size nearest to 640x360 (by area, then by shape), a keyframe a
    second, at most 15 to 25 pictures a second as it is set now, and 512 kbit/s where it may be.
    """
    options = _best_codec(encoder.options)
    now = encoder.setting
    fps = now.fps or 15.0
    if options is None:
        return Wish(gop=max(round(fps), 1))
    fps = options.nearest_fps(min(fps, 25.0))
    size = min(options.sizes, key=_from_sub, default=None)
    gop = _clamped(max(round(fps), 1), options.gop)
    rate = _clamped(512, options.bitrate_kbps) if options.bitrate_kbps else None
    return Wish(
        codec=options.codec if options.codec != now.codec else None,
        width=size[0] if size else None,
        height=size[1] if size else None,
        fps=fps,
        gop=gop,
        bitrate_kbps=rate,
    )


def differences(wish: Wish, now: Encoding) -> list[Difference]:
    """Return what of a wish has not come true."""
    found = []
    if wish.codec is not None and wish.codec != now.codec:
        found.append(Difference("codec", wish.codec, now.codec))
    if wish.width is not None and (wish.width, wish.height) != (now.width, now.height):
        asked = f"{wish.width}x{wish.height}"
        found.append(Difference("resolution", asked, f"{now.width}x{now.height}"))
    if wish.fps is not None and abs(wish.fps - now.fps) > 0.01:
        found.append(Difference("fps", f"{wish.fps:g}", f"{now.fps:g}"))
    for name in ("gop", "bitrate_kbps"):
        asked_for, has = getattr(wish, name), getattr(now, name)
        if asked_for is not None and asked_for != has:
            found.append(Difference(name, str(asked_for), "" if has is None else str(has)))
    return found


def _best_codec(options: Iterable[EncoderOptions]) -> EncoderOptions | None:
    order = {"h264": 0, "hevc": 1}
    usable = [one for one in options if one.codec in order]
    return min(usable, key=lambda one: order[one.codec], default=None)


def _from_sub(size: tuple[int, int]) -> tuple[float, float]:
    width, height = size
    if width <= 0 or height <= 0:
        return math.inf, math.inf
    area = abs(math.log(width * height / (_SUB[0] * _SUB[1])))
    return round(area, 3), abs(width / height - _SUB[0] / _SUB[1])


def _clamped(value: int, limits: Range | None) -> int:
    return value if limits is None else int(min(max(value, limits[0]), limits[1]))


def _check_offered(wish: Wish, now: Encoding, options: tuple[EncoderOptions, ...]) -> None:
    codec = wish.codec or now.codec
    offered = next((one for one in options if one.codec == codec), None)
    if offered is None:
        if wish.codec is not None and options:
            raise _not_offered("codec", wish.codec, ", ".join(one.codec for one in options))
        return
    size = (wish.width, wish.height)
    if wish.width is not None and offered.sizes and size not in offered.sizes:
        sizes = ", ".join(f"{width}x{height}" for width, height in offered.sizes[:12])
        raise _not_offered("resolution", f"{wish.width}x{wish.height}", sizes)
    if wish.fps is not None and offered.fps and offered.nearest_fps(wish.fps) != wish.fps:
        ends = f"{min(offered.fps):g} to {max(offered.fps):g}"
        raise _not_offered("fps", f"{wish.fps:g}", ends)
    for name in ("gop", "bitrate_kbps"):
        value, limits = getattr(wish, name), getattr(offered, name)
        if value is not None and limits is not None and not limits[0] <= value <= limits[1]:
            raise _not_offered(name, str(value), f"{limits[0]:g} to {limits[1]:g}")


def _not_offered(setting: str, asked: str, offered: str) -> InvalidInputError:
    return InvalidInputError(
        f"The camera does not offer {asked} as {setting}.",
        remedy=f"It offers: {offered}.",
        code="not-offered",
        detail={"setting": setting, "offered": offered},
    )


async def _configurations(talk: Conversation, version: Version) -> list[Element]:
    prefix = PREFIXES[version]
    try:
        answer = await talk.ask(prefix, node(f"{prefix}:GetVideoEncoderConfigurations"))
        said = list(every(answer, "Configurations"))
    except (DeviceFaultError, MalformedAnswerError):
        said = []
    if not said:
        # Some do not answer that, or answer something else: profiles hold the same.
        said = await _in_profiles(talk, version)
    found: dict[str, Element] = {}
    for one in said[:_MOST]:
        found.setdefault(attribute(one, "token"), one)
    found.pop("", None)
    return list(found.values())


async def _in_profiles(talk: Conversation, version: Version) -> list[Element]:
    prefix = PREFIXES[version]
    request = node("tr2:GetProfiles", node("tr2:Type", "All"))
    try:
        answer = await talk.ask(prefix, request if version == 2 else node("trt:GetProfiles"))
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, "to tell its encoder settings") from None
    path = "Configurations/VideoEncoder" if version == 2 else "VideoEncoderConfiguration"
    return [one for profile in every(answer, "Profiles") for one in every(profile, path)]


async def _configuration(talk: Conversation, version: Version, token: str) -> Element:
    for one in await _configurations(talk, version):
        if attribute(one, "token") == token:
            return one
    raise InvalidInputError(
        f"The camera has no encoder '{token}'.",
        remedy="Load the camera's settings again and choose one of its encoders.",
        code="no-such-encoder",
    )


async def _options(talk: Conversation, version: Version, token: str) -> tuple[EncoderOptions, ...]:
    """Return what an encoder offers; nothing where the camera does not tell."""
    prefix = PREFIXES[version]
    request = node(
        f"{prefix}:GetVideoEncoderConfigurationOptions",
        node(f"{prefix}:ConfigurationToken", token),
    )
    try:
        answer = await talk.ask(prefix, request)
    except (DeviceFaultError, MalformedAnswerError):
        return ()
    return read_options(answer, version)


def _as_wished(said: Element, version: Version, wish: Wish, now: Encoding) -> Element:
    """Return the configuration as the camera gave it, with the wish in it.

    What the camera said beside it goes back unchanged: leaving it out would reset it.
    """
    wanted = node(f"{PREFIXES[version]}:Configuration", token=now.token)
    for key, value in said.attrib.items():
        wanted.set(key, value)
    for child in said:
        wanted.append(copy.deepcopy(child))
    order = _ORDER_2 if version == 2 else _ORDER
    _drop_duplicates(wanted)
    if wish.codec is not None:
        _put(wanted, order, "Encoding", _NAMES.get(wish.codec, wish.codec.upper()))
    if wish.width is not None:
        _put(wanted, order, "Resolution/Width", str(wish.width))
        _put(wanted, order, "Resolution/Height", str(wish.height))
    if wish.fps is not None:
        _put(wanted, order, "RateControl/FrameRateLimit", f"{wish.fps:g}")
        if version == 1:
            _put(wanted, order, "RateControl/EncodingInterval", "1")
    if wish.bitrate_kbps is not None:
        _put(wanted, order, "RateControl/BitrateLimit", str(wish.bitrate_kbps))
    _finish(wanted, version, replace(wish, codec=wish.codec or now.codec), order)
    return wanted


def _finish(wanted: Element, version: Version, wish: Wish, order: tuple[str, ...]) -> None:
    """Write the GOP, and leave out what belongs to another codec."""
    if version == 2:
        if wish.gop is not None:
            wanted.set("GovLength", str(wish.gop))
        return
    if wish.codec != "h264":
        for one in list(every(wanted, "H264")):
            wanted.remove(one)
    elif wish.gop is not None:
        _put(wanted, order, "H264/GovLength", str(wish.gop))
        if first(wanted, "H264/H264Profile") is None:
            first(wanted, "H264").append(node("tt:H264Profile", "Main"))  # type: ignore[union-attr]


def _drop_duplicates(wanted: Element) -> None:
    seen: set[str] = set()
    for child in list(wanted):
        name = name_of(child)
        if name in seen:
            wanted.remove(child)
        seen.add(name)


def _put(parent: Element, order: tuple[str, ...], path: str, value: str) -> None:
    """Write a text at `path` (one or two names), making what is missing where it belongs."""
    name, _, rest = path.partition("/")
    found: Any = first(parent, name)
    if found is None:
        found = node(f"tt:{name}")
        after = order[order.index(name) + 1 :] if name in order else ()
        following = next((child for child in parent if name_of(child) in after), None)
        if following is None:
            parent.append(found)
        else:
            following.addprevious(found)
    if rest:
        _put(found, _INNER.get(name, ()), rest, value)
    else:
        found.text = value


_INNER = {
    "Resolution": ("Width", "Height"),
    "RateControl": ("FrameRateLimit", "EncodingInterval", "BitrateLimit"),
    "H264": ("GovLength", "H264Profile"),
}
