"""What is stored is a picture and nothing else: no place, no device, no second file."""

import struct
import zipfile
import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from governance.attachments.clean import is_clean
from governance.attachments.store import InvalidPictureError, check_picture
from tests.governance.support import picture

SECRET = b"31.2304N-121.4737E"


def with_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (31.0, 13.0, 49.0)}
    out = BytesIO()
    Image.new("RGB", (64, 36), (90, 20, 30)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def png(**more: Any) -> bytes:
    out = BytesIO()
    Image.new("RGB", (64, 36), (90, 20, 30)).save(out, "PNG", **more)
    return out.getvalue()


def png_with_text() -> bytes:
    info = PngInfo()
    info.add_text("Location", SECRET.decode())
    return png(pnginfo=info)


def zip_of(text: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("run.html", b"<script>" + text)
    return out.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def inside(extra: bytes) -> bytes:
    content = picture()
    return content[:2] + extra + content[2:]


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (with_exif(), "image/jpeg"),
        (picture() + SECRET, "image/jpeg"),
        (picture() + zip_of(SECRET), "image/jpeg"),
        (picture() + picture(shade=10) + SECRET, "image/jpeg"),
        (inside(segment(0xFE, b"<script>" + SECRET)), "image/jpeg"),
        (inside(segment(0xED, b"Photoshop 3.0\0" + SECRET)), "image/jpeg"),
        (inside(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1" + bytes(3) + SECRET)), "image/jpeg"),
        (png_with_text(), "image/png"),
        (png() + SECRET, "image/png"),
        (png() + zip_of(SECRET), "image/png"),
        (png(exif=Image.Exif()) + SECRET, "image/png"),
    ],
)
def test_what_is_no_picture_is_left_behind(content: bytes, media_type: str) -> None:
    stored = check_picture(content, media_type)
    assert SECRET not in stored.content
    assert b"Exif" not in stored.content
    assert b"PK\x03\x04" not in stored.content
    assert is_clean(stored.content, media_type)
    assert (stored.width, stored.height) == (64, 36)
    with Image.open(BytesIO(stored.content)) as image:
        assert image.convert("RGB").getpixel((5, 5)) == pytest.approx((90, 20, 30), abs=4)
        assert not image.getexif()


def test_a_picture_keeps_its_bytes() -> None:
    """What our own workers send is not coded a second time."""
    grey = np.arange(64 * 36 * 3, dtype=np.uint8).reshape(36, 64, 3)
    by_worker = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    progressive = BytesIO()
    Image.new("RGB", (64, 36)).save(progressive, "JPEG", progressive=True)
    for content in (picture(), by_worker, progressive.getvalue()):
        assert check_picture(content, "image/jpeg").content == content
    assert check_picture(png(), "image/png").content == png()


def test_a_picture_that_says_it_lies_on_its_side_is_stored_upright() -> None:
    stored = check_picture(with_exif(orientation=6), "image/jpeg")
    assert (stored.width, stored.height) == (36, 64)
    with Image.open(BytesIO(stored.content)) as image:
        assert image.size == (36, 64)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that claims `width` x `height` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * 64), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (16_385, 1), (8000, 8000)])
def test_a_picture_that_claims_gigabytes_is_refused_before_it_is_decoded(
    width: int, height: int
) -> None:
    with pytest.raises(InvalidPictureError, match="pixels"):
        check_picture(bomb(width, height), "image/png")


def test_a_picture_of_thousands_of_scans_is_refused() -> None:
    out = BytesIO()
    Image.new("RGB", (64, 36)).save(out, "JPEG", progressive=True)
    content = out.getvalue()
    start = content.rfind(b"\xff\xda")
    scan = content[start:-2]
    with pytest.raises(InvalidPictureError, match="scans"):
        check_picture(content[:-2] + scan * 5000 + b"\xff\xd9", "image/jpeg")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_what_is_cut_short_is_not_clean_and_is_refused(content: bytes) -> None:
    for media_type in ("image/jpeg", "image/png"):
        assert not is_clean(content, media_type)
        with pytest.raises(InvalidPictureError):
            check_picture(content, media_type)
