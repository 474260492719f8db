"""Sealed tickets: what a sign-in must bring back. The browser holds them, the hub alone reads them.

Asking for a sign-in by passkey or at another site's door needs no account, so it must not fill a
table: nothing is stored until a ticket is used, and then only that it was. A restart changes
nothing, as the key lies in a file.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from access.factors import repository
from core.clock import Clock
from core.errors import UnauthenticatedError
from core.secrets import SecretBox, SecretBoxError

_LONGEST = 4000


class Tickets:
    """Seals and opens tickets of one purpose each."""

    def __init__(self, clock: Clock, box: SecretBox) -> None:
        self._clock = clock
        self._box = box

    def seal(self, purpose: str, lifetime: timedelta, data: Mapping[str, str]) -> str:
        """Return a ticket that holds `data` and counts for `lifetime`."""
        ends = int((self._clock.now() + lifetime).timestamp())
        body = {"purpose": purpose, "ends": ends, "data": dict(data)}
        return self._box.seal(orjson.dumps(body).decode())

    def open(self, purpose: str, ticket: str) -> dict[str, str]:
        """Return what was sealed.

        Raises:
            UnauthenticatedError: code `challenge-expired`: made up, of another purpose, or too old.
        """
        try:
            text = self._box.open(ticket if len(ticket) <= _LONGEST else "")
            body = orjson.loads(text)
        except (SecretBoxError, ValueError):
            # A sealed text of another kind, such as a camera's password, is no JSON object.
            body = None
        if (
            not isinstance(body, dict)
            or body.get("purpose") != purpose
            or self._clock.now().timestamp() >= body["ends"]
        ):
            raise expired()
        data: dict[str, str] = body["data"]
        return data

    async def spend(self, session: AsyncSession, ticket: str, lifetime: timedelta) -> None:
        """Write that `ticket` is used; with the commit it counts no more.

        Raises:
            UnauthenticatedError: code `challenge-expired`: it was used before.
        """
        digest = hashlib.sha256(ticket.encode()).hexdigest()
        now = self._clock.now()
        await repository.forget_expired(session, now)
        if not await repository.spend_ticket(session, digest, now + lifetime):
            raise expired()


def expired() -> UnauthenticatedError:
    """Return the error of a step that came too late or twice."""
    return UnauthenticatedError(
        "This step of the sign-in has run out or was used already.",
        remedy="Begin again.",
        code="challenge-expired",
    )
