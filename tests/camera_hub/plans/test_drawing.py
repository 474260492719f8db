"""What people send as a plan: pictures become plain ones, everything else is told what to do."""

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from camera_hub.plans.drawing import LONG_SIDE, MAX_BYTES, make_drawing
from core.errors import HubError

WITHOUT_PALETTE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000280000001e01030000006413ce9e00000003504c4764006a0007a69b"
    "fe0000000c49444154789c6360187a000000b400018f528fe00000000049454e44ae426082"
)
"""A PNG with a palette, but that a bit is flipped in the palette's name; found by fuzzing."""


def picture(width: int, height: int, kind: str = "PNG", mode: str = "RGB", **more: object) -> bytes:
    out = BytesIO()
    Image.new(mode, (width, height)).save(out, kind, **more)  # type: ignore[arg-type]
    return out.getvalue()


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"%PDF-1.7\n1 0 obj", "plan-format"),
        (
            b"\xef\xbb\xbf<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
            "plan-format",
        ),
        (b"<svg onload='x'></svg>", "plan-format"),
        (b"AC1032\0\0\0", "plan-format"),
        (b"  0\nSECTION\n  2\nHEADER", "plan-format"),
        (b"", "plan-not-a-picture"),
        (b"GIF89a" + b"\0" * 50, "plan-not-a-picture"),
        (picture(50, 50)[:60], "plan-not-a-picture"),
        (picture(9, 9, "JPEG") + b"\xff\xda" * 300, "plan-not-a-picture"),
        (WITHOUT_PALETTE, "plan-not-a-picture"),
        (claiming(10_000, 6_001), "plan-too-many-pixels"),
        (claiming(60_000, 60_000), "plan-too-many-pixels"),
        (b"\0" * (MAX_BYTES + 1), "plan-too-large"),
    ],
)
def test_what_is_no_plan_is_told_what_to_do(content: bytes, code: str) -> None:
    with pytest.raises(HubError) as caught:
        make_drawing(content)
    assert caught.value.code == code
    assert caught.value.remedy


def test_moving_pictures_are_none() -> None:
    out = BytesIO()
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(HubError) as caught:
        make_drawing(out.getvalue())
    assert caught.value.code == "plan-not-a-picture"


def test_nothing_but_pixels_is_kept() -> None:
    info = PngInfo()
    info.add_text("Author", "somebody of the office")
    sent = picture(30, 20, pnginfo=info) + b"a file behind the end"
    drawn = make_drawing(sent)
    assert (drawn.width, drawn.height, drawn.suffix) == (30, 20, "png")
    assert b"somebody" not in drawn.content
    assert b"behind" not in drawn.content
    turned = Image.Exif()
    turned[0x0112] = 6
    turned[0x010E] = "the basement"
    photo = make_drawing(picture(30, 20, "JPEG", exif=turned, comment=b"of the office"))
    assert (photo.width, photo.height) == (20, 30), "it lies upright"
    assert b"basement" not in photo.content
    assert b"office" not in photo.content


def test_the_same_file_is_the_same_drawing() -> None:
    sent = picture(300, 200, "WEBP")
    assert make_drawing(sent) == make_drawing(sent)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
def test_every_kind_of_pixels_becomes_a_plain_drawing_on_white(mode: str) -> None:
    image = Image.new(mode, (40, 30), None)
    if mode in ("RGBA", "LA"):
        image.putalpha(0)
    out = BytesIO()
    image.save(out, "JPEG" if mode == "CMYK" else "PNG")
    drawn = make_drawing(out.getvalue())
    with Image.open(BytesIO(drawn.content)) as kept:
        assert kept.mode in ("RGB", "L")
        assert not kept.info.get("transparency")
        if mode in ("RGBA", "LA"):
            assert kept.convert("RGB").getpixel((3, 3)) == (255, 255, 255)


def test_a_large_drawing_is_kept_smaller_and_a_busy_one_as_jpeg() -> None:
    drawn = make_drawing(picture(7000, 100, mode="L"))
    assert (drawn.width, drawn.suffix) == (LONG_SIDE, "png")
    noise = Image.effect_noise((3600, 3000), 90)
    out = BytesIO()
    noise.save(out, "JPEG", quality=95)
    drawn = make_drawing(out.getvalue())
    assert drawn.suffix == "jpg"
    assert (drawn.width, drawn.height) == (3600, 3000)


def test_a_photograph_whose_other_tags_are_nonsense_is_turned_all_the_same() -> None:
    tags = Image.Exif()
    tags[0x0112], tags[0x010E] = 6, "a title"
    out = BytesIO()
    Image.new("RGB", (40, 20)).save(out, "JPEG", exif=tags)
    # The title becomes a resolution that is no number.
    sent = out.getvalue().replace(b"\x01\x0e\x00\x02", b"\x01\x1a\x00\x02")
    assert sent != out.getvalue()
    made = make_drawing(sent)
    assert (made.width, made.height) == (20, 40)
