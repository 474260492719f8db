"""The zip of an export, made and checked piece by piece: recordings do not fit into memory.

Stored, without times, names made here: the same content gives the same bytes (PKWARE APPNOTE
6.3.10; ZIP64 only where a number needs it). Checking makes every byte around the contents again
and compares, so that nothing can hide between them. What is made anew (a recording) is written
straight into the zip, so that a disk holds it once.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

PIECE = 1024 * 1024
_BIG = 0xFFFFFFFF
_DATE = 0x21  # 1 January 1980, the earliest there is
_MODE = 0o600 << 16
_PLAIN, _ROOMY = 20, 45  # versions of the format that sizes below and above 4 GiB need


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the zip: bytes, or a file on the disk."""

    name: str
    content: bytes | Path

    def pieces(self) -> Iterator[bytes]:
        """Yield the content in pieces."""
        if isinstance(self.content, bytes):
            yield self.content
            return
        with self.content.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the tables of a zip say of one of its files."""

    name: bytes
    crc: int
    size: int
    offset: int

    def local(self, *, roomy: bool = False) -> bytes:
        """Return the header before the content; `roomy`: with room for any size."""
        big = roomy or self.size >= _BIG
        extra = struct.pack("<HHQQ", 1, 16, self.size, self.size) if big else b""
        shown = _BIG if big else self.size
        return (
            struct.pack(
                "<4s5H3L2H", b"PK\3\4", _ROOMY if big else _PLAIN, 0, 0, 0, _DATE, self.crc,
                shown, shown, len(self.name), len(extra),
            )
            + self.name
            + extra
        )  # fmt: skip

    def central(self) -> bytes:
        numbers = []
        if self.size >= _BIG:
            numbers += [self.size, self.size]
        if self.offset >= _BIG:
            numbers.append(self.offset)
        extra = (
            struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
        )
        version = _ROOMY if numbers else _PLAIN
        size, offset = min(self.size, _BIG), min(self.offset, _BIG)
        return (
            struct.pack(
                "<4s4B4HL2L5HLL", b"PK\1\2", version, 3, version, 0, 0, 0, 0, _DATE, self.crc,
                size, size, len(self.name), len(extra), 0, 0, 0, _MODE, offset,
            )
            + self.name
            + extra
        )  # fmt: skip


class Writer:
    """Writes a zip into a file, one content after the other. Used by one thread at a time.

    Raises:
        OSError: the disk refuses, or a file is not there.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._entries: list[_Entry] = []
        self._position = 0
        self.hashes: dict[str, str] = {}
        """SHA-256 of each content so far, in hexadecimal, by name."""

    def add(self, member: Member) -> None:
        """Write a content that is there."""
        crc, size, digest = 0, 0, sha256()
        for piece in member.pieces():
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            digest.update(piece)
        entry = _Entry(member.name.encode("ascii"), crc, size, self._position)
        self._out.write(head := entry.local())
        for piece in member.pieces():
            self._out.write(piece)
        self._noted(entry, len(head), digest.hexdigest())

    @contextmanager
    def stream(self, name: str) -> Iterator["Content"]:
        """Write a content that is made meanwhile; its header is written when it is whole."""
        begin = self._position
        head = _Entry(name.encode("ascii"), 0, 0, begin).local(roomy=True)
        self._out.write(head)
        content = Content(self._out)
        yield content
        entry = _Entry(name.encode("ascii"), content.crc, content.size, begin)
        self._out.seek(begin)
        self._out.write(entry.local(roomy=True))
        self._out.seek(0, 2)
        self._noted(entry, len(head), content.digest.hexdigest())

    def finish(self) -> None:
        """Write the table of contents."""
        self._out.write(_end(self._entries, self._position))

    def _noted(self, entry: _Entry, head: int, digest: str) -> None:
        self._entries.append(entry)
        self._position += head + entry.size
        self.hashes[entry.name.decode()] = digest


class Content:
    """What is being written into a zip: counted and hashed as it comes."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.crc = 0
        self.size = 0
        self.digest = sha256()

    def write(self, data: bytes) -> int:
        """Write bytes; return how many."""
        self._out.write(data)
        self.crc, self.size = zlib.crc32(data, self.crc), self.size + len(data)
        self.digest.update(data)
        return len(data)


def _end(entries: Sequence[_Entry], position: int) -> bytes:
    table = b"".join(entry.central() for entry in entries)
    count, size = len(entries), len(table)
    end = b""
    if count >= 0xFFFF or size >= _BIG or position >= _BIG:
        end = struct.pack(
            "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, position
        ) + struct.pack("<4sLQL", b"PK\6\7", 0, position + size, 1)
    end += struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), min(size, _BIG),
        min(position, _BIG), 0,
    )  # fmt: skip
    return table + end


class BadZipError(Exception):
    """A file is not a zip as `write` makes them; the text says where."""


class Archive:
    """A zip that `write` made, open for checking; every byte of it belongs to something.

    Raises:
        BadZipError: it is damaged, or there is more or less in it than its tables say.
        OSError: it cannot be read.
    """

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file = file
        try:
            with zipfile.ZipFile(file) as found:
                infos = found.infolist()
        except (
            zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError,
            OverflowError, OSError, struct.error,
        ) as error:  # fmt: skip
            raise BadZipError("The file is damaged, or no zip.") from error
        if len(infos) > most:
            raise BadZipError("The file is no export of this product.")
        self._places: dict[str, tuple[int, int]] = {}
        entries, position = [], 0
        for info in infos:
            if not info.filename.isascii() or info.filename in self._places:
                raise BadZipError("The zip around the files was changed.")
            entry = _Entry(info.filename.encode(), info.CRC, info.file_size, position)
            entries.append(entry)
            head = entry.local(roomy=self._is_roomy(position))
            self._expect(position, head, info.filename)
            self._places[info.filename] = (position + len(head), info.file_size)
            position += len(head) + info.file_size
        end = _end(entries, position)
        self._expect(position, end, "its table of contents")
        file.seek(0, 2)
        if file.tell() != position + len(end):
            raise BadZipError("There is something behind the end of the zip.")

    @property
    def names(self) -> list[str]:
        """The names of its files, in order."""
        return list(self._places)

    def pieces(self, name: str, begin: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the content of a file, or of a range of it, in pieces."""
        place, size = self._places[name]
        end = size if length is None else min(size, begin + length)
        position = begin
        while position < end:
            self._file.seek(place + position)
            piece = self._file.read(min(PIECE, end - position))
            if not piece:
                raise BadZipError("The file ends before it says it does.")
            position += len(piece)
            yield piece

    def _is_roomy(self, position: int) -> bool:
        self._file.seek(position + 4)
        return self._file.read(2) == struct.pack("<H", _ROOMY)

    def _expect(self, position: int, content: bytes, what: str) -> None:
        self._file.seek(position)
        if self._file.read(len(content)) != content:
            raise BadZipError(
                f"The zip around the files was changed, at byte {position} ({what[:60]!r})."
            )


class Folder:
    """An unpacked export, read as `Archive` is.

    Raises:
        BadZipError: there is something in it that is no plain file.
        OSError: it cannot be read.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._names: list[str] = []
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BadZipError(f"{path.name[:60]!r} is no plain file.")
            if path.is_file():
                self._names.append(path.relative_to(folder).as_posix())
            if len(self._names) > most:
                raise BadZipError("The folder is no export of this product.")

    @property
    def names(self) -> list[str]:
        """The names of its files."""
        return list(self._names)

    def pieces(self, name: str, begin: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield the content of a file, or of a range of it, in pieces."""
        with (self._folder / name).open("rb") as file:
            file.seek(begin)
            left = None if length is None else length
            while left is None or left > 0:
                piece = file.read(PIECE if left is None else min(PIECE, left))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece
