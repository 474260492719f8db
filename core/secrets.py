"""Credentials at rest: encrypted with a key that lies in a file outside the database."""

import contextlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from core.errors import HubError
from core.ids import new_id


class SecretBoxError(HubError):
    """The key file is unreadable, or does not belong to this database."""

    code = "secret-key"


class SecretBox:
    """Encrypts and decrypts short texts (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)

    @classmethod
    def from_file(cls, path: Path) -> "SecretBox":
        """Read the key at `path`, making it (mode 0600) on first use.

        Raises:
            SecretBoxError: the file exists but holds no key.
        """
        if not path.exists():
            _make_key(path)
        try:
            return cls(path.read_bytes().strip())
        except ValueError as error:
            raise SecretBoxError(
                f"The key file {path} does not hold a key.",
                remedy="Restore it from your backup; without it stored camera passwords are lost.",
            ) from error

    def seal(self, text: str) -> str:
        """Return `text` encrypted, as URL-safe text."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the text sealed in `sealed`.

        Raises:
            SecretBoxError: `sealed` was made with another key or was changed.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise SecretBoxError(
                "A stored credential cannot be decrypted with this key file.",
                remedy="Restore the key file that belongs to this database, "
                "or enter the camera's password again.",
            ) from error


def _make_key(path: Path) -> None:
    """Make the key at `path` unless somebody else does first: it is there whole or not at all.

    A kill, or a full disk, must not leave an empty file that every later start takes for the key.
    """
    fresh = path.with_name(f"{path.name}.{new_id().hex}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        fresh.unlink(missing_ok=True)
