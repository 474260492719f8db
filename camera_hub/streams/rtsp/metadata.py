"""What a camera says it sees: RTP payloads to whole XML documents (ONVIF streaming, 5.1.2.1).

A document is one or more packets of one time; the marker bit ends it. Nothing inside is read here.
"""

from __future__ import annotations

from collections.abc import Callable

from camera_hub.streams.rtsp.client import Beside
from camera_hub.streams.rtsp.rtp import RtpTrack
from core.metrics import counter

DOCUMENTS_DROPPED = counter(
    "stream_metadata_dropped", "Documents of cameras left out because a part of them was lost"
)
MAX_DOCUMENT_BYTES = 256 << 10
_MAX_WAITING = 64
_PIECE_COST = 64
_ROOT_END = b"MetadataStream>"


class Documents:
    """Assembles documents. Whole ones are appended to `whole`, which the owner takes and empties.

    One of which a packet is lost, that is larger than `MAX_DOCUMENT_BYTES` or does not begin like
    XML is left out and counted in `dropped`.
    """

    def __init__(self) -> None:
        self.whole: list[bytes] = []
        self.dropped = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._ticks: int | None = None
        self._damaged = False

    def packet(self, payload: bytes, ticks: int, *, marker: bool, lost: bool) -> None:
        """Take one payload; `lost` says that packets are missing before it."""
        if lost:
            # Which document they were of nobody knows: this one may lack its beginning.
            self._drop()
        elif ticks != self._ticks:
            # Some cameras never set the marker: what is complete by its looks is complete.
            self._end(whole=_is_closed(self._parts))
        self._ticks = ticks
        if self._damaged:
            pass
        elif self._size + len(payload) + _PIECE_COST > MAX_DOCUMENT_BYTES:
            self._drop()
        elif payload:
            self._parts.append(payload)
            self._size += len(payload) + _PIECE_COST
        if marker:
            self._end(whole=True)

    def _drop(self) -> None:
        if not self._damaged:
            self.dropped += 1
        self._damaged = True
        self._parts.clear()
        self._size = 0

    def _end(self, *, whole: bool) -> None:
        if self._parts and not self._damaged:
            document = b"".join(self._parts)
            if whole and looks_like_xml(document) and len(self.whole) < _MAX_WAITING:
                self.whole.append(document)
            else:
                self.dropped += 1
        self._parts.clear()
        self._size = 0
        self._damaged = False


def looks_like_xml(document: bytes) -> bool:
    """Say whether it begins as XML in UTF-8 does."""
    return document[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def _is_closed(parts: list[bytes]) -> bool:
    return b"".join(parts[-2:]).rstrip().endswith(_ROOT_END)


class MetadataSide:
    """Takes the metadata track of a connection (see `taking.Side`)."""

    def __init__(self, beside: Beside, take: Callable[[bytes, float], None]) -> None:
        """Hand each document, with when it arrived (monotonic), to `take`."""
        self.channel, self.rtcp_channel = beside.channel, beside.rtcp_channel
        self.track = RtpTrack(beside.track.payload_type)
        self._documents = Documents()
        self._told = 0
        self._take = take

    def payload(self, data: bytes, arrived: float) -> None:
        """Take a packet (see `Side`)."""
        del arrived
        track = self.track
        self._documents.packet(
            data[track.start : track.stop],
            track.ticks,
            marker=track.marker,
            lost=track.missing > 0,
        )

    def hand_on(self, arrived: float) -> None:
        """Hand on whole documents (see `Side`)."""
        documents = self._documents
        if documents.dropped > self._told:
            DOCUMENTS_DROPPED.inc(documents.dropped - self._told)
            self._told = documents.dropped
        if documents.whole:
            whole, documents.whole = documents.whole, []
            for document in whole:
                self._take(document, arrived)
