"""What a camera says it sees: whole documents, and the pictures go on whatever becomes of them."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from camera_hub.streams.reader import StreamReader
from camera_hub.streams.rtsp.metadata import MAX_DOCUMENT_BYTES, Documents
from camera_hub.streams.rtsp.sdp import read_description
from camera_hub.streams.types import StreamSource, StreamState
from core.clock import SystemClock
from core.ids import new_id
from tests.camera_hub.streams.test_reader import OPTIONS, Recorder
from tests.support.media import wait_until
from tests.support.media_footage import make_units
from tests.support.odd_camera import Extra, OddCamera, Oddities, Piece

UNITS = make_units(frames=20, gop=10)
LINES = "m=application 0 RTP/AVP 107\r\na=rtpmap:107 {}/90000\r\n"
PLAIN = LINES.format("vnd.onvif.metadata")


def document(number: int) -> bytes:
    """Return one that is recognised again."""
    return f'<tt:MetadataStream n="{number}">{"x" * 900}</tt:MetadataStream>'.encode()


def pieces(number: int, size: int = 300, *, marker: bool = True) -> list[Piece]:
    """Return document `number` in packets."""
    data = document(number)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return [
        Piece(part, number * 3600, marker and index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]


class Seeing:
    """A reader of a camera that says what it sees."""

    def __init__(self, camera: OddCamera) -> None:
        self.camera = camera
        self.documents: list[tuple[bytes, float, datetime]] = []
        self.sink = Recorder()
        source = StreamSource(new_id(), "sub", camera.url, metadata=True)
        self.reader = StreamReader(
            source,
            clock=SystemClock(),
            options=replace(OPTIONS, open_timeout_s=0.7),
            on_metadata=lambda *given: self.documents.append(given),
        )
        self.reader.add_sink(self.sink)
        self.reader.start()


@pytest.fixture
def see() -> Iterator[Callable[[Oddities], Seeing]]:
    begun: list[Seeing] = []

    def begin(odd: Oddities) -> Seeing:
        begun.append(Seeing(OddCamera(UNITS, odd)))
        return begun[-1]

    yield begin
    for seeing in begun:
        seeing.reader.stop()
        seeing.camera.close()


def test_whole_documents_arrive_with_their_time(see: Callable[[Oddities], Seeing]) -> None:
    before = SystemClock().now()
    seeing = see(Oddities(extras=[Extra(PLAIN, "meta", pieces)]))
    wait_until(lambda: len(seeing.documents) >= 10)
    first = next(n for n in range(100) if document(n) == seeing.documents[0][0])
    assert [d for d, _, _ in seeing.documents[:10]] == [document(first + n) for n in range(10)]
    assert all(before <= at for _, _, at in seeing.documents)
    arrivals = [monotonic for _, monotonic, _ in seeing.documents]
    assert arrivals == sorted(arrivals)
    assert seeing.reader.status().reason == "Pictures are arriving."
    transports = [h["transport"] for m, _, h in seeing.camera.requests if m == "SETUP"]
    assert [t.rpartition("=")[2] for t in transports] == ["0-1", "2-3"]
    sessions = [h.get("session") for m, _, h in seeing.camera.requests if m == "SETUP"]
    assert sessions == [None, "12345"]


def test_who_does_not_ask_is_not_told(see: Callable[[Oddities], Seeing]) -> None:
    seeing = see(Oddities(extras=[Extra(PLAIN, "meta", pieces)]))
    wait_until(lambda: seeing.documents)
    seeing.reader.update(replace(seeing.reader.source, metadata=False))
    told = len(seeing.documents)
    wait_until(lambda: seeing.camera.methods().count("PLAY") == 2)
    wait_until(lambda: len(seeing.sink.packets) > 20)
    assert len(seeing.documents) == told
    assert seeing.camera.methods().count("SETUP") == 3


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        (Extra(PLAIN, "meta", pieces, answer="RTSP/1.0 461 No\r\nCSeq: {cseq}\r\n\r\n"), "refuses"),
        (Extra(PLAIN, "meta", pieces, answer="RTSP/1.0 500 No\r\nCSeq: {cseq}\r\n\r\n"), "refuses"),
        (Extra(PLAIN, "meta", pieces, answer=""), "refuses"),
        (Extra(PLAIN, "meta", pieces, channels="0-1"), "refuses"),
        (Extra(PLAIN, "meta", pieces, channels="700-701"), "refuses"),
        (Extra(LINES.format("vnd.onvif.metadata.gzip"), "meta", pieces), "gzip"),
        (Extra(LINES.format("vnd.onvif.metadata.exi.onvif"), "meta", pieces), "EXI"),
        (Extra("m=application 0 RTP/AVP 107\r\n", "meta", pieces), "offers no metadata"),
    ],
)
def test_a_camera_that_will_not_say_is_seen_all_the_same(
    see: Callable[[Oddities], Seeing], extra: Extra, word: str
) -> None:
    seeing = see(Oddities(extras=[extra]))
    wait_until(lambda: len(seeing.sink.packets) > 20)
    status = seeing.reader.status()
    assert status.state is StreamState.ONLINE
    assert word in status.reason
    assert not seeing.documents


def test_a_camera_that_sends_no_picture_once_it_is_asked_for_more_is_asked_for_less(
    see: Callable[[Oddities], Seeing],
) -> None:
    seeing = see(Oddities(extras=[Extra(PLAIN, "meta", pieces)]))
    camera = seeing.camera

    def stop_for_more(odd: OddCamera, method: str) -> None:
        more = [m for m, _, _ in odd.requests].count("SETUP") % 3 != 0
        odd.odd.answers = {"PLAY": "RTSP/1.0 455 No\r\nCSeq: {cseq}\r\n\r\n"} if more else {}

    seeing.reader.stop()
    camera.requests.clear()
    camera.odd.before = stop_for_more
    seeing.documents.clear()
    seeing.reader.start()
    wait_until(lambda: seeing.reader.status().state is StreamState.ONLINE)
    assert "refuses" in seeing.reader.status().reason
    assert camera.methods().count("SETUP") == 3
    assert not seeing.documents


@pytest.mark.parametrize("lost", range(4))
def test_a_lost_packet_drops_its_document_and_one_more_at_most(lost: int) -> None:
    documents = Documents()
    missing = False
    for number in range(5):
        for index, piece in enumerate(pieces(number)):
            if (number, index) == (2, lost):
                missing = True
                continue
            assert piece.payload is not None
            documents.packet(piece.payload, piece.ticks, marker=piece.marker, lost=missing)
            missing = False
    # With the marker of the second gone, nobody knows whether the third is whole.
    kept = [0, 1, 4] if lost == len(pieces(2)) - 1 else [0, 1, 3, 4]
    assert documents.whole == [document(number) for number in kept]
    assert documents.dropped >= 1


def test_a_camera_without_markers_is_understood_by_its_times() -> None:
    documents = Documents()
    for number in range(4):
        for piece in pieces(number, marker=False):
            documents.packet(piece.payload or b"", piece.ticks, marker=False, lost=False)
    assert documents.whole == [document(number) for number in range(3)]


def test_a_document_without_end_takes_no_more_than_its_share() -> None:
    documents = Documents()
    for number in range(2000):
        documents.packet(b"<" + b"x" * 1000, 0, marker=number == 1999, lost=False)
        assert documents._size <= MAX_DOCUMENT_BYTES
    assert not documents.whole
    assert documents.dropped == 1
    documents.packet(b"<a/>", 1, marker=True, lost=False)
    documents.packet(b"\x1f\x8b not XML", 2, marker=True, lost=False)
    assert documents.whole == [b"<a/>"]
    assert documents.dropped == 2


def test_whatever_comes_documents_are_bounded_and_begin_like_xml() -> None:
    chance = random.Random(6)
    for _ in range(300):
        documents = Documents()
        for _ in range(chance.randrange(1, 60)):
            size = chance.choice((0, 1, 5, 1400, 65000))
            payload = chance.choice((b"<", b" <", b"", b"\xef\xbb\xbf<")) + chance.randbytes(size)
            documents.packet(
                payload,
                chance.randrange(4),
                marker=chance.random() < 0.3,
                lost=chance.random() < 0.1,
            )
        for found in documents.whole:
            assert len(found) <= MAX_DOCUMENT_BYTES
            assert found.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def test_tracks_of_a_description_are_told_apart() -> None:
    body = (
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
        "m=audio 0 RTP/AVP 0 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/2\r\na=fmtp:97 mode=AAC-hbr\r\n"
        "m=application 0 RTP/AVP 107\r\na=rtpmap:107 VND.ONVIF.METADATA/90000\r\n"
        "m=application 0 RTP/AVP 108\r\na=rtpmap:108 something/90000\r\n"
        "m=application 0 RTP/AVP\r\nm=audio\r\nm=audio 0 RTP/AVP x 999\r\n"
    )
    found = read_description(body.encode())
    assert [t.payload_type for t in found.metadata] == [107]
    assert [(t.encoding, t.clock_rate, t.channels) for t in found.sounds] == [
        ("PCMU", 8000, 1),
        ("MPEG4-GENERIC", 16000, 2),
    ]
    assert found.sounds[1].parameters == {"mode": "AAC-hbr"}
