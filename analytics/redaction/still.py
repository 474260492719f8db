"""Single pictures for the API: incident pictures, exports, snapshots."""

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeoutError
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

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
from analytics.redaction.film import FilmRedactor
from analytics.redaction.paint import blur_boxes, blur_whole, mask
from analytics.redaction.tiles import tiles
from analytics.zones.geometry import Box
from camera_hub.streams.painting import Polygon, read_masks
from core.clock import Clock
from core.errors import InvalidInputError, UnavailableError

_QUALITY = 85
_MOST_PIXELS = 40_000_000
_CONNECT_S = 2.0
_DEADLINE_MS = 5000
_GRACE_S = 1.0
_MARGIN = 0.12
_LEAST_MARGIN_PX = 6


class StillRedactor:
    """Masks and redacts JPEG pictures; `hub.redactor`.

    It asks the node's inference process as the media workers do, and connects at the first
    picture that needs it. A picture that cannot be made safe is not given out.
    """

    def __init__(self, socket_path: Path, clock: Clock, *, people_suffice: bool = False) -> None:
        """Make the redactor; opens nothing yet.

        Args:
            socket_path: the inference process's (`run/inference.sock`).
            clock: for deadlines.
            people_suffice: see `covered_labels`.
        """
        self._path = socket_path
        self._clock = clock
        self._people_suffice = people_suffice
        self._client: InferenceClient | None = None

    async def still(self, jpeg: bytes, masks: Iterable[Any], redact: bool) -> bytes:
        """Return the picture as a new JPEG without metadata, masked and, on request, redacted.

        A model that does not find all that must be covered leaves a picture blurred as a whole.

        Args:
            jpeg: any picture that can be decoded; its EXIF orientation is applied.
            masks: the camera's masks as stored (`camera.masks`).
            redact: blur people and vehicles too.

        Raises:
            UnavailableError: code `redaction-away`: nobody can find the people just now.
            InvalidInputError: code `not-a-picture`.
        """
        client = self._connect() if redact else None
        return await asyncio.to_thread(self._still, jpeg, read_masks(masks), client)

    async def film(self, masks: Iterable[Any], stopped: threading.Event) -> FilmRedactor:
        """Return what masks and redacts the recordings of one camera.

        Args:
            masks: the camera's masks as stored (`camera.masks`).
            stopped: when it is set, nobody waits for the pictures any more.

        Raises:
            UnavailableError: code `redaction-away`: nobody can find the people just now.
        """
        client = self._connect()
        if not await asyncio.to_thread(client.wait_connected, _CONNECT_S):
            raise UnavailableError(
                "The people in these recordings cannot be covered: the detector is away.",
                remedy="It is tried again by itself. If that lasts, see whether the detector runs "
                "(page System).",
                code="redaction-away",
            )
        return FilmRedactor(
            client,
            masks=read_masks(masks),
            people_suffice=self._people_suffice,
            stopped=stopped,
        )

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> InferenceClient:
        if self._client is None:
            self._client = InferenceClient(self._path, self._clock)
        return self._client

    def _still(
        self, jpeg: bytes, masks: tuple[Polygon, ...], client: InferenceClient | None
    ) -> bytes:
        picture = read_picture(jpeg)
        if client is not None:
            try:
                self._redact(picture, client)
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

    def _redact(self, picture: Picture, client: InferenceClient) -> None:
        if not client.wait_connected(_CONNECT_S):
            raise DetectorUnavailableError("The inference process is away.")
        labels = covered_labels(client.describe(), people_suffice=self._people_suffice)
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
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        ValueError,
        cv2.error,
    ) as error:
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
