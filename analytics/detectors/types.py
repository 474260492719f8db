"""What every detector speaks."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import UnavailableError

Picture = NDArray[np.uint8]
"""RGB, uint8, shape (height, width, 3)."""

Rows = NDArray[np.float32]
"""Detections: float32, shape (n, 6): x1, y1, x2, y2 in pixels of the picture, score, class."""

SCORE_FLOOR = 0.1
"""Rows below this score never leave a detector; the tracker makes use of weak ones above it."""


def no_rows() -> Rows:
    """Return an empty table of detections."""
    return np.empty((0, 6), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model answers, and on what. `input` is (width, height) in pixels."""

    name: str
    version: str
    labels: tuple[str, ...]
    input: tuple[int, int]
    backend: str
    device: str

    def to_json(self) -> dict[str, Any]:
        """Return the `model` of the inference socket's greeting (docs/design/processes.md)."""
        return {**asdict(self), "labels": list(self.labels), "input": list(self.input)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ModelInfo":
        """Read what `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: `data` has not the agreed shape.
        """
        width, height = data["input"]
        return cls(
            name=str(data["name"]),
            version=str(data["version"]),
            labels=tuple(str(label) for label in data["labels"]),
            input=(int(width), int(height)),
            backend=str(data["backend"]),
            device=str(data["device"]),
        )

    def label(self, number: float) -> str:
        """Return the label of a class number; a number the model does not name stays a number."""
        index = int(number)
        return self.labels[index] if 0 <= index < len(self.labels) else str(index)


class DetectorUnavailableError(UnavailableError):
    """The detector cannot be reached; the frame counts as dropped."""

    code = "detector-unavailable"


class DetectionLateError(UnavailableError):
    """The frame's deadline passed before its turn came; it counts as dropped."""

    code = "late"


class DetectionFailedError(UnavailableError):
    """The detector could not work on this picture; the frame counts as dropped."""

    code = "detection-failed"


class Detector(Protocol):
    """Finds objects in pictures, several at a time."""

    def describe(self) -> ModelInfo:
        """Return the model in use.

        Raises:
            DetectorUnavailableError: not known, because the inference process is away.
        """
        ...

    def submit(self, picture: Picture, *, deadline_ms: int, source: str = "") -> "Future[Rows]":
        """Start a detection and return at once.

        Of pictures with the same `source` that wait, only the newest is kept. The future fails
        with DetectionLateError, DetectorUnavailableError or DetectionFailedError.
        """
        ...

    def close(self) -> None:
        """Fail what waits, and let go of the model or connection."""
        ...


class CanvasRunner(Protocol):
    """A model on one runtime: takes pictures of exactly its own input size."""

    info: ModelInfo
    slots: int
    """How many canvases may be in work at once without waiting."""

    def run(self, canvas: Picture) -> "Future[Rows]":
        """Start one inference; rows are in pixels of the canvas. May block while slots are full."""
        ...

    def close(self) -> None:
        """Wait for what is in work and let go of the model."""
        ...


def parse_names(value: object) -> tuple[str, ...]:
    """Return labels from a mapping {0: "person"} or a list, as exporters write them."""
    if isinstance(value, dict):
        return tuple(str(value[key]) for key in sorted(value, key=int))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(str(item) for item in value)
    return ()
