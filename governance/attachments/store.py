"""Pictures on disk, named by the SHA-256 of their bytes, written before the commit that names them.

A picture whose commit never came is a file that nothing names; the retry that follows finds it
there and names it.
"""

import errno
import hashlib
import threading
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

from core.durable import replace_file, sync_folder
from core.errors import HubError, InvalidInputError, UnavailableError
from core.metrics import counter
from core.pictures import DAMAGED
from governance.attachments.clean import TooManyScansError, is_clean

MAX_PIXELS = 36_000_000
"""More than an 8K frame (33.2 million)."""
MAX_SIDE = 16_384

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
_MODES = {"image/jpeg": {"L", "RGB"}, "image/png": {"L", "LA", "RGB", "RGBA"}}
_REENCODED = counter("pictures_reencoded", "Pictures that held more than a picture")
decoding = threading.BoundedSemaphore(2)
"""Held while a picture is decoded: each may take a hundred megabytes for a moment."""

_FULL = {errno.ENOSPC, errno.EDQUOT}


class StorageFullError(HubError):
    """The disk that holds the pictures is full (507)."""

    status = 507
    code = "storage-full"


class InvalidPictureError(InvalidInputError):
    """The bytes are not a picture that is accepted (422)."""

    code = "invalid-picture"


@dataclass(frozen=True, slots=True)
class Picture:
    """A checked picture. `width` and `height` are in pixels, read from the bytes themselves."""

    sha256: str
    media_type: str
    width: int
    height: int
    content: bytes


def check_picture(content: bytes, media_type: str) -> Picture:
    """Decode `content` once and return it as it is stored: a picture and nothing else.

    One that holds more (place and device in EXIF, a thumbnail, a file behind its end) is encoded
    anew, upright; one that holds only a picture keeps its bytes, so that what our own workers
    send loses nothing. Takes milliseconds of CPU; not for the event loop.

    Raises:
        InvalidPictureError: not JPEG or PNG, not what `media_type` says, damaged or too large.
    """
    if media_type not in _FORMATS:
        raise InvalidPictureError(f"'{media_type[:60]}' is not accepted.", remedy=_ACCEPTED)
    try:
        clean = is_clean(content, media_type)
        with Image.open(BytesIO(content), formats=list(_FORMATS.values())) as image:
            _check_claims(image, media_type)
            # Each may take a hundred megabytes for a moment.
            with decoding:
                image.load()
                if not clean:
                    _REENCODED.inc()
                    content = _encoded_anew(image, media_type)
    except Image.DecompressionBombError as error:
        raise InvalidPictureError(
            "The picture claims far more pixels than is reasonable.",
            remedy=f"Send at most {MAX_PIXELS // 1_000_000} million pixels.",
        ) from error
    except TooManyScansError as error:
        raise InvalidPictureError(
            "The picture is coded in far more scans than is reasonable.",
            remedy="Save it as a baseline JPEG.",
        ) from error
    except DAMAGED as error:
        raise InvalidPictureError(
            "The picture is damaged or is no JPEG or PNG.", remedy=_ACCEPTED
        ) from error
    with Image.open(BytesIO(content)) as stored:
        width, height = stored.size
    return Picture(hashlib.sha256(content).hexdigest(), media_type, width, height, content)


def _check_claims(image: Image.Image, media_type: str) -> None:
    """Refuse what a picture says of itself, before it is decoded.

    Raises:
        InvalidPictureError: it claims another format, or gigabytes of pixels in a few kilobytes.
    """
    width, height = image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InvalidPictureError(
            f"The picture claims {width} x {height} pixels, which is too large.",
            remedy=f"Send at most {MAX_PIXELS // 1_000_000} million pixels.",
        )
    if image.format != _FORMATS[media_type]:
        raise InvalidPictureError(
            f"The picture is {image.format}, not {media_type}.", remedy="Name its real media type."
        )


def _encoded_anew(image: Image.Image, media_type: str) -> bytes:
    """Return the pixels of `image`, upright, as a new file; nothing else of it is kept."""
    upright = ImageOps.exif_transpose(image)
    plain = upright if upright.mode in _MODES[media_type] else upright.convert("RGB")
    bare = Image.frombytes(plain.mode, plain.size, plain.tobytes())
    out = BytesIO()
    if media_type == "image/png":
        bare.save(out, "PNG", compress_level=3)
    else:
        bare.save(out, "JPEG", quality=92)
    return out.getvalue()


_ACCEPTED = "Send a whole JPEG (image/jpeg) or PNG (image/png)."


class PictureStore:
    """A directory of pictures: `<root>/ab/cd/abcd…`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Return where the picture `sha256` (64 hexadecimal digits) lies."""
        return self._root / sha256[:2] / sha256[2:4] / sha256

    def read(self, sha256: str) -> bytes:
        """Return the bytes of a picture.

        Raises:
            UnavailableError: the file is missing or cannot be read.
        """
        try:
            return self.path(sha256).read_bytes()
        except OSError as error:
            raise UnavailableError(
                f"The picture cannot be read: {error.strerror}.",
                remedy="Check the attachments directory, or restore it from the backup.",
                code="picture-missing",
            ) from error

    def write(self, picture: Picture) -> None:
        """Put `picture` on the disk; it is durable when this returns.

        Raises:
            StorageFullError: no space is left; nothing is kept.
            UnavailableError: the directory cannot be written to.
        """
        target = self.path(picture.sha256)
        try:
            _make_directories(target.parent)
            if not (target.exists() and target.stat().st_size == len(picture.content)):
                replace_file(target, picture.content, mode=0o640)
            sync_folder(target.parent)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFullError(
                    "The disk that holds the pictures is full; nothing was stored.",
                    remedy="Free some space and send it again.",
                ) from error
            raise UnavailableError(
                f"The picture cannot be stored: {error.strerror}.",
                remedy="Check the attachments directory and send it again.",
                code="picture-store",
            ) from error


def _make_directories(directory: Path) -> None:
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True, mode=0o750)
        sync_folder(path.parent)
