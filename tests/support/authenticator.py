"""A WebAuthn authenticator and browser in one, without a window: real keys, real signatures.

Each answer can be bent by an argument, as an attacker would bend it.
"""

import hashlib
import json
import secrets
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(raw: bytes) -> str:
    """Return `raw` in base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(encoded: str) -> bytes:
    """Return what `text` encoded."""
    return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


class Authenticator:
    """Holds one passkey. `count` is its counter of signatures."""

    def __init__(self, origin: str = "http://localhost", rp_id: str = "localhost") -> None:
        self.origin = origin
        self.rp_id = rp_id
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(20)
        self.user: bytes | None = None
        self.count = 0

    def make(self, options: dict[str, Any], *, origin: str | None = None) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        self.user = raw(options["user"]["id"])
        data = self._data(PRESENT | VERIFIED | ATTESTED, self.rp_id)
        data += bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(public)
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options["challenge"], origin)
        return self._credential(
            {
                "clientDataJSON": text(client),
                "attestationObject": text(attestation),
                "transports": ["internal"],
            }
        )

    def sign(
        self,
        options: dict[str, Any],
        *,
        origin: str | None = None,
        rp_id: str | None = None,
        verified: bool = True,
        challenge: str | None = None,
        count: int | None = None,
        user: bytes | None = None,
    ) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        self.count = self.count + 1 if count is None else count
        flags = PRESENT | (VERIFIED if verified else 0)
        data = self._data(flags, rp_id or self.rp_id)
        client = self._client("webauthn.get", challenge or options["challenge"], origin)
        signed = data + hashlib.sha256(client).digest()
        handle = user or self.user
        return self._credential(
            {
                "clientDataJSON": text(client),
                "authenticatorData": text(data),
                "signature": text(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
                "userHandle": text(handle) if handle else None,
            }
        )

    def _data(self, flags: int, rp_id: str) -> bytes:
        digest = hashlib.sha256(rp_id.encode()).digest()
        return digest + bytes([flags]) + struct.pack(">I", self.count)

    def _client(self, kind: str, challenge: str, origin: str | None) -> bytes:
        found = {"type": kind, "challenge": challenge, "origin": origin or self.origin}
        return json.dumps({**found, "crossOrigin": False}).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": text(self.id),
            "rawId": text(self.id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
