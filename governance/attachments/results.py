"""Pictures of the result, as people take them with a phone: checked, then encoded anew.

What is kept is a JPEG of the pixels alone, upright. Where and with what it was taken, and whatever
else the file held, is gone.
"""

import hashlib
from io import BytesIO

from PIL import Image, ImageOps

from core.errors import HubError
from core.pictures import DAMAGED
from governance.attachments.clean import TooManyScansError, is_clean
from governance.attachments.store import InvalidPictureError, Picture, decoding

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384

_FORMATS = ("JPEG", "PNG", "WEBP")
_ACCEPTED = "Send one JPEG, PNG or WebP picture of at most 10 MB and 40 million pixels."


class PictureTooLargeError(HubError):
    """The file has more bytes than are accepted (413)."""

    status = 413
    code = "too-large"


def check_result(content: bytes) -> Picture:
    """Return the picture in `content` as it is stored. Takes up to seconds; not for the event loop.

    What the file claims of its size is looked at before anything is decoded.

    Raises:
        PictureTooLargeError: more than 10 MB.
        InvalidPictureError: no JPEG, PNG or WebP; damaged, moving, or more than 40 megapixels.
    """
    if len(content) > MAX_BYTES:
        raise PictureTooLargeError("The picture has more than 10 MB.", remedy=_ACCEPTED)
    try:
        with Image.open(BytesIO(content), formats=_FORMATS) as image:
            _check_claims(image, content)
            # Each may take several hundred megabytes for a moment.
            with decoding:
                image.load()
                stored, size = _encoded(image)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels() from error
    except TooManyScansError as error:
        raise InvalidPictureError(
            "The picture is coded in far more scans than is reasonable.",
            remedy="Save it as a baseline JPEG.",
        ) from error
    except DAMAGED as error:
        raise InvalidPictureError(
            "The file is no picture, or it is damaged.", remedy=_ACCEPTED
        ) from error
    return Picture(hashlib.sha256(stored).hexdigest(), "image/jpeg", *size, stored)


def _check_claims(image: Image.Image, content: bytes) -> None:
    """Refuse what would take gigabytes or minutes to decode.

    Raises:
        InvalidPictureError: it claims too many pixels, or moves.
        TooManyScansError: a progressive JPEG of thousands of scans.
    """
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise _too_many_pixels()
    if getattr(image, "n_frames", 1) > 1:
        raise InvalidPictureError("The picture moves.", remedy="Send a still picture.")
    if image.format == "JPEG":
        is_clean(content, "image/jpeg")


def _encoded(image: Image.Image) -> tuple[bytes, tuple[int, int]]:
    plain = ImageOps.exif_transpose(image).convert("RGB")
    # The encoder would copy a comment from here.
    plain.info.clear()
    out = BytesIO()
    plain.save(out, "JPEG", quality=88)
    return out.getvalue(), plain.size


def _too_many_pixels() -> InvalidPictureError:
    return InvalidPictureError(
        f"The picture claims more than {MAX_PIXELS // 1_000_000} million pixels.", remedy=_ACCEPTED
    )
