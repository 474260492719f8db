"""Keys of deliveries: files of this account, outside the database, made at first use.

`answers.key` makes the secrets of links and codes, so that none of them is stored anywhere;
`vapid.pem` is the key by which push services know the hub (RFC 8292). Keep a copy of both.
"""

import base64
import contextlib
import hashlib
import hmac
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from secrets import token_bytes

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from core.durable import write_once
from core.errors import HubError

_TOKEN_BYTES = 16  # 128 bits: 22 characters, for a short message has few


class DeliveryKeyError(HubError):
    """A key of deliveries cannot be read."""

    code = "delivery-key"


class DeliveryKeys:
    """The directory of the two key files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def token(self, what: str, key: str) -> str:
        """Return the secret of the link `what` (`answer`, `contact`) for `key`: 128 bits, URL-safe.

        The same each time: a message that is sent again has the same text.
        """
        digest = self._mac(f"{what}\n{key}")
        return base64.urlsafe_b64encode(digest[:_TOKEN_BYTES]).rstrip(b"=").decode()

    def digits(self, key: str) -> str:
        """Return the six digits that prove who holds the address `key`."""
        number = int.from_bytes(self._mac(f"code\n{key}")[:8], "big")
        return f"{number % 1_000_000:06d}"

    @cached_property
    def vapid(self) -> ec.EllipticCurvePrivateKey:
        """The key by which push services know the hub.

        Raises:
            DeliveryKeyError: the file cannot be read or holds another kind of key.
        """
        path = self._directory / "vapid.pem"
        try:
            found = load_pem_private_key(_made_once(path, _new_vapid), password=None)
        except ValueError as error:
            raise _unreadable(path) from error
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise _unreadable(path)
        return found

    @cached_property
    def push_key(self) -> str:
        """What browsers subscribe with (`applicationServerKey`): base64url of the public key."""
        point = self.vapid.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return base64.urlsafe_b64encode(point).rstrip(b"=").decode()

    def _mac(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode(), hashlib.sha256)

    @cached_property
    def _secret(self) -> bytes:
        path = self._directory / "answers.key"
        found = _made_once(path, lambda: token_bytes(32))
        if len(found) != 32:
            raise _unreadable(path)
        return found


def hashed(token: str) -> str:
    """Return what is stored of a link's secret: SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def _new_vapid() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """Return what lies at `path`, made first if nothing does: whole, or not at all (mode 0600)."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                write_once(path, make())
        return path.read_bytes()
    except OSError as error:
        raise DeliveryKeyError(
            f"The key file {path} cannot be used: {error.strerror}.",
            remedy="Let the hub's user read and write its directory.",
        ) from error


def _unreadable(path: Path) -> DeliveryKeyError:
    return DeliveryKeyError(
        f"The key file {path} holds no key.",
        remedy="Restore it from your backup. Without it push subscriptions have to be made anew.",
    )
