"""Credentials at rest: encrypted with a key that lies in a file outside the database."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.durable import replace_file, write_once
from core.errors import HubError


class SecretBoxError(HubError):
    """The key file is unreadable, or does not belong to this database."""

    code = "secret-key"


class SecretBox:
    """Encrypts and decrypts short texts (Fernet: AES-128-CBC with HMAC-SHA256).

    Seals with the first key and opens with any: while a key is being replaced there are two. A
    box made from a file reads it again when it has changed, so that a running hub follows.
    """

    def __init__(self, *keys: bytes, path: Path | None = None) -> None:
        self._box = MultiFernet([Fernet(key) for key in keys])
        self._path = path
        self._seen = _stamp(path)

    @classmethod
    def from_file(cls, path: Path) -> "SecretBox":
        """Read the keys at `path`, one a line, making one (mode 0600) on first use.

        Raises:
            SecretBoxError: the file exists but holds no key, or cannot be read.
        """
        if not path.exists():
            _make_key(path)
        return cls(*read_keys(path), path=path)

    def _current(self) -> MultiFernet:
        if self._path is not None and (stamp := _stamp(self._path)) != self._seen and stamp:
            self._box = MultiFernet([Fernet(key) for key in read_keys(self._path)])
            self._seen = stamp
        return self._box

    def seal(self, text: str) -> str:
        """Return `text` encrypted, as URL-safe text."""
        return self._current().encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the text sealed in `sealed`.

        Raises:
            SecretBoxError: `sealed` was made with another key or was changed.
        """
        try:
            return self._current().decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise SecretBoxError(
                "A stored credential cannot be decrypted with this key file.",
                remedy="Restore the key file that belongs to this database, "
                "or enter the camera's password again.",
            ) from error


def read_keys(path: Path) -> list[bytes]:
    """Return the keys in the file at `path`, the one that seals first.

    Raises:
        SecretBoxError: it holds no key, something that is no key, or cannot be read.
    """
    try:
        keys = path.read_bytes().split()
        for key in keys:
            Fernet(key)
    except OSError as error:
        raise SecretBoxError(
            f"The key file {path} cannot be read: {error.strerror}.",
            remedy="Let the hub's user read it.",
        ) from error
    except ValueError:
        keys = []
    if not keys:
        raise SecretBoxError(
            f"The key file {path} does not hold a key.",
            remedy="Restore it from your backup; without it stored camera passwords are lost.",
        )
    return keys


def write_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Replace the file at `path` by `keys`, whole or not at all (mode 0600).

    Raises:
        OSError: it cannot be written.
    """
    replace_file(path, b"\n".join(keys) + b"\n")


def new_key() -> bytes:
    """Return a new random key."""
    return Fernet.generate_key()


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Return what changes when the file at `path` does; None if it is not there."""
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None


def _make_key(path: Path) -> None:
    """Make the key at `path` unless somebody else does first: it is there whole or not at all.

    A kill, or a full disk, must not leave an empty file that every later start takes for the key.
    """
    with contextlib.suppress(FileExistsError):
        write_once(path, new_key())
