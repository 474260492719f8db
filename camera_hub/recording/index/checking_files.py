"""What a check reads of a disk: folders, the files in them, and what a file says of itself.

Nothing is followed out of the disk: neither a file nor a folder that is a symbolic link.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import ValidationError

from camera_hub.recording.format import CLOSED_SUFFIX, FormatError, Scan
from camera_hub.recording.index.schemas import PATH, DiskPlace, SegmentIn
from camera_hub.recording.scanning import scan

_FOLDER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_PATH = re.compile(PATH)


@dataclass(frozen=True, slots=True)
class Found:
    """A file in a folder of one day; `changed_s` is when it was, in seconds since 1970."""

    path: str
    size: int
    changed_s: float


@dataclass(slots=True)
class Listing:
    """What lies in a folder: closed files by their path below the disk's, and what is none.

    `strange`: what has the name of a film and is a link, a folder, or not named as ours are; the
    folder itself where it is a link.
    """

    files: dict[str, Found] = field(default_factory=dict)
    strange: list[Found] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """What files say of themselves, and by their path the sites that wrote them."""

    segments: list[SegmentIn] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    sites: dict[str, str] = field(default_factory=dict)


def folders(disk: DiskPlace) -> list[tuple[str, str]]:
    """Return camera and day of each folder of recordings; nothing else is looked into.

    Raises:
        OSError: the disk refuses.
    """
    found: list[tuple[str, str]] = []
    with os.scandir(disk.path) as cameras:
        for camera in cameras:
            if not _FOLDER.fullmatch(camera.name) or not camera.is_dir(follow_symlinks=False):
                continue
            with os.scandir(camera.path) as days:
                for day in days:
                    if _DATE.fullmatch(day.name) and day.is_dir(follow_symlinks=False):
                        found.append((camera.name, day.name))
    return found


def listed(disk: DiskPlace, folder: str) -> Listing:
    """Return what lies in the folder of a camera and day.

    Raises:
        OSError: the disk refuses.
    """
    found = Listing()
    path = disk.path / folder
    for part in (path.parent, path):
        if (part.is_symlink() or part.exists()) and (part.is_symlink() or not part.is_dir()):
            found.strange.append(_found(part.relative_to(disk.path).as_posix(), part.lstat()))
            return found
    try:
        entries = os.scandir(path)
    except FileNotFoundError:
        return found
    with entries:
        for entry in sorted(entries, key=lambda one: one.name):
            if not entry.name.endswith(CLOSED_SUFFIX):
                continue
            try:
                one = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            item = _found(f"{folder}/{entry.name}", one)
            if stat.S_ISREG(one.st_mode) and _PATH.fullmatch(item.path):
                found.files[item.path] = item
            else:
                found.strange.append(item)
    return found


def _found(path: str, info: os.stat_result) -> Found:
    return Found(path, info.st_size, info.st_mtime)


def read_all(disk: DiskPlace, found: Iterable[Found], *, with_hash: bool) -> Reading:
    """Read what files say of themselves."""
    reading = Reading()
    for one in found:
        try:
            digest = hash_of(disk, one.path) if with_hash else ""
            scanned = scan(disk.path / one.path)
            segment = describe(scanned, disk.name, one.path, one.size, digest)
        except FileNotFoundError:
            continue
        except (FormatError, ValidationError, OSError):
            reading.broken.append(one.path)
            continue
        reading.segments.append(segment)
        reading.sites[one.path] = scanned.header.site
    return reading


def describe(found: Scan, disk: str, path: str, size: int, sha256: str | None) -> SegmentIn:
    """Return the row that a file tells of.

    Raises:
        ValidationError: it tells of none.
        FormatError: it is not a closed file, or lies in the folder of another camera.
    """
    header = found.header
    if not found.closed:
        raise FormatError("the file was never closed")
    return SegmentIn(
        id=header.segment_id,
        camera_id=header.camera_id,
        role=header.role,
        started_at=header.started_at,
        ends_at=found.ends_at,
        bytes=size,
        sha256=sha256 or "",
        disk=disk,
        path=path,
        sequence=header.sequence,
        codec=header.codec,
        width=header.width,
        height=header.height,
        cause=header.cause,
        clock=header.clock,
        motion=found.motion,
    )


def hash_of(disk: DiskPlace, path: str) -> str | None:
    """Return the SHA-256 of a file, or None if it is gone."""
    try:
        with (disk.path / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
