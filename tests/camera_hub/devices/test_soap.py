"""XML of devices: read where it can be meant, refused where it can harm."""

import tracemalloc

import pytest

from camera_hub.devices.elements import as_number, every, first, node, number, text
from camera_hub.devices.soap import DocumentTypeError, parse_safely

ENVELOPE = b'<s:Envelope xmlns:s="urn:s"><s:Body>%s</s:Body></s:Envelope>'


@pytest.mark.parametrize(
    "inside",
    [b"<ptz:Stop/>", b'<ptz:Stop><tt:Zoom x="1"/></ptz:Stop>', b'<tptz:Stop ptz:kind="a"/>'],
)
def test_prefixes_that_nobody_declared_are_read(inside: bytes) -> None:
    root = parse_safely(ENVELOPE % inside)
    assert first(root, "Body/Stop") is not None


@pytest.mark.parametrize(
    "body",
    [
        ENVELOPE % b"<ptz:Stop>",
        (ENVELOPE % b"<ptz:Stop/>")[:-5],
        b"<ptz:Stop/>",
        ENVELOPE % b"".join(b"<p%d:x/>" % number for number in range(20)),
        b'<a:b><Envelope xmlns:a="urn:a"></Envelope></a:b>',
        b"",
        b"\xff\xfe<\x00",
        b'<?xml version="1.0" encoding="x-none"?>' + ENVELOPE % b"<Stop/>",
    ],
    ids=["open", "cut", "no envelope", "too many", "elsewhere", "empty", "half UTF-16", "unknown"],
)
def test_what_is_broken_stays_broken(body: bytes) -> None:
    with pytest.raises(ValueError, match="not well-formed"):
        parse_safely(body)


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<!DOCTYPE a><a/>".encode("utf-16"),
        b"<!DOCTYPE a>" + ENVELOPE % b"<ptz:Stop/>",
    ],
)
def test_a_document_type_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentTypeError):
        parse_safely(body)


@pytest.mark.parametrize(
    "inside",
    [
        b"".join(b'<a xmlns:b%d="u">' % n for n in range(2000)) + b"</a>" * 2000,
        b"<a%s>" % b"".join(b' xmlns:b%d="u"' % n for n in range(5000))
        + b"".join(b'<a xmlns:c%d="u">' % n for n in range(240))
        + b"</a>" * 241,
    ],
)
def test_names_that_are_declared_in_ever_deeper_elements_fill_no_memory(inside: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="well-formed"):
            parse_safely(ENVELOPE % (inside + b"<undeclared:x/>"))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_numbers_and_texts_are_bounded() -> None:
    said = node("tt:Width", "x" * 500 + "\u202e")
    assert len(text(said)) == 120
    for value in ("nan", "inf", "-inf", "1e300", "12px", "", "9" * 60):
        assert as_number(value) is None, value
    assert number(node("tt:Resolution", node("tt:Width", " 640 ")), "Width") == 640
    assert [one.text for one in every(node("tt:A", node("tt:B", "1"), node("tt:B", "2")), "B")] == [
        "1", "2",
    ]  # fmt: skip
