"""From RTP payloads to access units: H.264 (RFC 6184) and H.265 (RFC 7798).

A picture of which a part is lost is dropped whole and counted; those after it are handed on, which
may refer to it. To wait for the next keyframe would leave out most of the footage (of 5 % lost
datagrams four pictures of five, with a keyframe each second), and a smeared picture shows more.
"""

from __future__ import annotations

from typing import NamedTuple

from camera_hub.streams.parameters import START_CODE, Codec, nal_type

MAX_UNIT_BYTES = 16 << 20
"""A picture is not larger than this; what claims to be is dropped."""
_PIECE_COST = 64
"""What a piece takes besides its bytes: a picture in pieces of one byte is to end soon."""
_MAX_SETS = 32
_SLICES = (1, 5)
_BYTE = [bytes((value,)) for value in range(256)]


class AccessUnit(NamedTuple):
    """One picture in Annex B form; `ticks` is its RTP timestamp, extended beyond 32 bits."""

    data: bytes
    ticks: int
    keyframe: bool


class Depacketizer:
    """Collects the NAL units of one picture after another; its subclasses know the payloads.

    `packet` is given every RTP payload in its order, `lost` is called where some are missing.
    Whole pictures are appended to `units`, which the owner takes and empties. `dropped` counts
    pictures left out, `unusable` the NAL units since the last keyframe of kinds that no camera
    sends: many of them mean that the camera has begun to send something else.
    """

    codec: Codec
    set_kinds: tuple[int, ...]
    delimiter: int

    def __init__(self, sets: tuple[bytes, ...] = ()) -> None:
        """Begin a stream; `sets` are the parameter sets of its description."""
        self.units: list[AccessUnit] = []
        self.dropped = 0
        self.unusable = 0
        self._sets: dict[int, dict[bytes, None]] = {}
        for unit in sets:
            self._sets.setdefault(nal_type(self.codec, unit), {})[unit] = None
        self._inside: dict[int, dict[bytes, None]] = {}
        self._parts: list[bytes] = []
        self._size = self._slices = self._fragment_at = 0
        self._ticks = 0
        self._last_ticks: int | None = None
        self._keyframe = self._damaged = self._fragment = False
        self._trust_marker = True

    def payload(self, data: bytes, start: int, end: int) -> None:
        """Take the RTP payload `data[start:end]`, which is not empty."""
        raise NotImplementedError

    def packet(self, data: bytes, start: int, end: int, ticks: int, *, marker: bool) -> None:
        """Take the payload of one RTP packet; `ticks` extended, `marker` ends a picture."""
        if ticks != self._ticks:
            # Parameter sets may come under a timestamp of their own: they wait for their picture.
            if self._slices:
                self._finish()
            self._ticks = ticks
        if end > start:
            self.payload(data, start, end)
        if marker and self._slices and self._trust_marker:
            self._finish()

    def lost(self) -> None:
        """Say that packets are missing before the next one."""
        if self._slices:
            self._damaged = True
        elif self._fragment:
            # A parameter set or message broke off: what there is of it is taken out again.
            del self._parts[self._fragment_at :]
        self._fragment = False

    def _slice(self, *, first: bool) -> None:
        """Count a slice; `first` says that it begins a picture."""
        self._slices += 1
        if self._slices == 1 and not first:
            if self._ticks == self._last_ticks:
                # The camera sets the marker on every slice: only timestamps tell pictures apart.
                self._trust_marker = False
            self._damaged = True

    def _add(self, unit: bytes) -> None:
        self._parts.append(START_CODE)
        self._parts.append(unit)
        self._grow(len(unit))

    def _grow(self, size: int) -> None:
        self._size += size + _PIECE_COST
        if self._size > MAX_UNIT_BYTES:
            self._parts.clear()
            self._size = 0
            self._damaged = True
            self._slices = max(1, self._slices)

    def _keep_set(self, kind: int, unit: bytes) -> None:
        kept = self._inside.setdefault(kind, {})
        if len(kept) < _MAX_SETS:
            kept[unit] = None

    def _finish(self) -> None:
        """End the picture: hand it on if it is whole."""
        self._sets.update(self._inside)
        if self._damaged or self._fragment:
            self.dropped += 1
        else:
            if self._keyframe:
                self._complete()
                self.unusable = 0
            self.units.append(AccessUnit(b"".join(self._parts), self._ticks, self._keyframe))
        self._last_ticks = self._ticks
        self._parts.clear()
        if self._inside:
            self._inside = {}
        self._size = self._slices = 0
        self._keyframe = self._damaged = self._fragment = False

    def _complete(self) -> None:
        """Put known parameter sets before a keyframe that lacks them, after its delimiter."""
        missing = [
            part
            for kind in self.set_kinds
            if kind not in self._inside
            for unit in self._sets.get(kind, ())
            for part in (START_CODE, unit)
        ]
        if missing:
            led = len(self._parts) > 2 and nal_type(self.codec, self._parts[1]) == self.delimiter
            at = 2 if led else 0
            self._parts[at:at] = missing


class H264(Depacketizer):
    """RFC 6184: single NAL units, STAP-A, FU-A. NAL unit types are from ITU-T H.264 table 7-1."""

    codec = "h264"
    set_kinds = (7, 8)
    delimiter = 9

    def payload(self, data: bytes, start: int, end: int) -> None:
        """Take an RTP payload (see `Depacketizer`)."""
        kind = data[start] & 0x1F
        if kind == 28:
            self._fragment_of(data, start, end)
        elif kind == 24:
            at = start + 1
            while at + 2 < end:
                size = data[at] << 8 | data[at + 1]
                at += 2
                if size == 0 or at + size > end:
                    self._damaged = True
                    break
                self._unit(data[at] & 0x1F, data[at : at + size])
                at += size
        elif 0 < kind < 24:
            self._unit(kind, data[start:end])
        else:
            self.unusable += 1

    def _unit(self, kind: int, unit: bytes) -> None:
        if kind in _SLICES:
            self._keyframe = self._keyframe or kind == 5
            self._slice(first=len(unit) > 1 and unit[1] >= 0x80)
        elif kind in self.set_kinds:
            self._keep_set(kind, unit)
        elif kind == 6:
            self._keyframe = self._keyframe or _is_recovery_point(unit)
        elif kind < 5 or kind > 23:
            self.unusable += 1
            return
        self._add(unit)

    def _fragment_of(self, data: bytes, start: int, end: int) -> None:
        if end - start < 3:
            self._damaged = self._damaged or self._slices > 0
            return
        header = data[start + 1]
        kind = header & 0x1F
        if header & 0x80:
            if self._fragment:
                self._damaged = True
            self._fragment = True
            self._fragment_at = len(self._parts)
            if kind in _SLICES:
                self._keyframe = self._keyframe or kind == 5
                self._slice(first=data[start + 2] >= 0x80)
            self._parts.append(START_CODE)
            self._parts.append(_BYTE[data[start] & 0xE0 | kind])
        elif not self._fragment:
            # Its beginning is lost. Without a message the picture is whole all the same.
            if kind in _SLICES:
                self._slices = max(1, self._slices)
                self._damaged = True
            return
        self._parts.append(data[start + 2 : end])
        self._grow(end - start - 2)
        if header & 0x40:
            self._fragment = False


class H265(Depacketizer):
    """RFC 7798: single NAL units, AP, FU. NAL unit types are from ITU-T H.265 table 7-1."""

    codec = "hevc"
    set_kinds = (32, 33, 34)
    delimiter = 35

    def payload(self, data: bytes, start: int, end: int) -> None:
        """Take an RTP payload (see `Depacketizer`)."""
        kind = data[start] >> 1 & 0x3F
        if kind == 49:
            self._fragment_of(data, start, end)
        elif kind == 48:
            at = start + 2
            while at + 2 < end:
                size = data[at] << 8 | data[at + 1]
                at += 2
                if size == 0 or at + size > end:
                    self._damaged = True
                    break
                self._unit(data[at] >> 1 & 0x3F, data[at : at + size])
                at += size
        else:
            self._unit(kind, data[start:end])

    def _unit(self, kind: int, unit: bytes) -> None:
        if kind < 10 or 16 <= kind <= 21:
            self._keyframe = self._keyframe or kind >= 16
            self._slice(first=len(unit) > 2 and unit[2] >= 0x80)
        elif 32 <= kind <= 34:
            self._keep_set(kind, unit)
        elif kind < 32 or kind > 47:
            self.unusable += 1
            return
        self._add(unit)

    def _fragment_of(self, data: bytes, start: int, end: int) -> None:
        if end - start < 4:
            self._damaged = self._damaged or self._slices > 0
            return
        header = data[start + 2]
        kind = header & 0x3F
        if header & 0x80:
            if self._fragment:
                self._damaged = True
            self._fragment = True
            self._fragment_at = len(self._parts)
            if kind < 10 or 16 <= kind <= 21:
                self._keyframe = self._keyframe or kind >= 16
                self._slice(first=data[start + 3] >= 0x80)
            self._parts.append(START_CODE)
            self._parts.append(bytes((data[start] & 0x81 | kind << 1, data[start + 1])))
        elif not self._fragment:
            if kind < 10 or 16 <= kind <= 21:
                self._slices = max(1, self._slices)
                self._damaged = True
            return
        self._parts.append(data[start + 3 : end])
        self._grow(end - start - 3)
        if header & 0x40:
            self._fragment = False


def depacketizer_for(codec: Codec, sets: tuple[bytes, ...]) -> Depacketizer:
    """Return one for `codec`; for the rest see `Depacketizer`."""
    made = H264 if codec == "h264" else H265
    return made(sets)


def _is_recovery_point(unit: bytes) -> bool:
    """Say whether an H.264 SEI holds a recovery point (type 6, annex D.1.8).

    Encoders that refresh the picture bit by bit send no IDR: decoding may begin there.
    """
    at, end = 1, len(unit) - 1
    while at + 1 < end:
        kind, at = _sei_number(unit, at, end)
        size, at = _sei_number(unit, at, end)
        if kind == 6:
            return at <= end
        at += size
    return False


def _sei_number(unit: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a kind or size (7.3.2.3.1) and where it ends; beyond `end` where it is cut off."""
    number = 0
    while at < end and unit[at] == 0xFF:
        number, at = number + 255, at + 1
    return number + (unit[at] if at < end else 0), at + 1
