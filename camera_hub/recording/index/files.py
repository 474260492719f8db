"""Files of recordings on their disks: found, and taken away with care. Blocking; call in a thread.

A disk has a marker file with its name. Where it is missing the disk is not there: an empty mount
point, or another disk in its place, must not pass for a disk whose files are all gone.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from camera_hub.recording.disks import MARKER
from camera_hub.recording.index.schemas import DiskPlace, SegmentRow

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Unlinked:
    """What became of files: `gone` are no longer there, `kept` are, with the reason."""

    gone: list[UUID] = field(default_factory=list)
    kept: dict[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """Space of the file system that a disk lies on, in bytes. `free`: for us to write."""

    total: int
    free: int


def is_there(disk: DiskPlace) -> bool:
    """Say whether a disk is where the settings say, and is one of ours."""
    with _opened(disk) as root:
        return root is not None


def room_of(disk: DiskPlace) -> Room | None:
    """Return the space of a disk, or None if it is not there."""
    if not is_there(disk):
        return None
    try:
        found = os.statvfs(disk.path)
    except OSError:
        return None
    return Room(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


@contextmanager
def _opened(disk: DiskPlace) -> Iterator[int | None]:
    """Hold the folder of a disk open: what is mounted there later is another one. None: away."""
    try:
        root = os.open(disk.path, _FOLDER & ~os.O_NOFOLLOW)
    except OSError:
        yield None
        return
    try:
        yield root if _marked(root, disk.name) else None
    finally:
        os.close(root)


def unlink(disk: DiskPlace, rows: Sequence[SegmentRow]) -> Unlinked:
    """Remove the files of `rows`, all of `disk`; a missing one is gone.

    Only regular files in their folders below the disk's own: no link is followed.
    """
    done = Unlinked()
    with _opened(disk) as root:
        if root is None:
            done.kept.update(dict.fromkeys((row.id for row in rows), "the disk is not there"))
            return done
        for row in rows:
            try:
                _unlink(root, row.path)
            except FileNotFoundError:
                done.gone.append(row.id)
            except OSError as error:
                done.kept[row.id] = error.strerror or type(error).__name__
            else:
                done.gone.append(row.id)
        if not _marked(root, disk.name):
            # It went away meanwhile: what seemed missing may be there.
            done.kept.update(dict.fromkeys(done.gone, "the disk went away"))
            done.gone.clear()
    return done


def _marked(root: int, name: str) -> bool:
    try:
        marker = os.open(MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
    except OSError:
        return False
    try:
        return os.read(marker, 100).decode(errors="replace").strip() == name
    except OSError:
        return False
    finally:
        os.close(marker)


def _unlink(root: int, path: str) -> None:
    camera, day, name = path.split("/")
    camera_folder = os.open(camera, _FOLDER, dir_fd=root)
    try:
        day_folder = os.open(day, _FOLDER, dir_fd=camera_folder)
        try:
            if not stat.S_ISREG(os.lstat(name, dir_fd=day_folder).st_mode):
                raise OSError(0, "it is no regular file")
            os.unlink(name, dir_fd=day_folder)
        finally:
            os.close(day_folder)
    finally:
        os.close(camera_folder)


def tidy(disk: DiskPlace, folders: Sequence[str], today: str) -> None:
    """Remove those of `folders` (`camera/day`) that are empty and of a day before `today`."""
    with _opened(disk) as root:
        if root is None:
            return
        for folder in folders:
            camera, day = folder.split("/")
            if day >= today:
                continue
            with suppress(OSError):
                inner = os.open(camera, _FOLDER, dir_fd=root)
                try:
                    os.rmdir(day, dir_fd=inner)
                finally:
                    os.close(inner)
