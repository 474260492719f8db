"""Turning a camera: what its head can do, and the commands, within the limits that it names.

Speeds and positions are the camera's own numbers; with the generic spaces of ONVIF pan, tilt and
speeds go from -1 to 1 and zoom from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from camera_hub.devices import media
from camera_hub.devices.conversation import Conversation, refused
from camera_hub.devices.elements import (
    Element,
    as_number,
    attribute,
    count,
    every,
    first,
    node,
    text,
    truth,
)
from camera_hub.devices.errors import (
    CameraRefusedError,
    MalformedAnswerError,
    NoPtzError,
    NoVideoProfileError,
    PresetNotReachedError,
)
from camera_hub.devices.soap import DeviceFaultError

_MOST_PRESETS = 300
_ARRIVES_WITHIN_S = 20.0
_LOOK_AGAIN_S = 0.25
_NEAR = 0.005
"""Of the generic space, which goes from -1 to 1."""


@dataclass(frozen=True, slots=True)
class Range:
    """From and to, both possible."""

    low: float
    high: float

    def clamp(self, value: float) -> float:
        """Return the nearest value inside."""
        return min(max(value, self.low), self.high)


_TURN, _ZOOM = Range(-1.0, 1.0), Range(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Axes:
    """Ranges of pan, tilt and zoom; None where the head has no such axis."""

    pan: Range | None
    tilt: Range | None
    zoom: Range | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a head looks, or how fast it turns; None leaves an axis as it is."""

    pan: float | None = None
    tilt: float | None = None
    zoom: float | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """A position that the camera remembers; `place` is None where it does not say which."""

    token: str
    name: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What a camera's head can do; `profile` is what its commands name."""

    profile: str
    speeds: Axes
    positions: Axes
    home: bool
    most_presets: int


async def read_head(talk: Conversation) -> Head:
    """Return what the camera's head can do.

    Raises:
        NoPtzError: it has none.
        CameraError: the camera cannot be asked.
    """
    if "tptz" not in await talk.services():
        raise no_head(talk)
    _, profiles = await media.read_profiles(talk)
    if not profiles:
        raise NoVideoProfileError(f"The camera at {talk.camera.place} offers no profile.")
    chosen = next((one for one in profiles if one.ptz), None)
    if chosen is None:
        raise no_head(talk)
    said = await _told(talk, "GetNodes", "PTZNode")
    limits = await _told(talk, "GetConfigurations", "PTZConfiguration", chosen.ptz)
    spaces = first(said, "SupportedPTZSpaces")
    return Head(
        profile=chosen.token,
        speeds=_axes(
            spaces, "ContinuousPanTiltVelocitySpace", "ContinuousZoomVelocitySpace", zoom=_TURN
        ),
        positions=_limited(
            _axes(spaces, "AbsolutePanTiltPositionSpace", "AbsoluteZoomPositionSpace", zoom=_ZOOM),
            limits,
        ),
        home=said is None or truth(said, "HomeSupported"),
        most_presets=count(said, "MaximumNumberOfPresets") or 0,
    )


def no_head(talk: Conversation) -> NoPtzError:
    """Return the error of a camera that cannot be turned."""
    return NoPtzError(
        f"The camera at {talk.camera.place} cannot be turned.",
        remedy="If it can, switch PTZ on in its ONVIF settings and give a profile a PTZ "
        "configuration.",
    )


async def _told(talk: Conversation, operation: str, tag: str, token: str = "") -> Element | None:
    """Return the element `tag` with `token` (else the first) of an answer, None without one."""
    try:
        answer = await talk.ask("tptz", node(f"tptz:{operation}"))
    except (DeviceFaultError, MalformedAnswerError):
        return None
    found = list(every(answer, tag))
    named = [one for one in found if token and attribute(one, "token") == token]
    return next(iter(named or found), None)


def _axes(spaces: Element | None, turning: str, zooming: str, *, zoom: Range) -> Axes:
    """Return the ranges of two spaces; the generic ones where the camera names no space at all."""
    if spaces is None or len(spaces) == 0:
        return Axes(_TURN, _TURN, zoom)
    turn, near = first(spaces, turning), first(spaces, zooming)
    return Axes(
        pan=None if turn is None else _range(turn, "XRange", _TURN),
        tilt=None if turn is None else _range(turn, "YRange", _TURN),
        zoom=None if near is None else _range(near, "XRange", zoom),
    )


def _limited(axes: Axes, said: Element | None) -> Axes:
    """Return positions within the limits that somebody set in the camera."""
    turn, near = first(said, "PanTiltLimits/Range"), first(said, "ZoomLimits/Range")
    return Axes(
        pan=axes.pan and _within(axes.pan, _range(turn, "XRange", axes.pan)),
        tilt=axes.tilt and _within(axes.tilt, _range(turn, "YRange", axes.tilt)),
        zoom=axes.zoom and _within(axes.zoom, _range(near, "XRange", axes.zoom)),
    )


def _within(outer: Range, inner: Range) -> Range:
    low, high = max(outer.low, inner.low), min(outer.high, inner.high)
    return Range(low, high) if low < high else outer


def _range(said: Element | None, name: str, otherwise: Range) -> Range:
    one = first(said, name)
    low, high = as_number(text(one, "Min")), as_number(text(one, "Max"))
    return otherwise if low is None or high is None or high <= low else Range(low, high)


async def move(talk: Conversation, head: Head, speed: Place, lasts_s: float) -> None:
    """Turn with `speed` for at most `lasts_s` seconds, which the camera itself keeps to.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    velocity = _vector("tptz:Velocity", head.speeds, speed, still=True)
    request = node("tptz:ContinuousMove", node("tptz:ProfileToken", head.profile), velocity)
    request.append(node("tptz:Timeout", f"PT{lasts_s:g}S"))
    try:
        await talk.ask("tptz", request)
    except DeviceFaultError:
        # Some refuse the time limit; then only our own stop ends the movement.
        request.remove(request[-1])
        await _command(talk, request, "to turn")


async def go(talk: Conversation, head: Head, place: Place) -> None:
    """Turn to a position, clamped to what the camera can.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    where = _vector("tptz:Position", head.positions, place, still=False)
    if len(where) == 0:
        raise CameraRefusedError(
            f"The camera at {talk.camera.place} cannot be turned to a position.",
            remedy="Turn it step by step, or use its presets.",
        )
    request = node("tptz:AbsoluteMove", node("tptz:ProfileToken", head.profile), where)
    await _command(talk, request, "to turn there")


async def stop(talk: Conversation, head: Head) -> None:
    """End every movement; a camera without Stop is told to turn with speed 0.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    request = node(
        "tptz:Stop",
        node("tptz:ProfileToken", head.profile),
        node("tptz:PanTilt", "true"),
        node("tptz:Zoom", "true"),
    )
    try:
        await talk.ask("tptz", request)
    except DeviceFaultError:
        await move(talk, head, Place(0.0, 0.0, 0.0), 1.0)


async def go_home(talk: Conversation, head: Head) -> None:
    """Turn to the home position.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    request = node("tptz:GotoHomePosition", node("tptz:ProfileToken", head.profile))
    await _command(talk, request, "to turn home")


async def read_presets(talk: Conversation, head: Head) -> list[Preset]:
    """Return the positions that the camera remembers, at most 300.

    Raises:
        CameraError: the camera cannot be asked. One that does not tell has none.
    """
    try:
        request = node("tptz:GetPresets", node("tptz:ProfileToken", head.profile))
        answer = await talk.ask("tptz", request)
    except (DeviceFaultError, MalformedAnswerError):
        return []
    found: dict[str, Preset] = {}
    for one in list(every(answer, "Preset"))[:_MOST_PRESETS]:
        if token := attribute(one, "token"):
            name = text(one, "Name") or token
            found.setdefault(token, Preset(token, name, _place(first(one, "PTZPosition"))))
    return list(found.values())


async def go_to_preset(talk: Conversation, head: Head, preset: str) -> None:
    """Turn to a position that the camera remembers.

    Raises:
        CameraError: the camera cannot be asked, or does not know it.
    """
    request = node(
        "tptz:GotoPreset",
        node("tptz:ProfileToken", head.profile),
        node("tptz:PresetToken", preset),
    )
    await _command(talk, request, "to turn to this preset")


async def save_preset(talk: Conversation, head: Head, name: str, preset: str = "") -> str:
    """Let the camera remember where it looks now, as a new preset or over `preset`; its token.

    Raises:
        CameraError: the camera cannot be asked, or refuses.
    """
    request = node(
        "tptz:SetPreset",
        node("tptz:ProfileToken", head.profile),
        node("tptz:PresetName", name),
        node("tptz:PresetToken", preset) if preset else None,
    )
    answer = await _command(talk, request, "to remember this position")
    return text(answer, "PresetToken") or preset


async def read_place(talk: Conversation, head: Head) -> Place | None:
    """Return where the camera looks; None where it does not say so that it can be read.

    Raises:
        CameraError: the camera cannot be asked.
    """
    try:
        request = node("tptz:GetStatus", node("tptz:ProfileToken", head.profile))
        answer = await talk.ask("tptz", request)
    except (DeviceFaultError, MalformedAnswerError):
        return None
    return _place(first(answer, "PTZStatus/Position"))


def _place(said: Element | None) -> Place | None:
    turn, near = first(said, "PanTilt"), first(said, "Zoom")
    found = Place(
        pan=as_number(attribute(turn, "x")),
        tilt=as_number(attribute(turn, "y")),
        zoom=as_number(attribute(near, "x")),
    )
    return None if found == Place() else found


async def remove_preset(talk: Conversation, head: Head, preset: str) -> None:
    """Let the camera forget a position.

    Raises:
        CameraError: the camera cannot be asked, or does not know it.
    """
    request = node(
        "tptz:RemovePreset",
        node("tptz:ProfileToken", head.profile),
        node("tptz:PresetToken", preset),
    )
    await _command(talk, request, "to forget this preset")


async def rename_preset(talk: Conversation, head: Head, preset: str, name: str) -> str:
    """Turn to a position that the camera remembers and give it another name; return its token.

    SetPreset writes name and position together, so the camera must look there first, and say so.

    Raises:
        PresetNotReachedError: it has not said within 20 s that it looks there; nothing is changed.
        CameraError: the camera cannot be asked, or does not know the preset.
    """
    known = {one.token: one for one in await read_presets(talk, head)}
    await go_to_preset(talk, head, preset)
    wanted = known[preset].place if preset in known else None
    if wanted is None or not await _arrives(talk, head, wanted):
        raise PresetNotReachedError(
            f"The camera at {talk.camera.place} has not said that it reached this position, so its "
            "name was not changed.",
            remedy="Turn it there, look, and remember the position under the new name.",
        )
    return await save_preset(talk, head, name, preset)


async def _arrives(talk: Conversation, head: Head, wanted: Place) -> bool:
    """Wait until the camera looks at `wanted`, for at most 20 s; False if it never says so."""
    until = talk.clock.monotonic() + _ARRIVES_WITHIN_S
    while talk.clock.monotonic() < until:
        now = await read_place(talk, head)
        if now is None:
            return False
        axes = zip(
            (now.pan, now.tilt, now.zoom), (wanted.pan, wanted.tilt, wanted.zoom), strict=True
        )
        if all(to is None or (at is not None and abs(at - to) < _NEAR) for at, to in axes):
            return True
        await talk.clock.sleep(_LOOK_AGAIN_S)
    return False


async def _command(talk: Conversation, request: Element, what: str) -> Element:
    try:
        return await talk.ask("tptz", request)
    except DeviceFaultError as fault:
        raise refused(talk.camera, fault, what) from None


def _vector(tag: str, axes: Axes, place: Place, *, still: bool) -> Element:
    """Return a speed or a position as the camera is told of it; axes it has not are left out.

    With `still` an axis that `place` does not name gets speed 0.
    """
    none = 0.0 if still else None
    made = node(tag)
    pan = none if place.pan is None else place.pan
    tilt = none if place.tilt is None else place.tilt
    zoom = none if place.zoom is None else place.zoom
    if axes.pan and axes.tilt and pan is not None and tilt is not None:
        turn = node("tt:PanTilt", x=f"{axes.pan.clamp(pan):g}", y=f"{axes.tilt.clamp(tilt):g}")
        made.append(turn)
    if axes.zoom and zoom is not None:
        made.append(node("tt:Zoom", x=f"{axes.zoom.clamp(zoom):g}"))
    return made
