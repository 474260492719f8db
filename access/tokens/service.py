"""Service tokens: `chub_` and 43 random characters, shown once when made."""

import hashlib
import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import Ledger
from access.policy.areas import normalise_area
from access.policy.service import SCOPES
from access.policy.types import Actor, Role, RoleBinding
from access.tokens import repository
from access.tokens.models import ServiceToken
from access.tokens.repository import TokenRow
from core.clock import Clock
from core.errors import InvalidInputError, NotFoundError
from core.ids import new_id

PREFIX = "chub_"
TOUCH_EVERY = timedelta(minutes=5)
_MAX_TOKEN_LENGTH = 128


_Row = TypeVar("_Row", ServiceToken, TokenRow)


def actor_of(token: ServiceToken | TokenRow) -> Actor:
    """Return the program that holds `token` as somebody who asks."""
    return Actor(
        kind="service",
        id=token.id,
        name=token.name,
        display_name=token.name,
        bindings=(RoleBinding(Role.SERVICE, token.area),),
        scopes=frozenset(token.scopes),
        households=frozenset() if token.household_id is None else frozenset({token.household_id}),
    )


class Tokens:
    """Decides which tokens count."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def issue(
        self,
        session: AsyncSession,
        *,
        name: str,
        scopes: Iterable[str],
        area: str = "",
        expires_at: datetime | None = None,
        by: Actor | None = None,
        household_id: UUID | None = None,
    ) -> tuple[ServiceToken, str]:
        """Make a token; the second of the pair is the secret, which is stored nowhere.

        Raises:
            InvalidInputError: unknown or no scope, no name, or an expiry that has passed.
        """
        wanted = sorted(set(scopes))
        unknown = [scope for scope in wanted if scope not in SCOPES]
        if unknown or not wanted:
            raise InvalidInputError(
                f"There is no scope '{unknown[0][:40]}'." if unknown else "No scope was named.",
                remedy=f"Choose from {', '.join(sorted(SCOPES))}.",
                code="invalid-scope",
            )
        name = " ".join(name.split())
        if not 1 <= len(name) <= 80 or not name.isprintable():
            raise InvalidInputError(
                "The token's name cannot be used.",
                remedy="Use 1 to 80 printable characters that say what the program is.",
                code="invalid-name",
            )
        now = self._clock.now()
        if expires_at is not None and expires_at <= now:
            raise InvalidInputError(
                "The token would have expired already.",
                remedy="Choose an expiry in the future, or none.",
                code="invalid-expiry",
            )
        secret = PREFIX + secrets.token_urlsafe(32)
        row = ServiceToken(
            id=new_id(),
            name=name,
            token_hash=_digest(secret),
            scopes=wanted,
            area=normalise_area(area),
            household_id=household_id,
            created_by=by.id if by is not None and by.kind == "account" else None,
            created_at=now,
            expires_at=expires_at,
        )
        await repository.add(session, row)
        await self._ledger.append(
            session,
            "token.issued",
            actor=by,
            area=row.area,
            subject=str(row.id),
            data={
                "name": name,
                "scopes": ", ".join(wanted),
                "expires_at": expires_at.isoformat() if expires_at is not None else None,
            },
        )
        return row, secret

    async def renew(self, session: AsyncSession, *, name: str, scopes: Iterable[str]) -> str:
        """Return a new secret for the node's own service `name`; older ones of it are revoked."""
        await repository.revoke_named(session, name, self._clock.now())
        _, secret = await self.issue(session, name=name, scopes=scopes)
        return secret

    async def resolve(self, session: AsyncSession, secret: str) -> TokenRow | None:
        """Return the token with this secret if it counts, else None."""
        return (await self.resolve_all(session, [secret])).get(secret)

    async def resolve_all(
        self, session: AsyncSession, secrets: Collection[str]
    ) -> dict[str, TokenRow]:
        """Return the tokens with these secrets that count, by secret. One query."""
        digests = {
            _digest(secret): secret
            for secret in secrets
            if secret.startswith(PREFIX) and len(secret) <= _MAX_TOKEN_LENGTH
        }
        if not digests:
            return {}
        rows = await repository.by_hashes(session, digests)
        return {digests[row.token_hash]: row for row in rows if self._live(row) is not None}

    async def live(self, session: AsyncSession, token_id: UUID) -> ServiceToken | None:
        """Return the token with this id if it counts, else None; for streams that stay open."""
        return self._live(await repository.by_id(session, token_id))

    def needs_touch(self, row: TokenRow) -> bool:
        """Say whether the last use is old enough to be written again."""
        return row.last_used_at is None or self._clock.now() - row.last_used_at >= TOUCH_EVERY

    async def touch(self, session: AsyncSession, token_ids: Collection[UUID]) -> None:
        """Write that the tokens are in use now."""
        await repository.touch(session, token_ids, self._clock.now())

    async def get(self, session: AsyncSession, token_id: UUID) -> ServiceToken:
        """Return a token that is not revoked.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = await repository.by_id(session, token_id)
        if row is None or row.revoked_at is not None:
            raise NotFoundError(
                "There is no such token.", remedy="Look it up in the list of tokens."
            )
        return row

    async def revoke(self, session: AsyncSession, token_id: UUID, by: Actor | None = None) -> None:
        """Revoke a token; it opens nothing from the commit on.

        Raises:
            NotFoundError: there is none with this id.
        """
        row = await self.get(session, token_id)
        row.revoked_at = self._clock.now()
        await self._ledger.append(
            session,
            "token.revoked",
            actor=by,
            area=row.area,
            subject=str(row.id),
            data={"name": row.name},
        )

    async def page(
        self,
        session: AsyncSession,
        *,
        areas: Sequence[str] = ("",),
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[ServiceToken]:
        """Return at most `limit` tokens of `areas` that are not revoked, newest first."""
        return await repository.page(session, areas=areas, before=before, limit=limit)

    def _live(self, row: _Row | None) -> _Row | None:
        if row is None or row.revoked_at is not None:
            return None
        if row.expires_at is not None and self._clock.now() >= row.expires_at:
            return None
        return row


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
