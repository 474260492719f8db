"""What a virtual camera says that it sees: ONVIF metadata documents over RTP (profile M).

What it sees is scripted, not looked for in the footage: somebody walks in, stays, walks out, and a
vehicle passes, again and again.
"""

import gzip
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from camera_hub.simulator import onvif_xml as xml
from camera_hub.simulator import rtp
from camera_hub.simulator.broadcast import Payloads, TrackBroadcast
from camera_hub.simulator.clip import CLOCK_RATE
from camera_hub.simulator.quirks import Quirk, Quirks
from core.clock import Clock

_TYPE = 98
_GZIP_TYPE = 99
_EACH_S = 0.2
_HUGE = 6000
Point = tuple[float, float]
Form = Literal["plain", "gzip"]
FORMS: tuple[Form, ...] = ("gzip", "plain")
"""In the order in which a stream offers them."""


@dataclass(frozen=True)
class Walk:
    """A way through the picture, taken every `period_s` seconds from `begins_s` on.

    `path` are places of the middle of the object's lower edge (0 to 1, from the upper left) and
    when it is there, in seconds from the beginning; before the first and after the last it is not
    in the picture. `size` is its box. Each time it is another object to the camera.
    """

    kind: str
    path: Sequence[tuple[float, Point]]
    size: tuple[float, float] = (0.1, 0.4)
    period_s: float = 20.0
    begins_s: float = 0.0

    def at(self, seconds: float) -> tuple[int, Point] | None:
        """Return which time it is (from 0) and where it is, `seconds` after the script began."""
        turn, within = divmod(seconds - self.begins_s, self.period_s)
        if turn < 0:
            return None
        for (from_s, here), (to_s, there) in zip(self.path, self.path[1:], strict=False):
            if from_s <= within < to_s:
                share = (within - from_s) / (to_s - from_s)
                return int(turn), (
                    here[0] + (there[0] - here[0]) * share,
                    here[1] + (there[1] - here[1]) * share,
                )
        return None


SCRIPT: tuple[Walk, ...] = (
    Walk(
        "Human",
        ((2.0, (0.02, 0.9)), (5.0, (0.55, 0.85)), (11.0, (0.6, 0.85)), (14.0, (0.99, 0.9))),
    ),
    Walk("Vehicle", ((0.0, (0.95, 0.5)), (3.0, (0.05, 0.5))), (0.2, 0.15), 30.0, 15.0),
)
"""What is seen where nothing else is said: within 5 s somebody is in the middle of the picture."""


@dataclass(frozen=True)
class Told:
    """An object as the camera tells it; `box` as in `Walk`: x1, y1, x2, y2, y down."""

    number: int
    kind: str
    box: tuple[float, float, float, float]
    likelihood: float = 0.9


def told_at(script: Sequence[Walk], seconds: float) -> list[Told]:
    """Return what a script has in the picture at `seconds`."""
    found = []
    for index, walk in enumerate(script):
        place = walk.at(seconds)
        if place is not None:
            turn, (x, y) = place
            width, height = walk.size
            box = (x - width / 2, y - height, x + width / 2, y)
            found.append(Told(1 + index + turn * len(script), walk.kind, box))
    return found


def document(
    at: datetime, seen: Sequence[Told], gone: Collection[int] = (), quirks: Quirks = ()
) -> bytes:
    """Return a document of one frame, spoilt as `quirks` say."""
    if Quirk.METADATA_ENTITY_BOMB in quirks:
        return xml.entity_bomb().encode()
    if Quirk.METADATA_HUGE in quirks:
        seen = [Told(number, "Human", (0.1, 0.1, 0.2, 0.5)) for number in range(_HUGE)]
    deleted = "".join(f'<tt:Delete ObjectId="{number}"/>' for number in sorted(gone))
    tree = f"<tt:ObjectTree>{deleted}</tt:ObjectTree>" if deleted else ""
    said_at = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><tt:MetadataStream xmlns:tt="{xml.SCHEMA_NS}">'
        f'<tt:VideoAnalytics><tt:Frame UtcTime="{said_at}">'
        '<tt:Transformation><tt:Translate x="-1.0" y="1.0"/><tt:Scale x="0.002" y="-0.002"/>'
        f"</tt:Transformation>{''.join(_object(one, quirks) for one in seen)}{tree}"
        "</tt:Frame></tt:VideoAnalytics></tt:MetadataStream>"
    )
    if Quirk.METADATA_WRONG_NAMESPACE in quirks:
        # And a prefix that is not declared.
        text = text.replace(xml.SCHEMA_NS, "http://example.com/schema").replace("<tt:", "<ns9:")
        text = text.replace("</tt:", "</ns9:")
    if Quirk.METADATA_MALFORMED in quirks:
        text = text[: len(text) * 2 // 3]
    return text.encode()


def _object(one: Told, quirks: Quirks) -> str:
    left, top, right, bottom = (value * 1000 for value in one.box)
    if Quirk.METADATA_OUTSIDE in quirks:
        left, right = left + 5000, right + 5000
    people = _PEOPLE if Quirk.METADATA_OF_PEOPLE in quirks else ""
    return (
        f'<tt:Object ObjectId="{one.number}"><tt:Appearance><tt:Shape>'
        f'<tt:BoundingBox left="{left:.1f}" top="{top:.1f}" right="{right:.1f}" '
        f'bottom="{bottom:.1f}"/><tt:CenterOfGravity x="{(left + right) / 2:.1f}" '
        f'y="{(top + bottom) / 2:.1f}"/></tt:Shape><tt:Class><tt:ClassCandidate>'
        f"<tt:Type>{one.kind}</tt:Type><tt:Likelihood>{one.likelihood}</tt:Likelihood>"
        f'</tt:ClassCandidate><tt:Type Likelihood="{one.likelihood}">{one.kind}</tt:Type>'
        f"</tt:Class>{people}</tt:Appearance></tt:Object>"
    )


_PEOPLE = (
    "<tt:HumanFace><fc:Age><fc:Min>31</fc:Min></fc:Age><fc:Gender>Female</fc:Gender>"
    "<fc:Complexion>Fair</fc:Complexion></tt:HumanFace>"
    "<tt:HumanBody><bd:Clothing><bd:Tops><bd:Color>Red</bd:Color></bd:Tops></bd:Clothing>"
    "</tt:HumanBody><tt:LicensePlateInfo><tt:PlateNumber>B-CH 2026</tt:PlateNumber>"
    "</tt:LicensePlateInfo><tt:BarcodeInfo><tt:Data>4006381333931</tt:Data></tt:BarcodeInfo>"
    "<tt:Color><tt:ColorCluster/></tt:Color><tt:Image>/9j/4AAQSkZJRg</tt:Image>"
    "<tt:Extension><tt:Emotion>calm</tt:Emotion></tt:Extension>"
)


class MetadataBroadcast(TrackBroadcast):
    """The words of a stream, five documents a second. `script` may be changed while it plays."""

    clock_rate = CLOCK_RATE

    def __init__(
        self,
        *,
        began: float,
        clock: Clock,
        now: Callable[[], datetime],
        quirks: Callable[[], Quirks],
        script: Sequence[Walk] = SCRIPT,
        form: Form = "plain",
    ) -> None:
        """Make it; `now` is the device's own clock."""
        super().__init__(began=began, clock=clock)
        self.script = script
        self.form = form
        self.payload_type = _TYPE if form == "plain" else _GZIP_TYPE
        self._now = now
        self._quirks = quirks
        self._last: set[int] = set()

    def first_due(self, ticks: int) -> int:
        """Return the first document that is due (see `TrackBroadcast`)."""
        return -(-ticks // round(_EACH_S * CLOCK_RATE))

    def due_ticks(self, number: int) -> int:
        """Return when a document is due (see `TrackBroadcast`)."""
        return number * round(_EACH_S * CLOCK_RATE)

    def payloads(self, number: int) -> Payloads:
        """Return the packets of a document (see `TrackBroadcast`)."""
        quirks = self._quirks()
        if Quirk.METADATA_SILENT in quirks:
            return ()
        seen = told_at(self.script, number * _EACH_S)
        numbers = {one.number for one in seen}
        gone, self._last = self._last - numbers, numbers
        data = document(self._now(), seen, gone, quirks)
        if self.form == "gzip":
            data = gzip.compress(data, 1)
        endless = Quirk.METADATA_ENDLESS in quirks
        if endless:
            data = data.replace(b"</tt:MetadataStream>", b" " * 20)
        step = rtp.MAX_PAYLOAD
        parts = [data[at : at + step] for at in range(0, len(data), step)]
        return [(part, not endless and at == len(parts) - 1) for at, part in enumerate(parts)]

    def describe(self) -> Sequence[str]:
        """Return its lines of a description (see `TrackBroadcast`)."""
        kind = self.payload_type
        name = "vnd.onvif.metadata" + (".gzip" if self.form == "gzip" else "")
        return (f"m=application 0 RTP/AVP {kind}", f"a=rtpmap:{kind} {name}/{CLOCK_RATE}")
