"""Files that are there whole or not at all, whatever is killed and whenever the power goes."""

from __future__ import annotations

import os
from pathlib import Path

from core.ids import new_id

UNFINISHED = ".tmp"
"""How the names of files end that a kill has left unfinished: nobody reads them."""


def write_new(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that was not there; its content is durable, its name after `sync_folder`.

    A kill may leave a part of it: it is for names that nobody reads yet.

    Raises:
        FileExistsError: there is one already.
        OSError: the disk refuses.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_once(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Make a file that is whole from the moment it has its name; never in the place of another.

    Raises:
        FileExistsError: there is one already, and it is whole.
        OSError: the disk refuses.
    """
    fresh = _beside(path)
    try:
        write_new(fresh, content, mode=mode)
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put a file in the place of what is there, if anything is; readers find either, whole.

    Raises:
        OSError: the disk refuses; what was there before still is.
    """
    fresh = _beside(path)
    try:
        write_new(fresh, content, mode=mode)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_all(descriptor: int, content: bytes) -> None:
    """Write everything, in one call where the system takes it in one.

    Raises:
        OSError: the disk refuses.
    """
    written = os.write(descriptor, content)
    while written < len(content):
        content = content[written:]
        written = os.write(descriptor, content)


def sync_folder(path: Path) -> None:
    """Bring a folder's names to the disk.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{new_id().hex}{UNFINISHED}")
