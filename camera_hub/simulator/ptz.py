"""A simulated head that pans, tilts and zooms: where it is at any moment, and its service.

Positions are those of ONVIF's generic spaces: pan and tilt from -1 to 1, zoom from 0 to 1.
Speeds are positions a second. Nothing runs: the position follows from the clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator.durations import seconds_of
from camera_hub.simulator.onvif_xml import SoapFaultError
from camera_hub.simulator.quirks import Quirk, Quirks
from core.clock import Clock

_TT = f"{{{xml.SCHEMA_NS}}}"
_PTZ = f"{{{xml.PTZ_NS}}}"
_SPACES = "http://www.onvif.org/ver10/tptz/"
DEFAULT_TIMEOUT_S = 10.0
"""How long a movement goes on when its request says nothing."""
SPEED = 0.5
"""How fast the head goes to a position, and at the speed 1 of a continuous movement."""


class Place(NamedTuple):
    """Where the head looks, or how fast it turns."""

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0


_AHEAD = Place()
_LOW, _HIGH = Place(-1.0, -1.0, 0.0), Place(1.0, 1.0, 1.0)


@dataclass
class PtzHead:
    """One head. Tests look at `place`, `moving`, `presets` and `commands` (names of requests)."""

    clock: Clock
    home: Place = _AHEAD
    presets: dict[str, tuple[str, Place]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    _from: Place = _AHEAD
    _speed: Place = _AHEAD
    _began: float = 0.0
    _ends: float = 0.0
    _target: Place | None = None

    @property
    def place(self) -> Place:
        """Where it looks now."""
        spent = max(0.0, min(self.clock.monotonic(), self._ends) - self._began)
        if self._target is not None and self.clock.monotonic() >= self._ends:
            return self._target
        moved = (at + speed * spent for at, speed in zip(self._from, self._speed, strict=True))
        return _within(Place(*moved))

    @property
    def moving(self) -> tuple[bool, bool]:
        """Whether it turns, and whether it zooms; not at the end of its way."""
        if self.clock.monotonic() >= self._ends:
            return False, False
        place = self.place
        free = [
            speed != 0 and not (at >= high and speed > 0) and not (at <= low and speed < 0)
            for at, speed, low, high in zip(place, self._speed, _LOW, _HIGH, strict=True)
        ]
        return free[0] or free[1], free[2]

    def move(self, speed: Place, timeout_s: float) -> None:
        """Turn with `speed` (shares of the full one) for at most `timeout_s`."""
        self._start(Place(*(SPEED * value for value in speed)), timeout_s)

    def go(self, target: Place) -> None:
        """Turn to a position and stop there."""
        target = _within(target)
        place = self.place
        way = [to - at for at, to in zip(place, target, strict=True)]
        needed = max(abs(part) for part in way) / SPEED
        self._start(Place(*(part / needed if needed else 0.0 for part in way)), needed)
        self._target = target

    def stop(self, *, turning: bool = True, zooming: bool = True) -> None:
        """End movements."""
        speed, left = self._speed, self._ends - self.clock.monotonic()
        kept = Place(
            0.0 if turning else speed.pan,
            0.0 if turning else speed.tilt,
            0.0 if zooming else speed.zoom,
        )
        self._start(kept, max(0.0, left))

    def _start(self, speed: Place, seconds: float) -> None:
        self._from, self._target = self.place, None
        self._speed = speed
        self._began = self.clock.monotonic()
        self._ends = self._began + seconds


class Ptz:
    """Answers the operations of `http://www.onvif.org/ver20/ptz/wsdl` for one head."""

    def __init__(self, head: PtzHead) -> None:
        self._head = head

    def answer(self, operation: str, request: Element, quirks: Quirks, now: str) -> str:
        """Return the answer's document; `now` is the device's time.

        Raises:
            SoapFaultError: the operation is unknown, or what it asks for.
        """
        commands = {
            "ContinuousMove": self._continuous,
            "AbsoluteMove": self._absolute,
            "RelativeMove": self._relative,
            "Stop": self._stop,
            "GotoPreset": self._goto_preset,
            "SetPreset": self._set_preset,
            "RemovePreset": self._remove_preset,
            "GotoHomePosition": self._go_home,
            "SetHomePosition": self._set_home,
        }
        if operation in commands:
            self._head.commands.append(operation)
            inner = commands[operation](request, quirks)
            return xml.envelope(f"<tptz:{operation}Response>{inner}</tptz:{operation}Response>")
        limits = "" if Quirk.NO_PTZ_LIMITS in quirks else _spaces()
        told: Mapping[str, str] = {
            "GetServiceCapabilities": '<tptz:Capabilities EFlip="false" MoveStatus="true"/>',
            "GetNodes": _node("tptz:PTZNode", limits),
            "GetNode": _node("tptz:PTZNode", limits),
            "GetConfigurations": configuration("tptz:PTZConfiguration", quirks),
            "GetConfiguration": configuration("tptz:PTZConfiguration", quirks),
            "GetConfigurationOptions": _options(limits),
            "GetStatus": self._status(now),
            "GetPresets": self._presets(),
        }
        if operation not in told:
            raise xml.unsupported(operation)
        text = xml.envelope(
            f"<tptz:{operation}Response>{told[operation]}</tptz:{operation}Response>"
        )
        if operation == "GetStatus" and Quirk.PTZ_STATUS_INVALID in quirks:
            text = text.replace("</tt:Position>", "</Position>")
        return text

    def _continuous(self, request: Element, quirks: Quirks) -> str:
        velocity = request.find(f"{_PTZ}Velocity")
        if velocity is None:
            raise SoapFaultError("InvalidArgVal", "There is no velocity.")
        timeout_s = DEFAULT_TIMEOUT_S
        if asked := request.findtext(f"{_PTZ}Timeout"):
            timeout_s = seconds_of(asked)
        if Quirk.PTZ_IGNORES_TIMEOUT in quirks:
            timeout_s = 1e9
        self._head.move(_read(velocity, Place()), timeout_s)
        return ""

    def _absolute(self, request: Element, _quirks: Quirks) -> str:
        position = request.find(f"{_PTZ}Position")
        if position is None:
            raise SoapFaultError("InvalidArgVal", "There is no position.")
        target = _read(position, self._head.place)
        if _within(target) != target:
            raise SoapFaultError("InvalidArgVal", "The position is out of bounds.")
        self._head.go(target)
        return ""

    def _relative(self, request: Element, _quirks: Quirks) -> str:
        way = request.find(f"{_PTZ}Translation")
        if way is None:
            raise SoapFaultError("InvalidArgVal", "There is no translation.")
        parts = zip(self._head.place, _read(way, Place()), strict=True)
        self._head.go(Place(*(at + by for at, by in parts)))
        return ""

    def _stop(self, request: Element, _quirks: Quirks) -> str:
        self._head.stop(
            turning=request.findtext(f"{_PTZ}PanTilt", "true") == "true",
            zooming=request.findtext(f"{_PTZ}Zoom", "true") == "true",
        )
        return ""

    def _goto_preset(self, request: Element, _quirks: Quirks) -> str:
        self._head.go(self._preset(request)[1])
        return ""

    def _set_preset(self, request: Element, _quirks: Quirks) -> str:
        presets = self._head.presets
        taken = request.findtext(f"{_PTZ}PresetToken")
        token = taken or f"preset_{len(presets) + 1}"
        if taken and taken not in presets:
            raise SoapFaultError("InvalidArgVal", f"There is no preset {taken}.")
        presets[token] = (request.findtext(f"{_PTZ}PresetName", token), self._head.place)
        return f"<tptz:PresetToken>{escape(token)}</tptz:PresetToken>"

    def _remove_preset(self, request: Element, _quirks: Quirks) -> str:
        self._preset(request)
        del self._head.presets[request.findtext(f"{_PTZ}PresetToken", "")]
        return ""

    def _preset(self, request: Element) -> tuple[str, Place]:
        token = request.findtext(f"{_PTZ}PresetToken", "")
        if token not in self._head.presets:
            raise SoapFaultError("InvalidArgVal", f"There is no preset {token}.")
        return self._head.presets[token]

    def _go_home(self, _request: Element, _quirks: Quirks) -> str:
        self._head.go(self._head.home)
        return ""

    def _set_home(self, _request: Element, _quirks: Quirks) -> str:
        self._head.home = self._head.place
        return ""

    def _status(self, now: str) -> str:
        turning, zooming = self._head.moving
        return (
            f"<tptz:PTZStatus>{_position(self._head.place)}<tt:MoveStatus>"
            f"<tt:PanTilt>{'MOVING' if turning else 'IDLE'}</tt:PanTilt>"
            f"<tt:Zoom>{'MOVING' if zooming else 'IDLE'}</tt:Zoom></tt:MoveStatus>"
            f"<tt:UtcTime>{now}</tt:UtcTime></tptz:PTZStatus>"
        )

    def _presets(self) -> str:
        return "".join(
            f'<tptz:Preset token="{escape(token)}"><tt:Name>{escape(name)}</tt:Name>'
            f"{_position(place).replace('tt:Position', 'tt:PTZPosition')}</tptz:Preset>"
            for token, (name, place) in self._head.presets.items()
        )


def configuration(tag: str, quirks: Quirks) -> str:
    """Return the PTZ configuration that all profiles share."""
    limits = (
        f"<tt:PanTiltLimits><tt:Range>{_space2('PanTiltSpaces/PositionGenericSpace')}</tt:Range>"
        f"</tt:PanTiltLimits><tt:ZoomLimits><tt:Range>"
        f"{_space1('ZoomSpaces/PositionGenericSpace', 0)}</tt:Range></tt:ZoomLimits>"
    )
    return (
        f'<{tag} token="ptz"><tt:Name>ptz</tt:Name><tt:UseCount>2</tt:UseCount>'
        "<tt:NodeToken>node</tt:NodeToken>"
        f"<tt:DefaultPTZTimeout>PT{DEFAULT_TIMEOUT_S:.0f}S</tt:DefaultPTZTimeout>"
        f"{'' if Quirk.NO_PTZ_LIMITS in quirks else limits}</{tag}>"
    )


def _within(place: Place) -> Place:
    parts = zip(_LOW, place, _HIGH, strict=True)
    return Place(*(max(low, min(high, at)) for low, at, high in parts))


def _read(element: Element, otherwise: Place) -> Place:
    """Return the vector in a request; an axis that is left out is as in `otherwise`."""
    turn, zoom = element.find(f"{_TT}PanTilt"), element.find(f"{_TT}Zoom")
    try:
        return Place(
            otherwise.pan if turn is None else float(turn.get("x", "0")),
            otherwise.tilt if turn is None else float(turn.get("y", "0")),
            otherwise.zoom if zoom is None else float(zoom.get("x", "0")),
        )
    except ValueError:
        raise SoapFaultError("InvalidArgVal", "A position is no number.") from None


def _position(place: Place) -> str:
    return (
        f'<tt:Position><tt:PanTilt x="{place.pan:.4f}" y="{place.tilt:.4f}"/>'
        f'<tt:Zoom x="{place.zoom:.4f}"/></tt:Position>'
    )


def _node(tag: str, limits: str) -> str:
    return (
        f'<{tag} token="node"><tt:Name>node</tt:Name><tt:SupportedPTZSpaces>{limits}'
        "</tt:SupportedPTZSpaces><tt:MaximumNumberOfPresets>100</tt:MaximumNumberOfPresets>"
        f"<tt:HomeSupported>true</tt:HomeSupported></{tag}>"
    )


def _options(limits: str) -> str:
    return (
        f"<tptz:PTZConfigurationOptions><tt:Spaces>{limits}</tt:Spaces><tt:PTZTimeout>"
        "<tt:Min>PT1S</tt:Min><tt:Max>PT60S</tt:Max></tt:PTZTimeout>"
        "</tptz:PTZConfigurationOptions>"
    )


def _spaces() -> str:
    return (
        "<tt:AbsolutePanTiltPositionSpace>"
        f"{_space2('PanTiltSpaces/PositionGenericSpace')}</tt:AbsolutePanTiltPositionSpace>"
        "<tt:AbsoluteZoomPositionSpace>"
        f"{_space1('ZoomSpaces/PositionGenericSpace', 0)}</tt:AbsoluteZoomPositionSpace>"
        "<tt:ContinuousPanTiltVelocitySpace>"
        f"{_space2('PanTiltSpaces/VelocityGenericSpace')}</tt:ContinuousPanTiltVelocitySpace>"
        "<tt:ContinuousZoomVelocitySpace>"
        f"{_space1('ZoomSpaces/VelocityGenericSpace', -1)}</tt:ContinuousZoomVelocitySpace>"
    )


def _space2(name: str) -> str:
    return (
        f"<tt:URI>{_SPACES}{name}</tt:URI><tt:XRange><tt:Min>-1</tt:Min><tt:Max>1</tt:Max>"
        "</tt:XRange><tt:YRange><tt:Min>-1</tt:Min><tt:Max>1</tt:Max></tt:YRange>"
    )


def _space1(name: str, low: int) -> str:
    return (
        f"<tt:URI>{_SPACES}{name}</tt:URI><tt:XRange><tt:Min>{low}</tt:Min><tt:Max>1</tt:Max>"
        "</tt:XRange>"
    )
