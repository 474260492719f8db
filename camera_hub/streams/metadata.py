"""What a camera says that it sees: ONVIF metadata documents (Analytics Service, profile M).

Only four things are read of an object: its number, its box, its class and how sure the camera is.
Whatever else a camera may say, of people above all (faces, clothes, age, plates, codes), is not
parsed: the subtree is passed over before anything of it is kept. Nothing here holds a place for it.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from xml.parsers import expat

LARGEST_BYTES = 256 * 1024
DEEPEST = 32
MOST_FRAMES = 64
MOST_OBJECTS = 256
"""Of one document: what is beyond is left out and counted."""
_LONGEST_ID = 64
_LONGEST_TEXT = 64
_SCHEMA = "http://www.onvif.org/ver10/schema"
_GZIP = b"\x1f\x8b"
_FARTHEST = 1.5
"""Coordinates beyond this are no normalised ones (-1 to 1)."""
_POINT = (0.01, 0.03)
"""Half width and height of the small upright box that stands for an object without a box."""
_LEAST_SIDE = 1e-4
_CLOCK_OFF = timedelta(seconds=5)

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 of the picture: 0 to 1 from its upper left."""

LABELS: Mapping[str, str] = {
    "human": "person",
    "person": "person",
    "pedestrian": "person",
    "vehicle": "car",
    "car": "car",
    "bus": "bus",
    "truck": "truck",
    "train": "train",
    "boat": "boat",
    "bicycle": "bicycle",
    "bike": "bicycle",
    "motorcycle": "motorcycle",
    "motorbike": "motorcycle",
    "animal": "animal",
    "dog": "dog",
    "cat": "cat",
    "bird": "bird",
    "bag": "bag",
    "fire": "fire",
    "smoke": "smoke",
}
"""ONVIF's object types (tt:ObjectType, tt:ClassType, tt:VehicleType) and common others, as ours.

A vehicle of which no more is said is a car to the rules.
"""

_KINDS_OF = {
    "vehicle": {"bus", "truck", "motorcycle", "car", "train", "boat"},
    "animal": {"dog", "cat", "bird"},
}
UNREAD = frozenset(
    {"face", "humanface", "head", "licenseplate", "plate", "barcode", "qrcode", "torso"}
)
"""Classes of objects that are passed over: parts of people, plates, codes."""

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


@dataclass(frozen=True, slots=True)
class SeenObject:
    """An object as the camera told it.

    `number` is the camera's own, good while the object is in view; "" where it gives none. `box`
    is None where only its being there was told, `label` "" where no class was. `likelihood` is 0
    to 1; 1 where the camera does not say.
    """

    number: str
    box: Box | None
    label: str
    likelihood: float


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """What the camera told of one picture.

    `said_at` is by its own clock (aware, UTC), which may be wrong by any amount; None if it did
    not say. `gone` are objects that have left, `renamed` pairs of old and new number.
    """

    said_at: datetime | None
    objects: tuple[SeenObject, ...]
    gone: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


class RefusedDocumentError(Exception):
    """A document that cannot be used; its text is a word for counting."""


class MetadataReader:
    """Reads the metadata documents of one camera. Not thread-safe.

    `refused` counts documents that were not used, by reason: `too-large`, `not-gzip`, `not-xml`
    (malformed or cut off), `document-type` (entities come with one), `too-deep`, `not-metadata`.
    `odd` counts what was tolerated or left out: `wrong-namespace`, `clock-off`, `no-time-zone`,
    `no-time`, `frames-left-out`, `objects-left-out`, `unread-class`, `unknown-class`,
    `not-a-number`, `outside`, `clipped`, `turned-box`, `no-area`, `no-transformation`, `point`,
    `percent`, `no-number`, `no-scale`.
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.odd: Counter[str] = Counter()
        self.documents = 0

    def read(self, document: bytes, arrived_at: datetime) -> tuple[SeenFrame, ...] | None:
        """Return the frames of a document, oldest first; None where it was refused (and counted).

        A document without frames, such as one of events, gives an empty tuple.
        """
        try:
            frames = _Parsing(self.odd, arrived_at).run(_unpacked(document))
        except RefusedDocumentError as refusal:
            self.refused[str(refusal)] += 1
            return None
        self.documents += 1
        return frames


def _unpacked(document: bytes) -> bytes:
    """Return a document as XML; what came as gzip is unpacked up to the limit."""
    if len(document) > LARGEST_BYTES:
        raise RefusedDocumentError("too-large")
    if not document.startswith(_GZIP):
        return document
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(document, LARGEST_BYTES + 1)
    except zlib.error:
        raise RefusedDocumentError("not-gzip") from None
    if len(found) > LARGEST_BYTES:
        raise RefusedDocumentError("too-large")
    return found


@dataclass(slots=True)
class _Mapping:
    """A transformation: p * scale + translate (Analytics Service, spatial relation)."""

    scale: tuple[float, float] = (1.0, 1.0)
    translate: tuple[float, float] = (0.0, 0.0)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        return x * self.scale[0] + self.translate[0], y * self.scale[1] + self.translate[1]


@dataclass(slots=True)
class _Object:
    number: str
    mapping: _Mapping | None = None
    corners: tuple[float, float, float, float] | None = None
    centre: tuple[float, float] | None = None
    classes: list[tuple[str, float]] = field(default_factory=list)
    removed: bool = False
    bad: bool = False


@dataclass(slots=True)
class _Frame:
    said_at: datetime | None
    mapping: _Mapping | None = None
    objects: list[_Object] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)


class _Parsing:
    """One document. Expat calls in; nothing of what is passed over is kept."""

    def __init__(self, odd: Counter[str], arrived_at: datetime) -> None:
        self._odd = odd
        self._arrived_at = arrived_at
        self._path: list[str] = [""]
        self._depth = 0
        self._passing_over = 0
        self._frames: list[_Frame] = []
        self._frame: _Frame | None = None
        self._object: _Object | None = None
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

    def run(self, document: bytes) -> tuple[SeenFrame, ...]:
        # Without namespaces: cameras leave prefixes undeclared, and names are enough.
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_document_type
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(document.strip(b"\x00 \t\r\n"), True)
        except (expat.ExpatError, ValueError, LookupError):
            # Without the cause: its text may quote the document.
            raise RefusedDocumentError("not-xml") from None
        return tuple(self._finished(frame) for frame in self._frames)

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
        self._frame = _Frame(self._time(said.get("UtcTime", "")))
        if len(self._frames) >= MOST_FRAMES:
            self._odd["frames-left-out"] += 1
            return
        self._frames.append(self._frame)

    def _on_object(self, said: Mapping[str, str]) -> None:
        self._object = _Object(_number(said))
        self._objects += 1
        if self._objects > MOST_OBJECTS:
            self._odd["objects-left-out"] += 1
        elif self._frame is not None:
            self._frame.objects.append(self._object)

    def _on_transformation(self, _said: Mapping[str, str]) -> None:
        if self._object is not None:
            self._object.mapping = _Mapping()
        elif self._frame is not None:
            self._frame.mapping = _Mapping()

    def _mapping(self) -> _Mapping | None:
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
        if abs(found - self._arrived_at) > _CLOCK_OFF:
            self._odd["clock-off"] += 1
        return found

    def _numbers(self, said: Mapping[str, str], *names: str) -> tuple[float, ...] | None:
        values = tuple(_finite(said.get(name, "")) for name in names)
        if None in values:
            self._odd["not-a-number"] += 1
            return None
        return values  # type: ignore[return-value]

    def _finished(self, frame: _Frame) -> SeenFrame:
        gone = [*frame.gone, *(one.number for one in frame.objects if one.removed and one.number)]
        seen = [
            made
            for one in frame.objects
            if not one.removed and (made := self._made(one, frame.mapping)) is not None
        ]
        return SeenFrame(frame.said_at, tuple(seen), tuple(gone), tuple(frame.renamed))

    def _made(self, one: _Object, outer: _Mapping | None) -> SeenObject | None:
        label, sure, unread = self._label(one.classes)
        if unread:
            self._odd["unread-class"] += 1
            return None
        if one.bad:
            return None
        box: Box | None = None
        if one.corners is not None or one.centre is not None:
            box = self._box(one, outer)
            if box is None:
                return None
        if not one.number:
            if box is None:
                return None
            self._odd["no-number"] += 1
        return SeenObject(one.number, box, label, sure)

    def _label(self, classes: list[tuple[str, float]]) -> tuple[str, float, bool]:
        """Return our label, how sure the camera is, and whether the object is not to be read."""
        if not classes:
            return "", 1.0, False
        name, sure = max(classes, key=lambda one: one[1])
        if name in UNREAD:
            return "", 0.0, True
        known = [one for one in classes if one[0] in LABELS]
        if not known:
            self._odd["unknown-class"] += 1
            return "", sure, False
        name, sure = max(known, key=lambda one: one[1])
        closer = [one for one in known if LABELS[one[0]] in _KINDS_OF.get(name, ())]
        if closer:
            name, sure = max(closer, key=lambda one: (one[0] != name, one[1]))
        return LABELS[name], sure, False

    def _box(self, one: _Object, outer: _Mapping | None) -> Box | None:
        """Return the box in the picture, y down; None where there is none in it."""
        if one.corners is not None:
            left, top, right, bottom = one.corners
            ends = [self._placed(one, outer, left, top), self._placed(one, outer, right, bottom)]
        else:
            assert one.centre is not None
            self._odd["point"] += 1
            ends = [self._placed(one, outer, *one.centre)] * 2
        if any(abs(value) > _FARTHEST for end in ends for value in end):
            away = one.mapping is not None or outer is not None
            self._odd["outside" if away else "no-transformation"] += 1
            return None
        (left, top), (right, bottom) = ends
        if one.corners is None:
            left, right = left - 2 * _POINT[0], right + 2 * _POINT[0]
            bottom, top = bottom - 2 * _POINT[1], top + 2 * _POINT[1]
        if left > right or bottom > top:
            self._odd["turned-box"] += 1
        return self._inside(
            (min(left, right) + 1) / 2,
            (1 - max(bottom, top)) / 2,
            (max(left, right) + 1) / 2,
            (1 - min(bottom, top)) / 2,
        )

    def _placed(
        self, one: _Object, outer: _Mapping | None, x: float, y: float
    ) -> tuple[float, float]:
        if one.mapping is not None:
            x, y = one.mapping(x, y)
        return outer(x, y) if outer is not None else (x, y)

    def _inside(self, x1: float, y1: float, x2: float, y2: float) -> Box | None:
        if x2 - x1 < _LEAST_SIDE or y2 - y1 < _LEAST_SIDE:
            self._odd["no-area"] += 1
            return None
        cut = max(x1, 0.0), max(y1, 0.0), min(x2, 1.0), min(y2, 1.0)
        if cut[2] - cut[0] < _LEAST_SIDE or cut[3] - cut[1] < _LEAST_SIDE:
            self._odd["outside"] += 1
            return None
        if cut != (x1, y1, x2, y2):
            self._odd["clipped"] += 1
        return cut


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
