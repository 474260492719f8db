"""What a camera says that it sees: ONVIF metadata documents (Analytics Service, profile M).

Only four things are read of an object: its number, its box, its class and how sure the camera is.
Whatever else a camera may say, of people above all (faces, clothes, age, plates, codes), is not
parsed (`metadata_document.py` passes over it), and nothing here has a place for it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from camera_hub.streams.metadata_document import (
    Parsing,
    RawFrame,
    RawMapping,
    RawObject,
    RefusedDocumentError,
)

LARGEST_BYTES = 256 * 1024
_GZIP = b"\x1f\x8b"
_FARTHEST = 1.5
"""Coordinates beyond this are no normalised ones (-1 to 1)."""
_POINT = (0.01, 0.03)
"""Half width and height of the small upright box that stands for an object without a box."""
_LEAST_SIDE = 1e-4

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
    not say. `gone` are objects that have left, `renamed` pairs of old and new number; `unusable`
    counts objects that nothing could be made of (see `MetadataReader.odd`).
    """

    said_at: datetime | None
    objects: tuple[SeenObject, ...]
    gone: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    unusable: int = 0


class MetadataReader:
    """Reads the metadata documents of one camera. Not thread-safe.

    `refused` counts documents that were not used, by reason: `too-large`, `not-gzip`, `not-xml`
    (malformed or cut off), `document-type` (entities come with one), `too-deep`, `not-metadata`.
    `odd` counts what was tolerated or left out: `wrong-namespace`, `clock-off`, `local-time`,
    `no-time-zone`, `no-time`, `frames-left-out`, `objects-left-out`, `unread-class`,
    `unknown-class`, `not-a-number`, `outside`, `clipped`, `turned-box`, `no-area`, `point`,
    `no-transformation`, `percent`, `no-number`, `no-scale`.
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
            frames = Parsing(self.odd, arrived_at).run(_unpacked(document))
        except RefusedDocumentError as refusal:
            self.refused[str(refusal)] += 1
            return None
        self.documents += 1
        meaning = _Meaning(self.odd)
        return tuple(meaning.of(frame) for frame in frames)


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


class _Meaning:
    """Makes of what was said what is meant by it, and counts what is odd."""

    def __init__(self, odd: Counter[str]) -> None:
        self._odd = odd
        self._unusable = 0

    def of(self, frame: RawFrame) -> SeenFrame:
        """Return a frame in coordinates of the picture."""
        self._unusable = 0
        gone = [*frame.gone, *(one.number for one in frame.objects if one.removed and one.number)]
        seen = [
            made
            for one in frame.objects
            if not one.removed and (made := self._made(one, frame.mapping)) is not None
        ]
        return SeenFrame(
            frame.said_at, tuple(seen), tuple(gone), tuple(frame.renamed), self._unusable
        )

    def _made(self, one: RawObject, outer: RawMapping | None) -> SeenObject | None:
        label, sure, unread = self._label(one.classes)
        if unread:
            self._odd["unread-class"] += 1
            return None
        if one.bad:
            self._unusable += 1
            return None
        box: Box | None = None
        if one.corners is not None or one.centre is not None:
            box = self._box(one, outer)
            if box is None:
                self._unusable += 1
                return None
        if not one.number:
            if box is None:
                self._unusable += 1
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

    def _box(self, one: RawObject, outer: RawMapping | None) -> Box | None:
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
        self, one: RawObject, outer: RawMapping | None, x: float, y: float
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
