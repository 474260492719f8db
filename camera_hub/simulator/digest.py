"""Digest access authentication with MD5, as cameras do it over RTSP and HTTP (RFC 2617)."""

import hashlib
import hmac
import re
import secrets

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^",\s]+))')


class DigestGuard:
    """Checks `Authorization` headers against one account. Lives as long as its server."""

    def __init__(self, username: str, password: str, *, realm: str) -> None:
        self._username = username
        self._realm = realm
        self._nonce = secrets.token_hex(16)
        self._secret = _md5(f"{username}:{realm}:{password}")

    def challenge(self) -> str:
        """Return the value of a `WWW-Authenticate` header."""
        return f'Digest realm="{self._realm}", nonce="{self._nonce}", algorithm=MD5'

    def admits(self, method: str, authorization: str) -> bool:
        """Return whether `authorization` answers the challenge for a request of `method`."""
        kind, _, rest = authorization.partition(" ")
        fields = {name.lower(): quoted or plain for name, quoted, plain in _FIELD.findall(rest)}
        if kind.lower() != "digest" or fields.get("nonce") != self._nonce:
            return False
        if fields.get("username") != self._username:
            return False
        request = _md5(f"{method}:{fields.get('uri', '')}")
        expected = _md5(f"{self._secret}:{self._nonce}:{request}")
        return hmac.compare_digest(expected, fields.get("response", ""))


def _md5(text: str) -> str:
    # MD5 is what cameras and their clients speak; nothing but test footage is behind it.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
