"""Pictures that hold a picture and nothing else.

A JPEG or PNG can carry where and with what it was taken (EXIF, XMP), a second file behind its end,
or text that another program takes for a page or a script. `is_clean` reads the structure strictly
(ITU-T T.81 annex B; PNG, third edition, chapter 5); whatever it does not know is not clean.
"""

import struct
import zlib

_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended sequential and progressive: those that browsers show."""
_JPEG_TABLES = frozenset({0xDB, 0xC4, 0xDD})
_MOST_SCANS = 64
"""More than any encoder makes; thousands of scans make a decoder work for minutes."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


class TooManyScansError(ValueError):
    """A progressive JPEG has so many scans that decoding it would take minutes."""


def is_clean(content: bytes, media_type: str) -> bool:
    """Say whether `content` is a whole JPEG or PNG without metadata and without anything else.

    Raises:
        TooManyScansError: decoding it would take far too long.
    """
    try:
        return _clean_png(content) if media_type == "image/png" else _clean_jpeg(content)
    except (struct.error, IndexError):
        return False


def _clean_jpeg(content: bytes) -> bool:
    if content[:2] != b"\xff\xd8":
        return False
    position, scans, clean = 2, 0, True
    while True:
        if content[position] != 0xFF:
            return False
        marker = content[position + 1]
        if marker == 0xD9:
            return clean and scans > 0 and position + 2 == len(content)
        (length,) = struct.unpack_from(">H", content, position + 2)
        body = content[position + 4 : position + 2 + length]
        if length < 2 or len(body) != length - 2:
            return False
        position += 2 + length
        if marker == 0xDA:
            scans += 1
            if scans > _MOST_SCANS:
                raise TooManyScansError
            position = _end_of_scan(content, position)
        elif marker == 0xE0:
            clean = clean and _plain_jfif(body)
        else:
            # Others are metadata or comments; go on only to count the scans.
            clean = clean and (marker in _JPEG_FRAMES or marker in _JPEG_TABLES)


def _plain_jfif(body: bytes) -> bool:
    """Say whether an APP0 segment is JFIF's own, without a thumbnail."""
    return len(body) == 14 and body.startswith(b"JFIF\0") and body[12:] == b"\0\0"


def _end_of_scan(content: bytes, position: int) -> int:
    """Return where the next marker stands behind the coded data at `position`.

    Raises:
        IndexError: there is none.
    """
    while True:
        position = content.find(b"\xff", position)
        if position < 0:
            raise IndexError
        following = content[position + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            position += 2
        else:
            return position


def _clean_png(content: bytes) -> bool:
    if not content.startswith(_PNG_SIGNATURE):
        return False
    position = len(_PNG_SIGNATURE)
    while True:
        length: int = struct.unpack_from(">I", content, position)[0]
        kind = content[position + 4 : position + 8]
        end = position + 8 + length
        (checksum,) = struct.unpack_from(">I", content, end)
        if kind not in _PNG_CHUNKS or zlib.crc32(content[position + 4 : end]) != checksum:
            return False
        position = end + 4
        if kind == b"IEND":
            return length == 0 and position == len(content)
