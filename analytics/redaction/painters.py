"""The painters that a media worker gives to its renditions."""

from itertools import count
from uuid import UUID

from analytics.detectors.types import Detector
from analytics.redaction.paint import mask
from analytics.redaction.redactor import Redactor
from camera_hub.streams.painting import Painter, PainterFactory, Polygon, Rendition, Shot
from core.clock import Clock


class MaskPainter:
    """Fills the masks and nothing else (a `Painter`)."""

    def __init__(self, masks: tuple[Polygon, ...]) -> None:
        self._masks = masks
        self._done: list[Shot] = []

    def put(self, shot: Shot) -> None:
        """Fill the masks in a picture."""
        mask(shot.picture, self._masks)
        self._done.append(shot)

    def take(self) -> list[Shot]:
        """Return the pictures put since the last call."""
        done, self._done = self._done, []
        return done

    def close(self) -> None:
        """Forget what waits."""
        self._done.clear()


def painters(detector: Detector, clock: Clock, *, people_suffice: bool = False) -> PainterFactory:
    """Return what makes a camera's painters.

    Args:
        detector: finds people for the redacted renditions; shared, not closed.
        clock: the same that dates the pictures.
        people_suffice: see `analytics.redaction.cover.covered_labels`.
    """

    numbers = count()

    def make(camera_id: UUID, rendition: Rendition, masks: tuple[Polygon, ...]) -> Painter:
        if rendition == "masked":
            return MaskPainter(masks)
        return Redactor(
            detector,
            clock,
            # Of one source only the newest picture is kept, so each stream is one.
            source=f"redact/{camera_id}/{next(numbers)}",
            masks=masks,
            people_suffice=people_suffice,
        )

    return make
