"""Choosing the back end for a model file."""

from analytics.detectors.local import LocalDetector
from analytics.detectors.types import CanvasRunner
from analytics.models.registry import ModelSpec
from core.clock import Clock


def open_runner(spec: ModelSpec, *, backend: str = "auto", threads: int = 0) -> CanvasRunner:
    """Load a model.

    Args:
        spec: from `analytics.models.registry.resolve`.
        backend: `openvino`, `onnxruntime`, `ultralytics`, or `auto`: ultralytics for a .pt,
            OpenVINO for everything else.
        threads: inference threads; 0 takes all cores.

    Raises:
        InvalidInputError: the file is no model for this back end.
        UnavailableError: the back end is an extra that is not installed.
    """
    if backend == "auto":
        backend = "ultralytics" if spec.path.suffix == ".pt" else "openvino"
    if backend == "ultralytics":
        from analytics.detectors.backend_ultralytics import UltralyticsRunner

        return UltralyticsRunner(spec, threads=threads)
    if backend == "onnxruntime":
        from analytics.detectors.backend_onnxruntime import OnnxRunner

        return OnnxRunner(spec, threads=threads)
    from analytics.detectors.backend_openvino import OpenVinoRunner

    return OpenVinoRunner(spec, threads=threads)


def open_detector(
    spec: ModelSpec, clock: Clock, *, backend: str = "auto", threads: int = 0
) -> LocalDetector:
    """Load a model and put the shared queue before it; raises as `open_runner` does."""
    return LocalDetector(open_runner(spec, backend=backend, threads=threads), clock)
