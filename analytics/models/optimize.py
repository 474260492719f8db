"""INT8 models, calibrated on the site's own pictures, with what that costs and gains.

Post-training quantisation by NNCF (extra `optimize`). Accuracy is measured against the original
model on pictures that were not used for calibration: how many of its sure detections the new
model finds again, and how well their boxes overlap.
"""

import importlib.util
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from analytics.detectors.canvas import compose
from analytics.detectors.factory import open_runner
from analytics.detectors.types import CanvasRunner, Picture, Rows
from analytics.models.registry import ModelSpec, resolve
from core.clock import Clock
from core.errors import InvalidInputError, UnavailableError

Step = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_HELD_OUT = 4  # every fourth picture measures, the others calibrate
_LEAST = 16
_SURE = 0.4
_FOUND = 0.25
_SAME_OBJECT = 0.5


@dataclass(frozen=True, slots=True)
class Optimised:
    """What `optimize` made. Milliseconds are for one picture at the model's full throughput."""

    path: Path
    pictures: int
    objects: int
    recall: float
    mean_iou: float
    before_ms: float
    after_ms: float

    @property
    def speed_ratio(self) -> float:
        """How many times faster the new model is."""
        return self.before_ms / self.after_ms


def optimize(
    name: str,
    footage: Path,
    models_dir: Path,
    clock: Clock,
    *,
    pictures: int = 200,
    progress: Step | None = None,
) -> Optimised:
    """Make an INT8 version of a model; from then on its name means that version.

    Args:
        name: as for `resolve`; not a .pt file.
        footage: a video file, a picture, or a folder of both, searched in depth.
        models_dir: where the new model goes, as `<name>_int8_openvino_model`.
        clock: measures the speed.
        pictures: how many pictures to take at most, evenly spread.
        progress: told what is being done.

    Raises:
        UnavailableError: the extra is not installed.
        InvalidInputError: too few pictures, or a model that cannot be made INT8.
        NotFoundError: no such model.
    """
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError(
            "Optimising needs the package nncf, which is not installed.",
            remedy="Run `pip install camera-hub[optimize]`.",
            code="extra-missing",
        )
    tell = progress or _silent
    spec = resolve(name, models_dir)
    runner = open_runner(spec, backend="openvino")
    try:
        model = _original(spec, runner.info.input)
        found = collect(footage, pictures)
        canvases = [compose([picture], runner.info.input)[0] for picture in found]
        held_out = canvases[::_HELD_OUT]
        calibration = [c for i, c in enumerate(canvases) if i % _HELD_OUT]
        path = _save(_quantise(model, calibration, tell), runner, spec, models_dir)
        after = open_runner(replace(spec, path=path), backend="openvino")
        try:
            return _measure(path, (runner, after), held_out, clock, tell)
        finally:
            after.close()
    finally:
        runner.close()


def _silent(_what: str, _done: int, _total: int) -> None:
    return None


def _original(spec: ModelSpec, size: tuple[int, int]) -> Any:
    """Read the model to be made INT8, with open dimensions fixed.

    Raises:
        InvalidInputError: it is INT8 already.
    """
    import openvino as ov

    model = ov.Core().read_model(spec.path)
    if any(node.get_type_name() == "FakeQuantize" for node in model.get_ops()):
        raise InvalidInputError(
            f"{spec.path} is an INT8 model already.",
            remedy="Optimise the original model.",
            code="already-optimised",
        )
    if model.is_dynamic():
        model.reshape([1, 3, size[1], size[0]])
    return model


def _quantise(model: Any, pictures: Sequence[Picture], tell: Step) -> Any:
    import nncf

    done = 0

    def tensor(canvas: Picture) -> NDArray[np.float32]:
        nonlocal done
        done = min(done + 1, len(pictures))
        tell("calibrating", done, len(pictures))
        return (canvas.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)

    try:
        return nncf.quantize(
            model,
            nncf.Dataset(pictures, tensor),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(pictures),
            # The last block joins boxes in pixels and scores in 0..1 into one tensor: one scale
            # for both would leave nothing of the scores.
            ignored_scope=_last_block(nncf, model),
        )
    except (RuntimeError, ValueError, nncf.ValidationError) as error:
        raise InvalidInputError(
            f"The model cannot be made INT8: {str(error).splitlines()[0]}", code="not-optimisable"
        ) from error


def _last_block(nncf: Any, model: Any) -> Any:
    """Return everything between the model's output and the last convolutions before it."""
    names: list[str] = []
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    seen: set[str] = set()
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        kind = node.get_type_name()
        if name in seen or kind in {"Convolution", "GroupConvolution", "Parameter", "Constant"}:
            continue
        seen.add(name)
        if kind in {"Concat", "Multiply", "Subtract", "Add", "Sigmoid", "Divide"}:
            names.append(name)
        waiting += [source.get_node() for source in node.input_values()]
    return nncf.IgnoredScope(names=names)


def _save(model: Any, runner: CanvasRunner, spec: ModelSpec, models_dir: Path) -> Path:
    import openvino as ov

    models_dir.mkdir(parents=True, exist_ok=True)
    target = models_dir / f"{spec.name}_int8_openvino_model"
    with tempfile.TemporaryDirectory(dir=models_dir) as folder:
        made = Path(folder) / "model"
        made.mkdir()
        ov.save_model(model, made / f"{spec.name}.xml", compress_to_fp16=False)
        about = {
            "version": spec.version.partition("+")[0],
            "names": dict(enumerate(runner.info.labels)),
            "made_from": spec.version,
        }
        text = yaml.safe_dump(about, allow_unicode=True, sort_keys=False)
        (made / "metadata.yaml").write_text(text, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        made.replace(target)
    return target / f"{spec.name}.xml"


def _measure(
    path: Path,
    runners: tuple[CanvasRunner, CanvasRunner],
    held_out: Sequence[Picture],
    clock: Clock,
    tell: Step,
) -> Optimised:
    """Run both models, the original first, over the same pictures."""
    before, after = runners
    tell("measuring", 0, 2)
    expected, before_ms = _run_all(before, held_out, clock)
    tell("measuring", 1, 2)
    got, after_ms = _run_all(after, held_out, clock)
    tell("measuring", 2, 2)
    overlaps = [overlap for a, b in zip(expected, got, strict=True) for overlap in _matches(a, b)]
    again = [overlap for overlap in overlaps if overlap >= _SAME_OBJECT]
    return Optimised(
        path=path,
        pictures=len(held_out),
        objects=len(overlaps),
        recall=len(again) / len(overlaps) if overlaps else 1.0,
        mean_iou=float(np.mean(again)) if again else 0.0,
        before_ms=before_ms,
        after_ms=after_ms,
    )


def _run_all(
    runner: CanvasRunner, canvases: Sequence[Picture], clock: Clock
) -> tuple[list[Rows], float]:
    """Return the detections in each canvas, and milliseconds per canvas with the queue full."""
    runner.run(canvases[0]).result()
    gate = threading.Semaphore(runner.slots)
    started = clock.monotonic()
    futures = []
    for canvas in canvases:
        gate.acquire()
        future = runner.run(canvas)
        future.add_done_callback(lambda _done: gate.release())
        futures.append(future)
    rows = [future.result() for future in futures]
    return rows, (clock.monotonic() - started) * 1000 / len(canvases)


def _matches(expected: Rows, got: Rows) -> Iterator[float]:
    """Yield for each sure expected object its best overlap with one of the same class."""
    candidates = got[got[:, 4] >= _FOUND]
    for row in expected[expected[:, 4] >= _SURE]:
        same = candidates[candidates[:, 5] == row[5]]
        yield float(overlaps(row[:4], same[:, :4]).max()) if len(same) else 0.0


def overlaps(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the intersection over union of one box (4,) with each of `boxes` (n, 4)."""
    corner = np.maximum(box[:2], boxes[:, :2])
    sides = np.clip(np.minimum(box[2:], boxes[:, 2:]) - corner, 0, None)
    shared = sides[:, 0] * sides[:, 1]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    own = (box[2] - box[0]) * (box[3] - box[1])
    return np.asarray(shared / np.maximum(areas + own - shared, 1e-9), dtype=np.float32)


def collect(footage: Path, count: int) -> list[Picture]:
    """Return up to `count` pictures (RGB), spread evenly over the footage.

    Raises:
        InvalidInputError: there is no footage, or it holds fewer than 16 pictures.
    """
    files = sorted(p for p in footage.rglob("*") if p.is_file()) if footage.is_dir() else [footage]
    stills = [path for path in files if path.suffix.lower() in _PICTURES]
    clips = [path for path in files if path not in stills and _is_video(path)]
    found: list[Picture] = []
    step = max(1, len(stills) // count)
    for path in stills[::step][:count]:
        picture = cv2.imread(str(path))
        if picture is not None:
            found.append(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
    left = count - len(found)
    for index, path in enumerate(clips):
        share = left // (len(clips) - index)
        taken = _from_clip(path, share) if share else []
        found += taken
        left -= len(taken)
    if len(found) < _LEAST:
        raise InvalidInputError(
            f"{footage} holds {len(found)} pictures; at least {_LEAST} are needed.",
            remedy="Give a recording of the site's own cameras, or a folder of them.",
            code="too-few-pictures",
        )
    return found


def _open(path: Path) -> Any:
    return av.open(
        str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
    )


def _is_video(path: Path) -> bool:
    try:
        with _open(path) as container:
            return bool(container.streams.video)
    except (av.FFmpegError, ValueError):
        return False


def _from_clip(path: Path, count: int) -> list[Picture]:
    """Return `count` pictures spread over a clip; none where it is no video."""
    try:
        with _open(path) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            total = stream.frames or round(
                float(container.duration or 0) / 1e6 * float(stream.average_rate or 25)
            )
            step = max(1, total // count)
            taken: list[Picture] = []
            for number, frame in enumerate(container.decode(stream)):
                if number % step == 0:
                    taken.append(frame.to_ndarray(format="rgb24").astype(np.uint8))
                if len(taken) == count:
                    break
            return taken
    except (av.FFmpegError, ValueError):
        return []
