"""Single pictures for the API: incident pictures, exports, snapshots."""

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.detectors.client import InferenceClient
from camera_hub.streams.painting import read_masks
from core.clock import Clock
from core.errors import UnavailableError

if TYPE_CHECKING:
    # With OpenCV: imported in the threads that paint, and not by whoever paints nothing.
    from analytics.redaction.film import FilmRedactor

_CONNECT_S = 2.0


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
        return await asyncio.to_thread(self._still, jpeg, masks, client)

    async def film(self, masks: Iterable[Any], stopped: threading.Event) -> "FilmRedactor":
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
        return await asyncio.to_thread(self._film, client, masks, stopped)

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> InferenceClient:
        if self._client is None:
            self._client = InferenceClient(self._path, self._clock)
        return self._client

    def _still(self, jpeg: bytes, masks: Iterable[Any], client: InferenceClient | None) -> bytes:
        from analytics.redaction.still_picture import made_safe

        return made_safe(jpeg, read_masks(masks), client, people_suffice=self._people_suffice)

    def _film(
        self, client: InferenceClient, masks: Iterable[Any], stopped: threading.Event
    ) -> "FilmRedactor":
        from analytics.redaction.film import FilmRedactor

        return FilmRedactor(
            client,
            masks=read_masks(masks),
            people_suffice=self._people_suffice,
            stopped=stopped,
        )
