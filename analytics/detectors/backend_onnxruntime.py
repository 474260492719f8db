"""ONNX Runtime on the CPU: for nodes where OpenVINO does not run."""

import ast
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import numpy as np

from analytics.detectors import yolo
from analytics.detectors.types import DetectionFailedError, ModelInfo, Picture, Rows, parse_names
from analytics.models.registry import ModelSpec, not_a_model
from core.errors import InvalidInputError


class OnnxRunner:
    """A session with one thread in front of it; ONNX Runtime spreads each run over the cores."""

    slots = 1

    def __init__(self, spec: ModelSpec, *, threads: int = 0) -> None:
        """Load the model (.onnx).

        Raises:
            InvalidInputError: the file is no ONNX model, or not one that takes one picture.
        """
        import onnxruntime as ort
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        if spec.path.suffix != ".onnx":
            raise InvalidInputError(
                f"The back end onnxruntime reads .onnx files, not {spec.path.name}.",
                remedy="Set analytics.backend to auto, or choose an .onnx model.",
                code="not-a-model",
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._failures = (errors.Fail, errors.InvalidArgument, errors.RuntimeException)
        try:
            self._session = ort.InferenceSession(
                str(spec.path), options, providers=["CPUExecutionProvider"]
            )
        except (
            errors.InvalidProtobuf,
            errors.InvalidGraph,
            errors.NoSuchFile,
            *self._failures,
        ) as e:
            raise not_a_model(spec.path) from e
        picture, *others = self._session.get_inputs()
        if others or len(picture.shape) != 4:
            raise InvalidInputError(
                f"{spec.path} is a model, but not one that takes one picture.",
                remedy="Use a YOLO detection model exported to ONNX.",
                code="not-a-detector",
            )
        self._input = picture.name
        self._type = np.float16 if picture.type == "tensor(float16)" else np.float32
        height, width = (side if isinstance(side, int) else 640 for side in picture.shape[2:])
        names = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        self.info = ModelInfo(
            name=spec.name,
            version=spec.version,
            labels=spec.labels or (parse_names(ast.literal_eval(names)) if names else ()),
            input=(width, height),
            backend="onnxruntime",
            device="CPU",
        )
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime")

    def run(self, canvas: Picture) -> "Future[Rows]":
        """Start one inference."""
        return self._pool.submit(self._run, canvas)

    def _run(self, canvas: Picture) -> Rows:
        tensor = (canvas.transpose(2, 0, 1)[None] / np.float32(255)).astype(self._type)
        try:
            output = self._session.run(None, {self._input: tensor})[0]
            return yolo.decode(np.asarray(output, dtype=np.float32))
        except (ValueError, cv2.error, *self._failures) as error:
            raise DetectionFailedError(f"The detection failed: {error}.") from error

    def close(self) -> None:
        """Wait for what is in work."""
        self._pool.shutdown(wait=True)
