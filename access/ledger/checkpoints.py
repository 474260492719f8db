"""Checkpoints: signatures over the whole chain so far, and their file outside the database."""

import binascii
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from access.ledger import keys
from access.ledger.times import from_us, to_us
from core.errors import InvalidInputError

FILE_NAME = "checkpoints.jsonl"
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signature that covers every entry up to `seq`, whose hash is `hash`.

    `at_us`: when it was signed, in microseconds since 1970-01-01 UTC.
    """

    seq: int
    hash: bytes
    at_us: int
    key_id: str
    signature: bytes = b""

    def payload(self) -> bytes:
        """Return the bytes that are signed."""
        return (
            f"camera-hub ledger checkpoint v1\n{self.seq}\n{self.hash.hex()}\n"
            f"{self.at_us}\n{self.key_id}\n"
        ).encode()

    def signed(self, private: Ed25519PrivateKey) -> "Checkpoint":
        """Return it with the signature of `private`."""
        signature = private.sign(self.payload())
        return Checkpoint(self.seq, self.hash, self.at_us, self.key_id, signature)

    def holds(self, public: Ed25519PublicKey) -> bool:
        """Tell whether its signature is that of `public`."""
        return keys.signed_by(public, self.signature, self.payload())

    def to_json(self) -> dict[str, Any]:
        """Return it as in the file: hash in hexadecimal, time in ISO 8601, signature in base64."""
        return {
            "seq": self.seq,
            "hash": self.hash.hex(),
            "at": from_us(self.at_us).isoformat(timespec="microseconds"),
            "key_id": self.key_id,
            "signature": b64encode(self.signature).decode(),
        }

    @classmethod
    def from_json(cls, text: bytes) -> "Checkpoint":
        """Read what `to_json` gave; raises ValueError for anything else."""
        try:
            value = orjson.loads(text)
            return cls(
                int(value["seq"]),
                bytes.fromhex(value["hash"]),
                to_us(datetime.fromisoformat(value["at"])),
                str(value["key_id"]),
                b64decode(value["signature"], validate=True),
            )
        except (KeyError, TypeError, binascii.Error, OverflowError) as error:
            raise ValueError("no checkpoint") from error


def read_exported(path: Path) -> Checkpoint:
    """Read an exported checkpoint.

    Raises:
        InvalidInputError: the file cannot be read or is no checkpoint.
    """
    try:
        return Checkpoint.from_json(path.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidInputError(f"{path} is no checkpoint of a ledger.") from error


class CheckpointFile:
    """One checkpoint a line, oldest first, appended and synced. Survives whoever owns the database.

    A line that was cut short by a kill or a full disk has no line feed; it does not count, and the
    next append removes it.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME

    def last(self) -> Checkpoint | None:
        """Return the newest checkpoint; None if there is none.

        Raises:
            OSError: the file cannot be read.
            ValueError: its last line is no checkpoint.
        """
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _TAIL_BYTES))
                whole = file.read(_TAIL_BYTES).rpartition(b"\n")[0]
        except FileNotFoundError:
            return None
        line = whole.rpartition(b"\n")[2]
        return Checkpoint.from_json(line) if line else None

    def append(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Add `checkpoints`; they are on the disk when this returns.

        Raises:
            OSError: no space is left, or the file cannot be written.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            tail = file.read(_TAIL_BYTES)
            file.truncate(start + tail.rfind(b"\n") + 1 if tail else 0)
            file.seek(0, os.SEEK_END)
            for checkpoint in checkpoints:
                file.write(orjson.dumps(checkpoint.to_json()) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def size(self) -> int:
        """Return its length in bytes now; 0 if it is not there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def lines(self, size: int) -> Iterator[bytes]:
        """Yield the whole lines in its first `size` bytes."""
        if not size:
            return
        with self.path.open("rb") as file:
            for line in file:
                size -= len(line)
                if size < 0 or not line.endswith(b"\n"):
                    return
                yield line
