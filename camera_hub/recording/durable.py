"""Writing so that a kill or a power cut leaves the whole or nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Make a new file that is whole or not there, whatever is killed.

    Raises:
        FileExistsError: there is one already.
        OSError: the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, in one call where the system takes it in one.

    Raises:
        OSError: the disk refuses.
    """
    written = os.write(descriptor, data)
    while written < len(data):
        data = data[written:]
        written = os.write(descriptor, data)


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
