"""The XML of ONVIF metadata documents, read without building a tree.

Subtrees that are not looked into are passed over: nothing of them is kept, not even for a moment.
Names go without namespaces, which cameras get wrong and prefixes of which they do not declare.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.parsers import expat

DEEPEST = 32
MOST_FRAMES = 64
MOST_OBJECTS = 256
"""Of one document: what is beyond is left out and counted."""
_LONGEST_ID = 64
_LONGEST_TEXT = 64
_SCHEMA = "http://www.onvif.org/ver10/schema"
_CLOCK_OFF_S = 5.0
_ZONE_STEP_S = 900.0
_ZONE_NEAR_S = 60.0
"""Off by a multiple of a quarter of an hour: local time that is called UTC."""

_CHILDREN: Mapping[str, frozenset[str]] = {
    "": frozenset({"metadatastream"}),
    "metadatastream": frozenset({"videoanalytics"}),
    "videoanalytics": frozenset({"frame"}),
    "frame": frozenset({"transformation", "object", "objecttree"}),
    "transformation": frozenset({"translate", "scale"}),
    "object": frozenset({"appearance", "behaviour"}),
    "appearance": frozenset({"transformation", "shape", "class"}),
    "shape": frozenset({"boundingbox", "centerofgravity"}),
    "class": frozenset({"type", "classcandidate"}),
    "classcandidate": frozenset({"type", "likelihood"}),
    "behaviour": frozenset({"removed"}),
    "objecttree": frozenset({"delete", "rename"}),
    "rename": frozenset({"from", "to"}),
}
"""What is looked into, by local name in lower case; everything else is passed over unread."""


class RefusedDocumentError(Exception):
    """A document that cannot be used; its text is a word for counting."""


@dataclass(slots=True)
class RawMapping:
    """A transformation: p * scale + translate (Analytics Service, spatial relation)."""

    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return x * self.scale[0] + self.translate[0], y * self.scale[1] + self.translate[1]


@dataclass(slots=True)
class RawObject:
    """An object in the camera's own coordinates; `classes` are names in lower case."""

    number: str
    mapping: RawMapping | None = None
    corners: tuple[float, float, float, float] | None = None
    centre: tuple[float, float] | None = None
    classes: list[tuple[str, float]] = field(default_factory=list)
    removed: bool = False
    bad: bool = False


@dataclass(slots=True)
class RawFrame:
    """A frame as it was told."""

    said_at: datetime | None
    mapping: RawMapping | None = None
    objects: list[RawObject] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)


class Parsing:
    """One document. Expat calls in; nothing of what is passed over is kept."""

    def __init__(self, odd: Counter[str], arrived_at: datetime) -> None:
        self._odd = odd
        self._arrived_at = arrived_at
        self._path: list[str] = [""]
        self._depth = 0
        self._passing_over = 0
        self._frames: list[RawFrame] = []
        self._frame: RawFrame | None = None
        self._object: RawObject | None = None
        self._objects = 0
        self._text: list[str] | None = None
        self._likelihood = ""
        self._type = ""
        self._from = ""
        self._entered: Mapping[str, Callable[[Mapping[str, str]], None]] = {
            "metadatastream": self._on_root,
            "frame": self._on_frame,
            "object": self._on_object,
            "transformation": self._on_transformation,
            "translate": self._on_translate,
            "scale": self._on_scale,
            "boundingbox": self._on_box,
            "centerofgravity": self._on_centre,
            "type": self._on_type,
            "likelihood": self._on_text,
            "classcandidate": self._on_candidate,
            "removed": self._on_removed,
            "delete": self._on_delete,
            "from": self._on_from,
            "to": self._on_to,
        }

    def run(self, document: bytes) -> list[RawFrame]:
        """Return the frames of a document.

        Raises:
            RefusedDocumentError: it cannot be used.
        """
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(_trimmed(document), True)
        except (expat.ExpatError, ValueError, LookupError):
            # Without the cause: its text may quote the document.
            raise RefusedDocumentError("not-xml") from None
        return self._frames

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise RefusedDocumentError("too-deep")
        if self._passing_over:
            return
        name = tag.rpartition(":")[2].lower()
        if name not in _CHILDREN.get(self._path[-1], ()):
            if self._depth == 1:
                raise RefusedDocumentError("not-metadata")
            self._passing_over = self._depth
            return
        if name == "metadatastream":
            prefix = tag.rpartition(":")[0]
            if attributes.get(f"xmlns:{prefix}" if prefix else "xmlns") != _SCHEMA:
                self._odd["wrong-namespace"] += 1
        self._path.append(name)
        entered = self._entered.get(name)
        if entered is not None:
            entered(attributes)

    def _end(self, _tag: str) -> None:
        if self._passing_over:
            if self._passing_over == self._depth:
                self._passing_over = 0
            self._depth -= 1
            return
        self._depth -= 1
        self._leave(self._path.pop())

    def _leave(self, name: str) -> None:
        if name in ("type", "likelihood"):
            said, self._text = "".join(self._text or ()).strip()[:_LONGEST_TEXT], None
            if name == "likelihood":
                self._likelihood = said
            elif self._path[-1] == "classcandidate":
                self._type = said
            else:
                self._classify(said, self._likelihood)
        elif name == "classcandidate":
            self._classify(self._type, self._likelihood)
        elif name == "object":
            self._object = None
        elif name == "frame":
            self._frame = None

    def _characters(self, text: str) -> None:
        if self._text is not None and not self._passing_over:
            self._text.append(text)

    # --- what is entered ---

    def _on_root(self, _said: Mapping[str, str]) -> None:
        return

    def _on_frame(self, said: Mapping[str, str]) -> None:
        self._frame = RawFrame(self._time(said.get("UtcTime", "")))
        if len(self._frames) >= MOST_FRAMES:
            self._odd["frames-left-out"] += 1
            return
        self._frames.append(self._frame)

    def _on_object(self, said: Mapping[str, str]) -> None:
        self._object = RawObject(_number(said))
        self._objects += 1
        if self._objects > MOST_OBJECTS:
            self._odd["objects-left-out"] += 1
        elif self._frame is not None:
            self._frame.objects.append(self._object)

    def _on_transformation(self, _said: Mapping[str, str]) -> None:
        if self._object is not None:
            self._object.mapping = RawMapping()
        elif self._frame is not None:
            self._frame.mapping = RawMapping()

    def _mapping(self) -> RawMapping | None:
        holder = self._object if self._object is not None else self._frame
        return holder.mapping if holder is not None else None

    def _on_translate(self, said: Mapping[str, str]) -> None:
        values = self._numbers(said, "x", "y")
        mapping = self._mapping()
        if values is not None and mapping is not None:
            mapping.translate = values[0], values[1]

    def _on_scale(self, said: Mapping[str, str]) -> None:
        values = self._numbers(said, "x", "y")
        mapping = self._mapping()
        if values is None or mapping is None:
            return
        if 0.0 in values:
            self._odd["no-scale"] += 1
            return
        mapping.scale = values[0], values[1]

    def _on_box(self, said: Mapping[str, str]) -> None:
        values = self._numbers(said, "left", "top", "right", "bottom")
        if self._object is None:
            return
        if values is None:
            self._object.bad = True
        else:
            self._object.corners = values[0], values[1], values[2], values[3]

    def _on_centre(self, said: Mapping[str, str]) -> None:
        values = self._numbers(said, "x", "y")
        if self._object is not None and values is not None:
            self._object.centre = values[0], values[1]

    def _on_type(self, said: Mapping[str, str]) -> None:
        self._text = []
        if self._path[-2] == "class":
            self._likelihood = said.get("Likelihood", "")[:_LONGEST_TEXT]

    def _on_text(self, _said: Mapping[str, str]) -> None:
        self._text = []

    def _on_candidate(self, _said: Mapping[str, str]) -> None:
        self._type = self._likelihood = ""

    def _on_removed(self, _said: Mapping[str, str]) -> None:
        if self._object is not None:
            self._object.removed = True

    def _on_delete(self, said: Mapping[str, str]) -> None:
        number = _number(said)
        if self._frame is not None and number and len(self._frame.gone) < MOST_OBJECTS:
            self._frame.gone.append(number)

    def _on_from(self, said: Mapping[str, str]) -> None:
        self._from = _number(said)

    def _on_to(self, said: Mapping[str, str]) -> None:
        number, self._from, old = _number(said), "", self._from
        frame = self._frame
        if frame is not None and old and number and len(frame.renamed) < MOST_OBJECTS:
            frame.renamed.append((old, number))

    # --- what is made of it ---

    def _classify(self, name: str, likelihood: str) -> None:
        if self._object is None or not name or len(self._object.classes) >= 16:
            return
        sure = 1.0
        if likelihood:
            found = _finite(likelihood)
            if found is None or found < 0 or found > 100:
                self._odd["not-a-number"] += 1
                return
            if found > 1:
                self._odd["percent"] += 1
                found /= 100
            sure = found
        self._object.classes.append((name.replace(" ", "").lower(), sure))

    def _time(self, said: str) -> datetime | None:
        if not said:
            self._odd["no-time"] += 1
            return None
        try:
            found = datetime.fromisoformat(said[:40])
            if found.tzinfo is None:
                self._odd["no-time-zone"] += 1
                found = found.replace(tzinfo=UTC)
            found = found.astimezone(UTC)
        except (ValueError, OverflowError):
            self._odd["no-time"] += 1
            return None
        off_s = abs((found - self._arrived_at).total_seconds())
        if off_s > _CLOCK_OFF_S:
            steps = round(off_s / _ZONE_STEP_S)
            near = steps > 0 and abs(off_s - steps * _ZONE_STEP_S) <= _ZONE_NEAR_S
            self._odd["local-time" if near else "clock-off"] += 1
        return found

    def _numbers(self, said: Mapping[str, str], *names: str) -> tuple[float, ...] | None:
        values = tuple(_finite(said.get(name, "")) for name in names)
        if None in values:
            self._odd["not-a-number"] += 1
            return None
        return values  # type: ignore[return-value]


def _trimmed(document: bytes) -> bytes:
    """Return a document without what cameras put around it (a zero at its end, above all)."""
    if document[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return document
    return document.lstrip(b" \t\r\n").rstrip(b"\x00 \t\r\n")


def _refuse_document_type(*_said: object) -> None:
    raise RefusedDocumentError("document-type")


def _number(said: Mapping[str, str]) -> str:
    return said.get("ObjectId", "").strip()[:_LONGEST_ID]


def _finite(text: str) -> float | None:
    try:
        found = float(text[:40])
    except ValueError:
        return None
    return found if math.isfinite(found) and abs(found) < 1e9 else None
