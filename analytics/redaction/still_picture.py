"""One picture, masked and redacted: what `StillRedactor` does in its thread."""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from analytics.detectors.client import InferenceClient
from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    DetectorUnavailableError,
    ModelInfo,
    Picture,
    Rows,
)
from analytics.redaction.cover import CONFIDENCE, covered_labels
from analytics.redaction.paint import blur_boxes, blur_whole, mask
from analytics.redaction.tiles import tiles
from analytics.zones.geometry import Box
from camera_hub.streams.painting import Polygon
from core.errors import InvalidInputError, UnavailableError
from core.pictures import DAMAGED

CONNECT_S = 2.0
_QUALITY = 85
_MOST_PIXELS = 40_000_000
_DEADLINE_MS = 5000
_GRACE_S = 1.0
_MARGIN = 0.12
_LEAST_MARGIN_PX = 6


def made_safe(
    jpeg: bytes,
    masks: Sequence[Polygon],
    client: InferenceClient | None,
    *,
    people_suffice: bool = False,
) -> bytes:
    """Return the picture as a new JPEG, masked and, with a client, redacted. Blocks.

    Raises:
        UnavailableError: code `redaction-away`: nobody can find the people just now.
        InvalidInputError: code `not-a-picture`.
    """
    picture = read_picture(jpeg)
    if client is not None:
        try:
            _redact(picture, client, people_suffice=people_suffice)
        except (
            DetectionLateError,
            DetectorUnavailableError,
            DetectionFailedError,
            FutureTimeoutError,
            CancelledError,
        ) as error:
            raise UnavailableError(
                "The people in this picture cannot be covered just now, so it is not shown.",
                remedy="Try again in a moment. If that lasts, see whether the detector runs "
                "(page System).",
                code="redaction-away",
            ) from error
    return write_picture(mask(picture, masks))


def _redact(picture: Picture, client: InferenceClient, *, people_suffice: bool) -> None:
    if not client.wait_connected(CONNECT_S):
        raise DetectorUnavailableError("The inference process is away.")
    labels = covered_labels(client.describe(), people_suffice=people_suffice)
    if labels is None:
        blur_whole(picture)
        return
    parts = tiles(picture.shape[1], picture.shape[0])
    futures = [
        client.submit(
            np.ascontiguousarray(picture[y : y + height, x : x + width]),
            deadline_ms=_DEADLINE_MS,
        )
        for x, y, width, height in parts
    ]
    boxes: list[Box] = []
    for (x, y, _, _), future in zip(parts, futures, strict=True):
        rows = future.result(timeout=_DEADLINE_MS / 1000 + _GRACE_S)
        boxes += _covers(rows, client.describe(), labels, (x, y), picture)
    blur_boxes(picture, boxes)


def _covers(
    rows: Rows, model: ModelInfo, labels: frozenset[str], origin: tuple[int, int], picture: Picture
) -> list[Box]:
    height, width = picture.shape[:2]
    boxes: list[Box] = []
    for x1, y1, x2, y2, score, number in rows.tolist():
        if score < CONFIDENCE or model.label(number) not in labels:
            continue
        around = max(_LEAST_MARGIN_PX, max(x2 - x1, y2 - y1) * _MARGIN)
        boxes.append(
            (
                (x1 + origin[0] - around) / width,
                (y1 + origin[1] - around) / height,
                (x2 + origin[0] + around) / width,
                (y2 + origin[1] + around) / height,
            )
        )
    return boxes


def read_picture(data: bytes) -> Picture:
    """Decode a picture as RGB, its EXIF orientation applied.

    Raises:
        InvalidInputError: code `not-a-picture`: it is none, or too large.
    """
    try:
        with Image.open(BytesIO(data)) as header:
            width, height = header.size
        if width * height > _MOST_PIXELS:
            raise ValueError
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except (*DAMAGED, Image.DecompressionBombError, cv2.error) as error:
        raise _not_a_picture() from error
    if decoded is None:
        raise _not_a_picture()
    return np.ascontiguousarray(decoded[:, :, ::-1], dtype=np.uint8)


def write_picture(picture: Picture) -> bytes:
    """Return RGB as JPEG without metadata."""
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return bytes(jpeg)


def _not_a_picture() -> InvalidInputError:
    return InvalidInputError(
        "This is not a picture that can be shown.",
        remedy="Use a JPEG or PNG of at most 40 megapixels.",
        code="not-a-picture",
    )
