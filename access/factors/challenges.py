"""Challenges: what an account must answer within minutes, held in the database until then.

A restart changes nothing: the answer may come to another process than the question left from.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.factors import repository
from access.factors.models import FactorChallenge
from access.factors.tickets import expired
from core.clock import Clock
from core.ids import new_id

CHALLENGE_LIFETIME = timedelta(minutes=5)
TRIES = 5
"""Wrong answers to one challenge; then it is over."""

_OPEN_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """A new challenge. `token` is for the browser alone; a passkey signs `nonce`."""

    token: str
    nonce: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Pending:
    """A challenge that was found, and counted as tried."""

    id: UUID
    account_id: UUID
    nonce: bytes


class Challenges:
    """Makes challenges and takes each once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def ask(self, session: AsyncSession, account_id: UUID, purpose: str) -> Asked:
        """Make a challenge for `purpose`; of an account only the newest few stay open."""
        token, nonce = secrets.token_urlsafe(32), secrets.token_bytes(32)
        now = self._clock.now()
        row = FactorChallenge(
            id=new_id(),
            account_id=account_id,
            token_hash=_digest(token),
            purpose=purpose,
            nonce=to_text(nonce),
            tries=0,
            expires_at=now + CHALLENGE_LIFETIME,
        )
        await repository.forget_expired(session, now)
        await repository.add_challenge(session, row, _OPEN_AT_ONCE)
        return Asked(token, nonce, row.expires_at)

    async def tried(self, session: AsyncSession, token: str, purpose: str) -> Pending:
        """Return the challenge with this token, counting a try at it.

        Raises:
            UnauthenticatedError: code `challenge-expired`: unknown, over, or tried too often.
        """
        row = await repository.try_challenge(
            session, _digest(token), purpose, self._clock.now(), TRIES
        )
        if row is None:
            raise expired()
        return Pending(row.id, row.account_id, to_bytes(row.nonce))

    async def take(self, session: AsyncSession, pending: Pending) -> None:
        """Take the challenge: with the commit it counts no more.

        Raises:
            UnauthenticatedError: code `challenge-expired`: somebody else took it.
        """
        if not await repository.take_challenge(session, pending.id):
            raise expired()

    async def forget(self, session: AsyncSession, account_id: UUID) -> None:
        """Let nothing go on that began with a password or a factor that was since changed."""
        await repository.delete_challenges(session, account_id)


def to_text(raw: bytes) -> str:
    """Return `raw` as text that a column or ticket holds."""
    return base64.urlsafe_b64encode(raw).decode()


def to_bytes(text: str) -> bytes:
    """Return what `to_text` made a text of."""
    return base64.urlsafe_b64decode(text)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
