"""DC-09 without sockets: frames, encryption, codes; with pysiaalarm as the other side."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysiaalarm import SIAAccount, SIAEvent

from governance.alarms.dc09 import answers
from governance.alarms.dc09.frames import (
    MAX_FRAME,
    FrameError,
    Splitter,
    crc16,
    read_content,
    read_frame,
    write_frame,
)
from governance.alarms.dc09.meanings import meaning_of
from governance.alarms.dc09.sealed import seal, unseal
from tests.api.panel_kit import plain, sealed, stamped, word
from tests.support.examples import examples

AT = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


def test_the_crc_is_that_of_the_standard() -> None:
    # CRC-16/ARC of "123456789", the check value of the catalogue of CRCs.
    assert crc16(b"123456789") == 0xBB3D


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_another_implementation_reads_what_panels_send_here_and_what_they_are_answered(
    bits: int,
) -> None:
    key = "0123456789ABCDEF0123456789ABCDEF"[: bits // 8]
    account = SIAAccount("AB12", key, allowed_timeband=None)
    for raw, encrypted in (
        (sealed("NFA5", key.encode(), AT, seq=7), True),
        (plain("NFA5", seq=7, at=AT), False),
    ):
        theirs = SIAEvent.from_line(
            raw.strip().decode(),
            {"AB12": account if encrypted else SIAAccount("AB12", allowed_timeband=None)},
        )
        assert theirs.valid_message
        assert (theirs.code, theirs.sequence, theirs.encrypted) == ("FA", "0007", encrypted)
        frame = read_frame(raw[1:-1])
        mine = read_content(unseal(frame.rest, key.encode()) if encrypted else frame.rest)
        assert (mine.account, mine.data, mine.at) == ("AB12", "NFA5", AT)
        # What they would answer is read here, too.
        reply = theirs.create_response()
        assert word(reply) == ("*ACK 0007" if encrypted else "ACK 0007")
        ours = answers.ack(frame, key.encode(), AT)
        assert word(ours) == word(reply)
        if encrypted:
            assert stamped(ours, key.encode()) == AT


def test_contact_id_is_read_as_the_other_implementation_reads_it() -> None:
    raw = plain("1110 02 015", id="ADM-CID", at=AT)
    theirs = SIAEvent.from_line(raw.strip().decode(), {"AB12": SIAAccount("AB12")})
    assert theirs.code == "FA"
    mine = read_content(read_frame(raw[1:-1]).rest)
    assert meaning_of("ADM-CID", mine.data).zone == theirs.ri == "015"


@pytest.mark.parametrize(
    ("frame_id", "data", "what", "alarm"),
    [
        ("SIA-DCS", "NFA1", "alarm", "fire"),
        ("SIA-DCS", "Nri1/KA12^KITCHEN^", "alarm", "fire"),
        ("SIA-DCS", "Nti12:30/ri01MA3", "alarm", "medical"),
        ("SIA-DCS", "NQA1", "alarm", "medical"),
        ("SIA-DCS", "NBA2", "alarm", "security"),
        ("SIA-DCS", "NPA2", "alarm", "security"),
        ("SIA-DCS", "NHA", "alarm", "security"),
        ("SIA-DCS", "NCL1/BA4", "alarm", "security"),
        ("SIA-DCS", "NFR1", "restored", "fire"),
        ("SIA-DCS", "NMR1", "restored", "medical"),
        ("SIA-DCS", "NBR1", "restored", "security"),
        ("SIA-DCS", "NYT0", "fault", None),
        ("SIA-DCS", "NLT0", "fault", None),
        ("SIA-DCS", "NYR0", "mended", None),
        ("SIA-DCS", "NRP0000", "alive", None),
        ("SIA-DCS", "NRX1", "test", None),
        ("SIA-DCS", "NOP1", "other", None),
        ("SIA-DCS", "NQQ1", "unknown", None),
        ("SIA-DCS", "", "unknown", None),
        ("SIA-DCS", "NFAX", "unknown", None),
        ("NULL", "", "alive", None),
        ("ADM-CID", "1110 01 001", "alarm", "fire"),
        ("ADM-CID", "1115 01 001", "alarm", "fire"),
        ("ADM-CID", "6110 01 001", "alarm", "fire"),
        ("ADM-CID", "3110 01 001", "restored", "fire"),
        ("ADM-CID", "1102 00 000", "alarm", "medical"),
        ("ADM-CID", "1120 01 001", "alarm", "security"),
        ("ADM-CID", "1137 01 001", "alarm", "security"),
        ("ADM-CID", "1302 00 000", "fault", None),
        ("ADM-CID", "3302 00 000", "mended", None),
        ("ADM-CID", "1602 00 000", "alive", None),
        ("ADM-CID", "1601 00 000", "test", None),
        ("ADM-CID", "1401 01 001", "other", None),
        ("ADM-CID", "1999 01 001", "unknown", None),
        ("ADM-CID", "garbage", "unknown", None),
    ],
)
def test_what_codes_mean(frame_id: str, data: str, what: str, alarm: str | None) -> None:
    found = meaning_of(frame_id, data)
    assert (found.what, found.alarm) == (what, alarm)


def test_one_changed_bit_is_found() -> None:
    raw = bytearray(plain("NFA1")[1:-1])
    read_frame(bytes(raw))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 0x01
        try:
            frame = read_frame(bytes(changed))
        except FrameError:
            continue
        # Hexadecimal digits count alike in capitals and small letters; nothing else may.
        assert frame == read_frame(bytes(raw)), position


@given(st.binary(max_size=3 * MAX_FRAME))
@settings(max_examples=examples(200), deadline=None)
def test_no_bytes_break_the_reading(garbage: bytes) -> None:
    for raw in (garbage, garbage[:9], b'0000"' + garbage):
        with contextlib.suppress(FrameError):
            read_frame(raw)
    splitter = Splitter()
    for frame in splitter.feed(garbage):
        assert len(frame) <= MAX_FRAME


@given(st.text(max_size=200), st.sampled_from(["SIA-DCS", "ADM-CID", "NULL"]))
@settings(max_examples=examples(200), deadline=None)
def test_no_text_breaks_the_meaning(data: str, frame_id: str) -> None:
    assert meaning_of(frame_id, data).what
    with contextlib.suppress(FrameError):
        read_content(data)
        unseal(data, b"0" * 16)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.binary(max_size=30))
@settings(max_examples=examples(100), deadline=None)
def test_frames_are_found_however_they_are_cut(cuts: list[int], noise: bytes) -> None:
    noise = noise.replace(b"\n", b"").replace(b"\r", b"")
    frames = [plain("NFA1", seq=n) for n in (1, 2, 3)]
    stream = noise + frames[0] + noise + frames[1] + b"\n12" + frames[2]
    splitter, found, position = Splitter(), [], 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        found += splitter.feed(stream[position : position + size])
        position += size
    assert found == [frame[1:-1] for frame in frames]


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=120))
@settings(max_examples=examples(100), deadline=None)
def test_what_is_sealed_comes_out_as_it_was(text: str) -> None:
    for size in (16, 24, 32):
        key = bytes(range(size))
        sealed_text = seal(text + "]", key)
        assert unseal(sealed_text, key) == text + "]"
        assert len(bytes.fromhex(sealed_text)) % 16 == 0


def test_another_key_opens_nothing() -> None:
    text = seal("#AB12|NFA1]_12:30:05,03-01-2026", b"k" * 16)
    refused = 0
    for number in range(50):
        try:
            unseal(text, number.to_bytes(16, "big"))
        except FrameError:
            refused += 1
    assert refused == 50


def test_an_oversized_frame_is_none() -> None:
    with pytest.raises(FrameError):
        read_frame(write_frame('"SIA-DCS"0001R1L1#AB12[' + "x" * 5000 + "]")[1:-1])
