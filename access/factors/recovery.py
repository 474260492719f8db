"""Recovery codes: ten on a sheet of paper, each of 120 random bits, each good once."""

import base64
import hashlib
import secrets

COUNT = 10
_BYTES = 15


def new_codes() -> list[str]:
    """Return new codes in groups of four, as they are shown and printed."""
    codes = []
    for _ in range(COUNT):
        text = base64.b32encode(secrets.token_bytes(_BYTES)).decode().lower()
        codes.append("-".join(text[i : i + 4] for i in range(0, len(text), 4)))
    return codes


def digest(code: str) -> str:
    """Return the SHA-256 of `code`, however it was typed: blanks, dashes and case do not matter.

    So many random bits need no slow hash. 0, 1 and 8 are not in the alphabet (RFC 4648 base 32),
    so somebody who reads O, I or B so is understood.
    """
    plain = "".join(c for c in code.lower() if c.isalnum())[:64]
    plain = plain.translate(str.maketrans("018", "oib"))
    return hashlib.sha256(plain.encode()).hexdigest()
