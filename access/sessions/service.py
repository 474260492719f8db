"""Sessions: opened at sign-in, looked up at every request, ended at will.

The browser holds a random token in an HttpOnly cookie; the table holds its SHA-256, so that a
stolen copy of the database opens nothing. The CSRF token is derived from the session's token
(HMAC-SHA256), so it is bound to the session and stored nowhere.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor
from access.sessions import repository
from access.sessions.models import Session
from core.clock import Clock
from core.errors import NotFoundError
from core.ids import new_id

IDLE_LIMIT = timedelta(hours=12)
ABSOLUTE_LIMIT = timedelta(days=7)
TOUCH_EVERY = timedelta(minutes=1)
KEEP_ENDED = timedelta(days=90)

_TOKEN_BYTES = 32
_MAX_REMEMBERED = 10_000
_MAX_TOKEN_LENGTH = 128


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session just opened. `token` is for the cookie alone."""

    id: UUID
    token: str
    csrf_token: str
    expires_at: datetime


def csrf_token(token: str) -> str:
    """Return the CSRF token that belongs to the session with this token."""
    return hmac.new(token.encode(), b"camera-hub csrf", hashlib.sha256).hexdigest()


def csrf_matches(token: str, presented: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(csrf_token(token).encode(), presented.encode())


class Sessions:
    """Decides which sessions count."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger
        self._touched: OrderedDict[UUID, datetime] = OrderedDict()

    async def open(
        self,
        session: AsyncSession,
        account_id: UUID,
        *,
        address: str,
        user_agent: str,
        method: str = "password",
    ) -> OpenedSession:
        """Open a session with a new token. Never takes a token from the outside.

        `method` says in the ledger how the holder was known: `password`, `totp`, `passkey`,
        `recovery`, `oidc`.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock.now()
        row = Session(
            id=new_id(),
            account_id=account_id,
            token_hash=_digest(token),
            created_at=now,
            last_seen_at=now,
            expires_at=now + ABSOLUTE_LIMIT,
            address=address[:64],
            user_agent=user_agent[:200],
        )
        await repository.add(session, row)
        actor = Actor(kind="account", id=account_id)
        await self._ledger.append(
            session, "session.opened", actor=actor, subject=str(row.id), data={"method": method}
        )
        return OpenedSession(row.id, token, csrf_token(token), row.expires_at)

    async def resolve(self, session: AsyncSession, token: str) -> tuple[Session, Account] | None:
        """Return the live session with this token and its active account, else None."""
        if not 0 < len(token) <= _MAX_TOKEN_LENGTH:
            return None
        return self._live(await repository.by_token_hash(session, _digest(token)))

    async def account_of(self, session: AsyncSession, session_id: UUID) -> Account | None:
        """Return the account of this session as it is now, or None if the session has ended.

        For streams that stay open: asked again every second or two.
        """
        found = await self.live(session, session_id)
        return None if found is None else found[1]

    async def live(self, session: AsyncSession, session_id: UUID) -> tuple[Session, Account] | None:
        """Return this session and its account as they are now, or None if it has ended."""
        return self._live(await repository.by_id(session, session_id))

    async def is_live(self, session: AsyncSession, session_id: UUID) -> bool:
        """Say whether this session still counts and its account is active."""
        return await self.account_of(session, session_id) is not None

    def needs_touch(self, row: Session) -> bool:
        """Say whether the last use is old enough to be written again.

        Says so once a minute and session: a page that asks ten things at once writes once.
        """
        now = self._clock.now()
        last = max(row.last_seen_at, self._touched.get(row.id, row.last_seen_at))
        if now - last < TOUCH_EVERY:
            return False
        self._touched[row.id] = now
        self._touched.move_to_end(row.id)
        if len(self._touched) > _MAX_REMEMBERED:
            self._touched.popitem(last=False)
        return True

    async def touch(self, session: AsyncSession, session_id: UUID) -> None:
        """Write that the session is in use now."""
        await repository.touch(session, session_id, self._clock.now())

    async def end(self, session: AsyncSession, session_id: UUID, reason: str) -> None:
        """End one session; its token opens nothing from the commit on."""
        if await repository.end(session, session_id, self._clock.now(), reason):
            await self._ended(session, str(session_id), None, {"reason": reason})

    async def end_own(
        self, session: AsyncSession, account_id: UUID, session_id: UUID, by: Actor
    ) -> None:
        """End one session of this account.

        Raises:
            NotFoundError: the account has no such session that goes on.
        """
        if not await repository.end(
            session, session_id, self._clock.now(), "ended by its holder", account_id
        ):
            raise NotFoundError(
                "There is no such session.", remedy="It may have ended. Reload the page."
            )
        await self._ended(session, str(session_id), by, {"reason": "ended by its holder"})

    async def end_all(
        self,
        session: AsyncSession,
        account_id: UUID,
        reason: str,
        *,
        but: UUID | None = None,
        by: Actor | None = None,
    ) -> int:
        """End every session of an account, `but` one, and return how many those were."""
        ended = await repository.end_all(session, account_id, self._clock.now(), reason, but)
        if ended:
            data: dict[str, JsonScalar] = {"reason": reason, "sessions": ended}
            await self._ended(session, str(account_id), by, data)
        return ended

    async def of(self, session: AsyncSession, account_id: UUID) -> list[Session]:
        """Return the sessions of an account that go on, the one used last first."""
        now = self._clock.now()
        return await repository.of_account(session, account_id, now, now - IDLE_LIMIT)

    async def known_address(self, session: AsyncSession, account_id: UUID, address: str) -> bool:
        """Say whether the account has been signed in from this address before."""
        return await repository.has_address(session, account_id, address[:64])

    async def forget_old(self, session: AsyncSession) -> None:
        """Delete the sessions that ran out long ago."""
        await repository.delete_older(session, self._clock.now() - KEEP_ENDED)

    def _live(self, found: tuple[Session, Account] | None) -> tuple[Session, Account] | None:
        if found is None:
            return None
        row, account = found
        now = self._clock.now()
        ended = row.ended_at is not None or now >= row.expires_at
        if ended or now - row.last_seen_at >= IDLE_LIMIT or not account.active:
            return None
        return row, account

    async def _ended(
        self,
        session: AsyncSession,
        subject: str,
        by: Actor | None,
        data: Mapping[str, JsonScalar],
    ) -> None:
        await self._ledger.append(session, "session.ended", actor=by, subject=subject, data=data)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
