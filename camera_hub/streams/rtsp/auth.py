"""Answering a camera's challenge: Digest (RFC 7616, RFC 2617) and Basic (RFC 7617).

The strongest digest that both sides know is taken. Where any digest is offered the password is
never sent as Basic.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass

_STRENGTH = {
    "sha-512-256-sess": 6,
    "sha-512-256": 5,
    "sha-256-sess": 4,
    "sha-256": 3,
    "md5-sess": 2,
    "md5": 1,
}
_HASHES = {"sha-512-256": "sha512_256", "sha-256": "sha256", "md5": "md5"}
_SCHEME = re.compile(r"\s*(\w+)(?:\s+|$)(.*)", re.DOTALL)
# Begun where a word begins only: a camera's word without end would be tried at each letter.
_FIELD = re.compile(r'(?<![\w-])([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))')
# One header may hold several challenges: a scheme's name stands where no "=" follows.
_NEXT_SCHEME = re.compile(r",\s*(?=(?:Digest|Basic)\s)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in which a camera lets somebody in; `algorithm` as it is written, "" for MD5."""

    scheme: str
    realm: str = ""
    nonce: str = ""
    opaque: str = ""
    algorithm: str = ""
    qop: tuple[str, ...] = ()
    stale: bool = False

    @property
    def kind(self) -> str:
        """The digest's name in lower case."""
        return self.algorithm.lower() or "md5"


class UnknownDigestError(Exception):
    """The camera offers only digests that nobody here knows; `algorithms` are their names."""

    def __init__(self, algorithms: tuple[str, ...]) -> None:
        super().__init__(", ".join(algorithms))
        self.algorithms = algorithms


def read_challenges(headers: list[str]) -> list[Challenge]:
    """Return what the values of `WWW-Authenticate` offer, in their order."""
    found = []
    for header in headers:
        for text in _NEXT_SCHEME.split(header):
            match = _SCHEME.match(text)
            if match is None:
                continue
            fields = {
                name.lower(): plain or quoted for name, quoted, plain in _FIELD.findall(match[2])
            }
            qop = fields.get("qop", "").lower()
            found.append(
                Challenge(
                    scheme=match[1].lower(),
                    realm=fields.get("realm", ""),
                    nonce=fields.get("nonce", ""),
                    opaque=fields.get("opaque", ""),
                    algorithm=fields.get("algorithm", ""),
                    qop=tuple(part.strip() for part in qop.split(",") if part.strip()),
                    stale=fields.get("stale", "").lower() == "true",
                )
            )
    return found


class Authorizer:
    """Makes the `Authorization` headers of one connection."""

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._challenge: Challenge | None = None
        self._count = 0
        self._session_secret = ""

    def accept(self, challenges: list[Challenge], *, again: bool) -> bool:
        """Take up a challenge; False if answering would be of no use.

        That is: no credentials are known, or they have just been refused. `again` says that the
        same request was answered with credentials already: then only a nonce that the camera
        calls stale is worth another try, since each wrong one brings an account nearer to its lock.

        Raises:
            UnknownDigestError: digests are offered and none is known here.
        """
        if not self._username and not self._password:
            return False
        chosen = _strongest(challenges)
        if chosen is None or chosen == self._challenge or (again and not chosen.stale):
            return False
        self._challenge = chosen
        self._count = 0
        return True

    def header(self, method: str, uri: str) -> str:
        """Return the value of `Authorization` for a request without a body; empty if none."""
        challenge = self._challenge
        if challenge is None:
            return ""
        if challenge.scheme == "basic":
            pair = f"{self._username}:{self._password}".encode()
            return "Basic " + base64.b64encode(pair).decode()
        return self._digest(challenge, method, uri)

    def _digest(self, challenge: Challenge, method: str, uri: str) -> str:
        name, is_session = _plain(challenge.kind)
        user, realm, nonce = self._username, challenge.realm, challenge.nonce
        self._count += 1
        client_nonce, count = secrets.token_hex(8), f"{self._count:08x}"
        secret = _hash(name, f"{user}:{realm}:{self._password}")
        if is_session:
            # The session's key is made with the first nonce of the client and kept with it.
            if self._count == 1:
                self._session_secret = client_nonce
            client_nonce = self._session_secret
            secret = _hash(name, f"{secret}:{nonce}:{client_nonce}")
        request = f"{method}:{uri}"
        quality = ""
        if challenge.qop:
            quality = "auth" if "auth" in challenge.qop else "auth-int"
        if quality == "auth-int":
            request += ":" + _hash(name, "")
        request = _hash(name, request)
        middle = f"{nonce}:{count}:{client_nonce}:{quality}" if quality else nonce
        fields = {
            "username": user.replace("\\", "\\\\").replace('"', '\\"'),
            "realm": realm,
            "nonce": nonce,
            "uri": uri,
            "response": _hash(name, f"{secret}:{middle}:{request}"),
        }
        if challenge.opaque:
            fields["opaque"] = challenge.opaque
        if quality or is_session:
            fields["cnonce"] = client_nonce
        text = ", ".join(f'{key}="{value}"' for key, value in fields.items())
        if challenge.algorithm:
            text += f", algorithm={challenge.algorithm}"
        if quality:
            text += f", qop={quality}, nc={count}"
        return "Digest " + text


def _strongest(challenges: list[Challenge]) -> Challenge | None:
    digests = [c for c in challenges if c.scheme == "digest"]
    known = [c for c in digests if c.kind in _STRENGTH and _usable_qop(c)]
    if known:
        return max(known, key=lambda c: _STRENGTH[c.kind])
    if digests:
        raise UnknownDigestError(tuple(sorted({c.kind for c in digests})))
    return next((c for c in challenges if c.scheme == "basic"), None)


def _usable_qop(challenge: Challenge) -> bool:
    return not challenge.qop or bool({"auth", "auth-int"} & set(challenge.qop))


def _plain(algorithm: str) -> tuple[str, bool]:
    return algorithm.removesuffix("-sess"), algorithm.endswith("-sess")


def _hash(name: str, text: str) -> str:
    # The algorithm is the camera's choice; MD5 is all that many of them speak.
    return hashlib.new(_HASHES[name], text.encode(), usedforsecurity=False).hexdigest()
