"""The camera's side of WS-Security UsernameToken with a password digest.

After the OASIS UsernameToken Profile 1.1, section 3.1, and the ONVIF core specification:
the digest is Base64(SHA-1(nonce + created + password)), a nonce counts once, and `created`
must be near the device's own clock.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element

_SECEXT = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
_UTILITY = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
FRESH_FOR = timedelta(seconds=60)


class TokenGuard:
    """Checks the UsernameToken of each request; remembers nonces for as long as they are fresh."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._used: dict[bytes, datetime] = {}

    def admits(self, envelope: Element, now: datetime) -> bool:
        """Return whether `envelope` carries a token that is right, fresh and new.

        `now` is the device's clock, in UTC.
        """
        token = envelope.find(f".//{_SECEXT}Security/{_SECEXT}UsernameToken")
        if token is None:
            return False
        username = token.findtext(f"{_SECEXT}Username", "")
        created = token.findtext(f"{_UTILITY}Created", "")
        password = token.find(f"{_SECEXT}Password")
        if password is None or not password.get("Type", "").endswith("#PasswordDigest"):
            return False
        try:
            nonce = base64.b64decode(token.findtext(f"{_SECEXT}Nonce", ""), validate=True)
            at = datetime.fromisoformat(created)
        except (binascii.Error, ValueError):
            return False
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
        if abs(at - now) > FRESH_FOR:
            return False
        # SHA-1 is what the profile prescribes.
        digest = hashlib.sha1(
            nonce + created.encode() + self._password.encode(), usedforsecurity=False
        ).digest()
        right = hmac.compare_digest(base64.b64encode(digest), (password.text or "").encode())
        return right and username == self._username and self._first_time(nonce, now)

    def _first_time(self, nonce: bytes, now: datetime) -> bool:
        self._used = {n: seen for n, seen in self._used.items() if now - seen <= 2 * FRESH_FOR}
        if nonce in self._used:
            return False
        self._used[nonce] = now
        return True
