"""Passwords: the rules, and argon2id hashes made outside the event loop.

A hash takes tens of milliseconds and 64 MiB, so only a few are made at once: a flood of sign-ins
waits in line instead of filling the memory.
"""

import asyncio
from collections.abc import Callable
from typing import NewType, ParamSpec, TypeVar

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

from access.accounts.common_passwords import is_common
from core.errors import InvalidInputError

P = ParamSpec("P")
T = TypeVar("T")

HashedPassword = NewType("HashedPassword", str)

MIN_LENGTH = 10
MAX_LENGTH = 256
HASHES_AT_ONCE = 2

_MIN_DISTINCT = 4


def check_password(password: str, username: str) -> None:
    """Raise unless `password` may be used by `username`.

    Raises:
        InvalidInputError: code `weak-password`; says which rule is broken.
    """
    folded = password.strip().casefold()
    if not _is_text(password):
        broken = "holds half a character"
    elif len(password) < MIN_LENGTH:
        broken = f"has fewer than {MIN_LENGTH} characters"
    elif len(password) > MAX_LENGTH:
        broken = f"has more than {MAX_LENGTH} characters"
    elif folded == username.casefold():
        broken = "is the username"
    elif len(set(folded)) < _MIN_DISTINCT:
        broken = "is made of too few different characters"
    elif is_common(password):
        broken = "is one of those that are guessed first"
    else:
        return
    raise InvalidInputError(
        f"The password {broken}.",
        remedy=f"Choose one of {MIN_LENGTH} to {MAX_LENGTH} characters that is not the username; "
        "a few words in a row are good.",
        code="weak-password",
    )


def _is_text(password: str) -> bool:
    """Tell whether it can be hashed: JSON can hold half of a character (a lone surrogate)."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


class Passwords:
    """Makes and checks argon2id hashes."""

    def __init__(self) -> None:
        self._hasher = PasswordHash((Argon2Hasher(),))
        self._slots = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobody: str | None = None

    async def hash(self, password: str, *, username: str) -> HashedPassword:
        """Return the hash of `password` after checking the rules.

        Raises:
            InvalidInputError: a rule is broken.
        """
        check_password(password, username)
        return HashedPassword(await self._in_thread(self._hasher.hash, password))

    async def verify(self, password: str, stored: str | None) -> tuple[bool, HashedPassword | None]:
        """Check `password` against `stored`; second is a new hash if the old one is outdated.

        With `stored` None (no such account) the same work is done in vain, so that the time of
        the answer does not tell which usernames exist.
        """
        if len(password) > MAX_LENGTH or not _is_text(password):
            password, stored = "", None
        if stored is None:
            if self._nobody is None:
                self._nobody = await self._in_thread(self._hasher.hash, "nobody's password")
            await self._in_thread(self._verify, password, self._nobody)
            return False, None
        matches, renewed = await self._in_thread(self._verify, password, stored)
        return matches, HashedPassword(renewed) if matches and renewed else None

    def _verify(self, password: str, stored: str) -> tuple[bool, str | None]:
        try:
            return self._hasher.verify_and_update(password, stored)
        except UnknownHashError:
            return False, None

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        async with self._slots:
            return await asyncio.to_thread(work, *args, **named)
