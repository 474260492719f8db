"""Whose account an identity is. Nothing here makes an account or gives a role."""

import base64
import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository as account_rows
from access.accounts.models import Account
from access.accounts.names import normalise_username
from access.accounts.service import actor_of
from access.factors.tickets import Tickets
from access.ledger.service import Ledger
from access.oidc import repository
from access.oidc.models import OidcIdentity
from access.oidc.provider import Provider
from access.policy.types import Actor
from core.clock import Clock
from core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from core.ids import new_id
from core.secrets import SecretBox
from core.settings import OidcSettings

LIFETIME = timedelta(minutes=10)
_PURPOSE = "oidc"


class Oidc:
    """Sends browsers to the provider and takes what they bring back."""

    def __init__(
        self, clock: Clock, box: SecretBox, ledger: Ledger, settings: OidcSettings | None
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._settings = settings
        self._tickets = Tickets(clock, box)
        self._provider = Provider(clock, settings) if settings is not None else None

    @property
    def enabled(self) -> bool:
        """Whether a provider is set."""
        return self._settings is not None

    @property
    def name(self) -> str:
        """The provider's name to show; empty if none is set."""
        return self._settings.name if self._settings is not None else ""

    async def begin(
        self, redirect_uri: str, *, link_to: UUID | None = None, session_id: UUID | None = None
    ) -> tuple[str, str]:
        """Return where the browser is to go, and the ticket that it must bring back.

        With `link_to` what comes back is connected to that account, if `session_id` still counts.

        Raises:
            NotFoundError: no provider is set.
            UnavailableError: code `provider-away`.
        """
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        url = await self._asked().authorization_url(
            redirect_uri=redirect_uri,
            state=state,
            nonce=nonce,
            code_challenge=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        )
        data = {"state": state, "nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri}
        if link_to is not None and session_id is not None:
            data |= {"link_to": str(link_to), "session_id": str(session_id)}
        return url, self._tickets.seal(_PURPOSE, LIFETIME, data)

    def opened(self, ticket: str, state: str) -> dict[str, str]:
        """Return what was sealed for the browser that brings `state` back.

        Raises:
            ForbiddenError: code `sign-in-mismatch`: another browser began, or another sign-in.
            UnauthenticatedError: code `challenge-expired`.
        """
        data = self._tickets.open(_PURPOSE, ticket) if ticket else {"state": ""}
        if not state or not secrets.compare_digest(data["state"].encode(), state.encode()):
            raise ForbiddenError(
                "This answer belongs to a sign-in that this browser did not begin.",
                remedy="Begin again from the sign-in page.",
                code="sign-in-mismatch",
            )
        return data

    def is_to_link(self, ticket: str) -> bool:
        """Say whether the ticket is one to connect an account, whoever brings it."""
        try:
            return "link_to" in self._tickets.open(_PURPOSE, ticket)
        except UnauthenticatedError:
            return False

    async def identity(self, data: dict[str, str], code: str) -> tuple[str, str]:
        """Return subject and username that the provider names for `code`.

        Raises:
            UnavailableError: code `provider-away`.
            ForbiddenError: the provider refuses the code, or its ID token does not hold.
        """
        claims = await self._asked().redeem(
            code,
            verifier=data["verifier"],
            redirect_uri=data["redirect_uri"],
            nonce=data["nonce"],
        )
        username = claims.get("preferred_username")
        return claims["sub"], username if isinstance(username, str) else ""

    async def spend(self, session: AsyncSession, ticket: str) -> None:
        """Let the ticket count no more.

        Raises:
            UnauthenticatedError: code `challenge-expired`: it was used before.
        """
        await self._tickets.spend(session, ticket, LIFETIME)

    async def account_of(self, session: AsyncSession, subject: str, username: str) -> Account:
        """Return the account that the identity stands for; connects it first if settings say so.

        Raises:
            ForbiddenError: code `identity-unknown`.
        """
        settings = self._set()
        row = await repository.by_subject(session, settings.issuer, subject)
        if row is None and settings.link == "username":
            account = await self._named(session, username)
            if account is not None:
                await self._put(session, account, subject, None)
                return account
        account = None if row is None else await account_rows.by_id(session, row.account_id)
        if account is None or not account.active:
            raise ForbiddenError(
                "No account here is connected with this identity.",
                remedy="Sign in with your password and connect it on the page of your account, "
                "or ask an administrator for an account.",
                code="identity-unknown",
            )
        return account

    async def link(self, session: AsyncSession, account: Account, subject: str) -> None:
        """Connect the identity with the holder's account.

        Raises:
            ConflictError: code `identity-taken`: it stands for another account.
        """
        row = await repository.by_subject(session, self._set().issuer, subject)
        if row is not None and row.account_id != account.id:
            raise ConflictError(
                "This identity is connected with another account.",
                remedy="Disconnect it there first, or use another identity.",
                code="identity-taken",
            )
        if row is None:
            await repository.delete_of_account(session, account.id)
            await self._put(session, account, subject, actor_of(account))

    async def linked(self, session: AsyncSession, account_id: UUID) -> bool:
        """Say whether an identity of the present issuer stands for the account."""
        row = await repository.of_account(session, account_id)
        return (
            row is not None and self._settings is not None and row.issuer == self._settings.issuer
        )

    async def unlink(self, session: AsyncSession, account: Account, by: Actor | None) -> bool:
        """Disconnect the account; say whether it was connected."""
        if not await repository.delete_of_account(session, account.id):
            return False
        await self._ledger.append(
            session, "account.identity_removed", actor=by, subject=str(account.id), data={}
        )
        return True

    async def _named(self, session: AsyncSession, username: str) -> Account | None:
        """Return the active account of that username, unless another identity has it already."""
        try:
            found = await account_rows.by_username(session, normalise_username(username))
        except InvalidInputError:
            return None
        if found is None or not found.active:
            return None
        taken = await repository.of_account(session, found.id)
        return found if taken is None else None

    async def _put(
        self, session: AsyncSession, account: Account, subject: str, by: Actor | None
    ) -> None:
        issuer = self._set().issuer
        row = OidcIdentity(
            id=new_id(),
            issuer=issuer,
            subject=subject,
            account_id=account.id,
            created_at=self._clock.now(),
        )
        await repository.add(session, row)
        await self._ledger.append(
            session,
            "account.identity_linked",
            actor=by,
            subject=str(account.id),
            data={"issuer": issuer},
        )

    def _set(self) -> OidcSettings:
        if self._settings is None:
            raise NotFoundError(
                "Sign-in through an identity provider is not set up.",
                remedy="Sign in with your password.",
            )
        return self._settings

    def _asked(self) -> Provider:
        self._set()
        assert self._provider is not None
        return self._provider
