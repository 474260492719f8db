"""Puts the zip of an export in place: whole and durable, or not there at all."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import UUID

import orjson

from core.durable import sync_folder
from core.errors import UnavailableError
from governance.exports import archive, package
from governance.exports.archive import Member
from governance.exports.models import ExportRequest

LIST = "prepared.json"
"""In the folder of what was prepared: what the manifest says of it, and the hash of each file."""

PART = ".part"
WORK = ".work"
"""How what is not whole yet is called, a file and a folder."""

_KEPT_FREE = 256 * 1024**2


class Writable(Protocol):
    """Where a recording is written to."""

    def write(self, data: bytes, /) -> int:
        """Write bytes; return how many."""
        ...


Opened = Callable[[str], AbstractContextManager[Writable]]
"""Opens the file of a recording by its name, such as `1.mp4`, to be written once, in order."""


class NoRoomError(UnavailableError):
    """The disk of exports has not enough room for what is asked for."""

    code = "no-room"


def check_room(folder: Path, needed: int) -> None:
    """Raise unless the disk of `folder` has room for `needed` bytes, before anything is written.

    Raises:
        NoRoomError: says how much is needed and how much there is.
        OSError: the disk cannot be asked.
    """
    free = shutil.disk_usage(folder).free - _KEPT_FREE
    if needed > free:
        raise NoRoomError(
            f"The export needs {_size(needed)} on the disk of the data directory, and "
            f"{_size(max(0, free))} of it can be used.",
            remedy="Make room there, or ask for less at once.",
        )


def begin(path: Path) -> BinaryIO:
    """Open the file that `end` gives the name `path`; what a killed build left there goes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = path.with_suffix(PART).open("w+b")
    os.fchmod(file.fileno(), 0o600)
    return file


def end(file: BinaryIO, path: Path) -> tuple[int, str]:
    """Make a file durable, then give it its name; return its size and SHA-256."""
    size, digest = hash_file(file)
    file.flush()
    os.fsync(file.fileno())
    path.with_suffix(PART).replace(path)
    sync_folder(path.parent)
    return size, digest


def leave(file: BinaryIO, path: Path) -> None:
    """Close a file; one that has not got its name goes."""
    file.close()
    path.with_suffix(PART).unlink(missing_ok=True)


def hash_file(file: BinaryIO) -> tuple[int, str]:
    """Return size and SHA-256 of a file."""
    file.seek(0)
    digest, size = sha256(), 0
    while piece := file.read(archive.PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def finish(
    writer: archive.Writer,
    about: Mapping[str, Any],
    sign: Callable[[bytes], bytes],
) -> None:
    """Write manifest, signature and the table of contents behind what is in the zip already."""
    manifest = package.manifest_bytes(about, writer.hashes)
    writer.add(Member(package.MANIFEST, manifest))
    writer.add(Member(package.SIGNATURE, sign(manifest)))
    writer.finish()


def list_prepared(folder: Path, about: Mapping[str, Any]) -> str:
    """Write the list of a folder that is whole, make it durable, and return its SHA-256."""
    files = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        with path.open("rb") as file:
            size, digest = hash_file(file)
            os.fsync(file.fileno())
        name = path.relative_to(folder).as_posix()
        files.append({"name": name, "size": size, "sha256": digest})
    content = orjson.dumps({**about, "files": files})
    with (folder / LIST).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    for inside in (*(one for one in folder.rglob("*") if one.is_dir()), folder):
        sync_folder(inside)
    return sha256(content).hexdigest()


def read_prepared(folder: Path, expected: str | None) -> dict[str, Any]:
    """Return the list of what was prepared in `folder`, if it is the one with this SHA-256.

    Raises:
        UnavailableError: code `export-missing`: it is gone, or another.
    """
    try:
        content = (folder / LIST).read_bytes()
    except OSError as error:
        raise not_as_prepared() from error
    if sha256(content).hexdigest() != expected:
        raise not_as_prepared()
    found: dict[str, Any] = orjson.loads(content)
    return found


def add_prepared(writer: archive.Writer, folder: Path, listed: Sequence[Mapping[str, Any]]) -> None:
    """Write what was prepared into the zip; it must be what somebody has looked at.

    Raises:
        UnavailableError: code `export-missing`.
    """
    for one in listed:
        try:
            writer.add(Member(one["name"], folder / one["name"]))
        except FileNotFoundError as error:
            raise not_as_prepared() from error
        if writer.hashes[one["name"]] != one["sha256"]:
            raise not_as_prepared()


def not_as_prepared() -> UnavailableError:
    """Return what is said where the files are not those that somebody has looked at."""
    return UnavailableError(
        "What the second person looked at is not there any more as it was.",
        remedy="Ask for a new export, and tell an administrator to check the data directory.",
        code="export-missing",
    )


def readme(row: ExportRequest, about: Mapping[str, Any], pictures: int) -> list[Member]:
    """Return the pages for people."""
    english, chinese = [], []
    if pictures:
        english.append(f"{pictures} picture(s) of incident {row.incident_number}")
        chinese.append(f"事件 {row.incident_number} 的 {pictures} 张图片")
    if row.recordings:
        english.append(f"recordings of {len(row.recordings)} camera(s)")
        chinese.append(f"{len(row.recordings)} 个摄像机的录像")
    contents = {"README.en.txt": " and ".join(english), "README.zh.txt": "和".join(chinese)}
    who = about["requested_by"]
    return [
        Member(
            name,
            text.format(
                number=row.number,
                contents=contents[name],
                purpose=row.purpose,
                reference=row.reference,
                requester=f"{who['display_name']} ({who['username']})",
                approver="{display_name} ({username})".format(**about["approved_by"]),
                expires=about["expires_at"],
                rendition=package.RENDITIONS[name, about["rendition"]],
            ).encode(),
        )
        for name, text in package.README.items()
    ]


def fresh_folder(folder: Path) -> None:
    """Make an empty folder; what a killed build left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def named(directory: Path, suffix: str) -> dict[UUID, Path]:
    """Return what is there with this ending, by the export's id."""
    return dict(_ids(directory.glob(f"*{suffix}")))


def _ids(paths: Iterator[Path]) -> Iterator[tuple[UUID, Path]]:
    for path in paths:
        try:
            yield UUID(path.stem), path
        except ValueError:
            continue


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
