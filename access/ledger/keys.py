"""Signing keys of the ledger (Ed25519): files of this account, outside the database.

`<key id>.key` is the private key (PEM, PKCS 8, mode 0600), `<key id>.pub` the public one (PEM).
The id is the first 32 hexadecimal digits of the SHA-256 of the raw public key. The `.pub` files
stay for ever: with them old checkpoints are checked.
"""

import hashlib
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from core.durable import sync_folder, write_new
from core.errors import HubError, InvalidInputError


class LedgerKeyError(HubError):
    """The ledger's signing key is lost, unreadable or not the one the ledger names."""

    code = "ledger-key"


def raw(public: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public: Ed25519PublicKey) -> str:
    """Return the id of a public key: 32 hexadecimal digits."""
    return hashlib.sha256(raw(public)).hexdigest()[:32]


def to_text(public: Ed25519PublicKey) -> str:
    """Return a public key as base64 of its 32 bytes, as the ledger has it."""
    return b64encode(raw(public)).decode()


def from_text(text: str) -> Ed25519PublicKey:
    """Return the public key that `to_text` wrote; raises ValueError for anything else."""
    return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))


def signed_by(public: Ed25519PublicKey, signature: bytes, payload: bytes) -> bool:
    """Tell whether `signature` was made for `payload` with the private key of `public`."""
    try:
        public.verify(signature, payload)
    except InvalidSignature:
        return False
    return True


def introduction(new: Ed25519PublicKey) -> bytes:
    """Return what an old key signs to introduce the one that follows it."""
    return f"camera-hub ledger key v1\n{key_id(new)}\n{to_text(new)}\n".encode()


def read_public(path: Path) -> Ed25519PublicKey:
    """Read a public key in PEM.

    Raises:
        InvalidInputError: the file cannot be read or holds no Ed25519 public key.
    """
    try:
        found = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise InvalidInputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(f"{path} holds no public key in PEM.") from error
    if not isinstance(found, Ed25519PublicKey):
        raise InvalidInputError(f"{path} holds a key of another kind than Ed25519.")
    return found


class LedgerKeys:
    """The directory of key files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self) -> Ed25519PrivateKey:
        """Make a key and put both its files on the disk; it counts once the ledger names it.

        Raises:
            OSError: the directory cannot be written.
        """
        private = Ed25519PrivateKey.generate()
        public = private.public_key()
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = key_id(public)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_new(self._directory / f"{name}.key", pem)
        shown = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        for_all = self._directory / f"{name}.pub"
        write_new(for_all, shown)
        for_all.chmod(0o644)
        sync_folder(self._directory)
        return private

    def load(self, name: str) -> Ed25519PrivateKey:
        """Return the private key `name`.

        Raises:
            LedgerKeyError: its file is lost or holds another key.
        """
        path = self._directory / f"{name}.key"
        try:
            found = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no key"
            raise LedgerKeyError(
                f"The ledger's signing key {path} cannot be read: {why}.", remedy=_LOST
            ) from error
        if not isinstance(found, Ed25519PrivateKey) or key_id(found.public_key()) != name:
            raise LedgerKeyError(f"{path} holds another key than its name says.", remedy=_LOST)
        return found

    def public(self) -> dict[str, Ed25519PublicKey]:
        """Return every public key that has a file here, by id."""
        found = (read_public(path) for path in sorted(self._directory.glob("*.pub")))
        return {key_id(public): public for public in found}

    def retire(self, name: str) -> None:
        """Remove the private file of a key that another has followed; the public one stays."""
        (self._directory / f"{name}.key").unlink(missing_ok=True)


_LOST = (
    "Restore it from your backup. If it is gone for good, run `camera-hub ledger keys rotate "
    "--lost`: a new key is made, and an entry says that the chain of keys was broken."
)
