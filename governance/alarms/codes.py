"""Pairing codes: short enough to type with a remote control, dead before guessing pays.

Eight characters of 24 are 36 bits. A code lives ten minutes, and dies of five wrong guesses that
begin as it does; guesses are slowed down by address and all together besides (`Throttle`).
"""

import hashlib
import secrets
from datetime import timedelta

ALPHABET = "ACDEFGHJKMNPQRTUWXY34679"
"""Nothing in it looks like something else in it: no 0 O, 1 I L, 2 Z, 5 S, 8 B, U V."""
LENGTH = 8
PREFIX = 3
"""So many characters say which code is meant; the others must then be right."""
LIFETIME = timedelta(minutes=10)
MAX_TRIES = 5

_LEFT_OUT = str.maketrans("", "", "- \t\u3000")


def new_code() -> str:
    """Return a new code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def shown(code: str) -> str:
    """Return `code` as it is easier to read: ACDE-FGHJ."""
    return f"{code[:4]}-{code[4:]}"


def normalise(text: str) -> str:
    """Return what was typed as a code: capitals, without blanks and dashes."""
    return text.upper().translate(_LEFT_OUT)[: LENGTH + 1]


def prefix_hash(code: str) -> bytes:
    """Return what the row of a code is found by when the rest of a guess is wrong."""
    return hashlib.sha256(code[:PREFIX].encode()).digest()


def code_hash(code: str) -> bytes:
    """Return what is stored of a code. Takes some 20 ms: not on the event loop."""
    # Slow on purpose: whoever reads the database must not find the code while it lives.
    return hashlib.scrypt(
        code.encode(), salt=b"camera-hub pairing code", n=2**13, r=8, p=1, dklen=32
    )
