"""Drawings that people send: checked, then made anew from their pixels alone.

What is kept is a PNG, or a JPEG where that is much smaller, upright, on white, at most 6000 pixels
long. Where and with what it was made, comments, and whatever else the file held, is gone.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from core.errors import HubError, InvalidInputError
from core.pictures import DAMAGED

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 60_000_000
LONG_SIDE = 6000

_FORMATS = ("PNG", "JPEG", "WEBP")
_MOST_SCANS = 100
"""A progressive JPEG has about ten; each one more is another walk over all pixels."""
_PNG_MOST = 8 * 1024 * 1024
_ACCEPTED = "Send a PNG, JPEG or WebP picture of at most 20 MB and 60 million pixels."
_AS_PNG = (
    "Export it as PNG: print it, or open it in the program that made it, and choose PNG at 150 to "
    "300 dots per inch. A screenshot of it serves as well."
)
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_decoding = threading.BoundedSemaphore(1)
"""Held while a drawing is decoded: it may take 0.8 GB for a moment."""


class DrawingTooLargeError(HubError):
    """The file has more bytes than are accepted (413)."""

    status = 413
    code = "plan-too-large"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing as it is kept. `width` and `height` are in pixels, `suffix` is `png` or `jpg`."""

    sha256: str
    suffix: str
    width: int
    height: int
    content: bytes


def make_drawing(content: bytes) -> Drawing:
    """Return the drawing in `content` as it is kept. Takes up to seconds; not for the event loop.

    What the file claims of its size is looked at before anything is decoded.

    Raises:
        DrawingTooLargeError: more than 20 MB.
        InvalidInputError: `plan-format` (PDF, SVG, CAD), `plan-too-many-pixels` or
            `plan-not-a-picture` (no PNG, JPEG or WebP; damaged, or moving).
    """
    if len(content) > MAX_BYTES:
        raise too_large()
    if named := _document(content):
        raise InvalidInputError(
            f"This is {named}, which is not taken: it may hold more than a drawing.",
            remedy=_AS_PNG,
            code="plan-format",
        )
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            _check_claims(image, content)
            with _decoding:
                image.draft("RGB", (LONG_SIDE, LONG_SIDE))
                image.load()
                plain = _plain(image)
                return _encoded(plain)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except (*DAMAGED, MemoryError) as error:
        raise InvalidInputError(
            "The file is no picture, or it is damaged.", remedy=_ACCEPTED, code="plan-not-a-picture"
        ) from error


def too_large() -> DrawingTooLargeError:
    """Return the error of a file with too many bytes."""
    return DrawingTooLargeError("The file has more than 20 MB.", remedy=_ACCEPTED)


def _too_many_pixels() -> InvalidInputError:
    return InvalidInputError(
        f"The picture claims more than {MAX_PIXELS // 1_000_000} million pixels.",
        remedy="Make it smaller: 6000 pixels on its long side are as many as are kept.",
        code="plan-too-many-pixels",
    )


def _document(content: bytes) -> str:
    """Return what the file is, if it is one of those that people have plans in; else ""."""
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if b"%PDF-" in content[:1024]:
        return "a PDF"
    if head[:1] == b"<" and (b"<svg" in content[:4096].lower() or head[:5].lower() == b"<?xml"):
        return "an SVG"
    if head[:4] == b"AC10" or head[:10].split() == [b"0", b"SECTION"]:
        return "a CAD drawing"
    return ""


def _check_claims(image: Image.Image, content: bytes) -> None:
    """Refuse what would take gigabytes or minutes to decode.

    Raises:
        InvalidInputError: it claims too many pixels, or far too many scans.
        ValueError: it moves.
    """
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels()
    if getattr(image, "n_frames", 1) > 1:
        raise ValueError("it moves")
    if image.format == "JPEG" and content.count(b"\xff\xda") > _MOST_SCANS:
        raise ValueError("far more scans than is reasonable")


def _plain(image: Image.Image) -> Image.Image:
    """Return the pixels upright, on white, in RGB or grey, at most `LONG_SIDE` long."""
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    if image.has_transparency_data:
        # Before it is made smaller: that would take each pixel's transparency apart in memory.
        image = _on_white(image)
    image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    # Only turned: the library's own way writes the other tags anew, which may be anything.
    upright = image if turn is None else image.transpose(turn)
    if upright.mode.startswith("I"):
        grey = np.asarray(upright).astype(np.uint32) >> 8
        return Image.fromarray(np.minimum(grey, 255).astype(np.uint8))
    if upright.mode in ("1", "L"):
        return upright.convert("L")
    return upright.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    seen = image if image.mode == "RGBA" else image.convert("RGBA")
    paper = Image.new("RGB", seen.size, "white")
    paper.paste(seen, mask=seen)
    return paper


def _encoded(image: Image.Image) -> Drawing:
    # Encoders would copy comments and profiles from here.
    image.info.clear()
    out, suffix = BytesIO(), "png"
    image.save(out, "PNG", compress_level=6)
    if out.tell() > _PNG_MOST:
        out, suffix = BytesIO(), "jpg"
        image.save(out, "JPEG", quality=88)
    stored = out.getvalue()
    return Drawing(hashlib.sha256(stored).hexdigest(), suffix, *image.size, stored)
