"""OpenVINO on the CPU: the default back end."""

import ast
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from analytics.detectors import yolo
from analytics.detectors.types import (
    DetectionFailedError,
    ModelInfo,
    Picture,
    Rows,
    parse_names,
)
from analytics.models.registry import ModelSpec, not_a_model
from core.errors import InvalidInputError


def _has_amx() -> bool:
    """Return whether the CPU multiplies bfloat16 matrices in hardware."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "amx_bf16" in flags


def _precision(model: Any) -> str:
    """Return the precision for the layers that are not INT8.

    Without AMX bfloat16 is emulated and 1.6 times slower than float32; with it four times
    faster. A quantised model gains nothing from it (docs/design/analytics.md).
    """
    quantised = any(node.get_type_name() == "FakeQuantize" for node in model.get_ops())
    return "bf16" if _has_amx() and not quantised else "f32"


class OpenVinoRunner:
    """A compiled model with its own queue of inference requests."""

    def __init__(self, spec: ModelSpec, *, threads: int = 0) -> None:
        """Load and compile the model.

        Args:
            spec: what to load (.xml or .onnx).
            threads: inference threads; 0 takes all cores.

        Raises:
            InvalidInputError: the file is no model, or not one that detects objects.
        """
        import openvino as ov
        from openvino.preprocess import PrePostProcessor

        core = ov.Core()
        try:
            model = core.read_model(spec.path)
        except RuntimeError as error:
            raise not_a_model(spec.path) from error
        self._size = _input_size(model, spec.path)
        # The picture goes in as it is (uint8, height x width x RGB); the runtime converts it.
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NCHW"))
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": _precision(model),
        }
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = core.compile_model(steps.build(), "CPU", options)
        except RuntimeError as error:
            raise not_a_model(spec.path) from error
        self._queue = ov.AsyncInferQueue(compiled)
        self._queue.set_callback(_finish)
        self.slots = len(self._queue)
        self.info = ModelInfo(
            name=spec.name,
            version=spec.version,
            labels=spec.labels or _labels(model, spec.path),
            input=self._size,
            backend="openvino",
            device=str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip(),
        )

    def run(self, canvas: Picture) -> "Future[Rows]":
        """Start one inference; blocks while all requests are busy."""
        future: Future[Rows] = Future()
        future.set_running_or_notify_cancel()
        try:
            self._queue.start_async({0: canvas[None]}, userdata=future)
        except RuntimeError as error:
            future.set_exception(
                DetectionFailedError(f"The model refused a picture: {_first_line(error)}.")
            )
        return future

    def close(self) -> None:
        """Wait for what is in work."""
        self._queue.wait_all()


def _finish(request: Any, future: "Future[Rows]") -> None:
    # Runs on one of OpenVINO's threads; anything raised here would stop its whole queue.
    try:
        output = np.asarray(request.get_output_tensor(0).data, dtype=np.float32)
        future.set_result(yolo.decode(output))
    except (RuntimeError, ValueError, cv2.error) as error:
        future.set_exception(DetectionFailedError(f"The detection failed: {_first_line(error)}."))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"


def _input_size(model: Any, path: Path) -> tuple[int, int]:
    """Return (width, height) of the model's one picture input, fixing open dimensions at 640."""
    if len(model.inputs) != 1 or len(model.input().partial_shape) != 4:
        raise InvalidInputError(
            f"{path} is a model, but not one that takes one picture.",
            remedy="Use a YOLO detection model exported to OpenVINO or ONNX.",
            code="not-a-detector",
        )
    shape = model.input().partial_shape
    if shape.is_dynamic:
        height, width = (d.get_length() if d.is_static else 640 for d in (shape[2], shape[3]))
        model.reshape([1, 3, height, width])
    _, _, height, width = model.input().shape
    return int(width), int(height)


def _labels(model: Any, path: Path) -> tuple[str, ...]:
    """Return the class names kept beside the model or in it; empty when there are none."""
    beside = path.with_name("metadata.yaml")
    if path.suffix == ".xml" and beside.is_file():
        content = yaml.safe_load(beside.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return parse_names(content.get("names"))
    info = model.get_rt_info()
    try:
        if "framework" in info and "names" in info["framework"]:
            return parse_names(ast.literal_eval(info["framework"]["names"].astype(str)))
        if "model_info" in info and "labels" in info["model_info"]:
            return tuple(info["model_info"]["labels"].astype(str).split())
    except (ValueError, SyntaxError, KeyError, RuntimeError):
        return ()
    return ()
