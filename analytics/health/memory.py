"""What was learned of each camera's pictures, in a file that outlives the process.

Without it a lens covered while a worker starts would be learned as usual, and a fault said
before would never be taken back. It holds a map of edges of 80 x 45, and no picture.
"""

import base64
import binascii
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import numpy as np
import orjson

from analytics.health.checker import Fault, Usual
from analytics.health.measures import EDGES
from core.logging import get_logger

_FAULTS = frozenset(get_args(Fault))
_STEP = 64.0
"""Edges are kept as bytes, in parts of this..."""
_HIDDEN = 255
"""...and this where nothing was visible."""
_log = get_logger("analytics.health")


class HealthMemory:
    """Files in a directory, one for each camera. Reading and writing never fail loudly."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, camera_id: UUID) -> tuple[Usual | None, dict[Fault, str]]:
        """Return what is usual, and the event keys of faults that were said; empty if unknown."""
        try:
            found = orjson.loads(self._path(camera_id).read_bytes())
            return _usual_of(found.get("usual")), _keys_of(found.get("faults"))
        except (OSError, orjson.JSONDecodeError, AttributeError):
            return None, {}

    def save(self, camera_id: UUID, usual: Usual | None, keys: dict[Fault, str]) -> None:
        """Write it; what cannot be written is learned anew after a restart."""
        content: dict[str, Any] = {"faults": dict(keys), "usual": None}
        if usual is not None:
            edges = np.nan_to_num(np.clip(usual.edges * _STEP, 0, _HIDDEN - 1), nan=_HIDDEN)
            content["usual"] = {
                "contrast": usual.contrast,
                "detail": usual.detail,
                "sharpness": usual.sharpness,
                "seen_s": usual.seen_s,
                "edges": base64.b64encode(edges.astype(np.uint8).tobytes()).decode("ascii"),
            }
        path = self._path(camera_id)
        temporary = path.with_suffix(".tmp")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_bytes(orjson.dumps(content))
            temporary.replace(path)
        except OSError as error:
            _log.warning("health memory cannot be written", reason=error.strerror)

    def forget(self, camera_id: UUID) -> None:
        """Remove what is known of a camera."""
        try:
            self._path(camera_id).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("health memory cannot be removed", reason=error.strerror)

    def _path(self, camera_id: UUID) -> Path:
        return self._directory / f"{camera_id}.json"


def _usual_of(found: Any) -> Usual | None:
    try:
        stored = np.frombuffer(base64.b64decode(found["edges"], validate=True), np.uint8)
        edges = stored.reshape(EDGES[1], EDGES[0]).astype(np.float32) / np.float32(_STEP)
        numbers = [float(found[name]) for name in ("contrast", "detail", "sharpness", "seen_s")]
    except (TypeError, KeyError, ValueError, binascii.Error):
        return None
    edges[stored.reshape(edges.shape) == _HIDDEN] = np.nan
    if not all(np.isfinite(numbers)):
        return None
    contrast, detail, sharpness, seen_s = numbers
    return Usual(contrast, detail, sharpness, edges, seen_s)


def _keys_of(found: Any) -> dict[Fault, str]:
    if not isinstance(found, dict):
        return {}
    return {fault: str(key) for fault, key in found.items() if fault in _FAULTS}
