"""Ultralytics (extra): loads any YOLO .pt, on the GPU where there is one, and exports it.

A .pt file is a pickle, which is a program: load only files whose maker you trust. The other back
ends read files that hold no code.
"""

import importlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from analytics.detectors.types import (
    SCORE_FLOOR,
    DetectionFailedError,
    ModelInfo,
    Picture,
    Rows,
    no_rows,
    parse_names,
)
from analytics.models.registry import ModelSpec, not_a_model
from core.errors import InvalidInputError, UnavailableError


def _load(path: Path) -> Any:
    try:
        from ultralytics import YOLO
    except ImportError as error:
        raise UnavailableError(
            f"{path.name} needs the package ultralytics, which is not installed.",
            remedy="Run `pip install camera-hub[ultralytics]`.",
            code="extra-missing",
        ) from error
    if not path.is_file():
        # Ultralytics would look on the network for a file that is not there.
        raise not_a_model(path)
    try:
        return YOLO(str(path), task="detect")
    except (RuntimeError, ValueError, TypeError, KeyError, EOFError, ImportError, OSError) as error:
        raise not_a_model(path) from error


class UltralyticsRunner:
    """A model on torch; on the first GPU when torch sees one."""

    slots = 1

    def __init__(self, spec: ModelSpec, *, threads: int = 0) -> None:
        """Load the model (.pt, or anything else that ultralytics reads).

        Raises:
            UnavailableError: the extra is not installed.
            InvalidInputError: the file is no model.
        """
        self._model = _load(spec.path)
        torch = importlib.import_module("torch")
        if threads:
            torch.set_num_threads(threads)
        self._device = "cuda:0" if torch.cuda.is_available() else "cpu"
        self.info = ModelInfo(
            name=spec.name,
            version=spec.version,
            labels=spec.labels or parse_names(self._model.names),
            input=(640, 640),
            backend="ultralytics",
            device=torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU",
        )
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ultralytics")

    def run(self, canvas: Picture) -> "Future[Rows]":
        """Start one inference."""
        return self._pool.submit(self._run, canvas)

    def _run(self, canvas: Picture) -> Rows:
        try:
            # It takes arrays as OpenCV has them: blue first.
            found = self._model.predict(
                np.ascontiguousarray(canvas[..., ::-1]),
                imgsz=640,
                conf=SCORE_FLOOR,
                iou=0.5,
                device=self._device,
                verbose=False,
            )
        except (RuntimeError, ValueError) as error:
            raise DetectionFailedError(f"The detection failed: {error}.") from error
        boxes = found[0].boxes
        if boxes is None or len(boxes) == 0:
            return no_rows()
        return np.concatenate(
            [
                boxes.xyxy.cpu().numpy(),
                boxes.conf.cpu().numpy()[:, None],
                boxes.cls.cpu().numpy()[:, None],
            ],
            axis=1,
        ).astype(np.float32)

    def close(self) -> None:
        """Wait for what is in work."""
        self._pool.shutdown(wait=True)


def export_openvino(path: Path, size: int = 640) -> Path:
    """Export a YOLO .pt to OpenVINO beside it and return the .xml.

    Raises:
        UnavailableError: the extra is not installed.
        InvalidInputError: the file is no model, or ultralytics could not export it.
    """
    model = _load(path)
    try:
        folder = Path(str(model.export(format="openvino", imgsz=size)))
    except (RuntimeError, ValueError, OSError) as error:
        raise InvalidInputError(
            f"{path} could not be exported to OpenVINO: {error}.", code="export-failed"
        ) from error
    return sorted(folder.glob("*.xml"))[0]
