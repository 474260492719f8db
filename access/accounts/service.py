"""Accounts: made, changed, switched off, and asked for their password.

No account exists until somebody makes one, and none has a password that somebody else knows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository
from access.accounts.models import Account
from access.accounts.names import check_display_name, check_locale, normalise_username
from access.accounts.passwords import HashedPassword, Passwords
from access.accounts.resets import home_waits
from access.accounts.roles import bindings_of, in_words, role_rows
from access.accounts.throttle import Throttle, TooManyAttemptsError
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor, Resource, Role, RoleBinding
from core.clock import Clock
from core.database import Database
from core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from core.ids import new_id
from core.logging import get_logger
from core.metrics import counter

_SIGN_INS = counter("sign_ins", "Attempts to sign in", ("outcome",))
_log = get_logger("access.accounts")


def resources_of(account: Account) -> list[Resource]:
    """Return `account` as what is asked for: once for each area in which it holds a role.

    Somebody who may change it must be permitted in all of them.
    """
    areas = sorted({row.area for row in account.roles}) or [""]
    return [Resource("account", id=str(account.id), area=area) for area in areas]


def actor_of(account: Account, session_id: UUID | None = None) -> Actor:
    """Return `account` as somebody who asks."""
    return Actor(
        kind="account",
        id=account.id,
        name=account.username,
        display_name=account.display_name,
        bindings=bindings_of(account),
        session_id=session_id,
    )


COMMAND_LINE = "command line"
"""Who set a password that was given on the node itself."""


class Accounts:
    """Decides about accounts. `second_factor_for` names the roles that may do nothing without."""

    def __init__(
        self, clock: Clock, ledger: Ledger, second_factor_for: Collection[str] = ()
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._second_factor_for = frozenset(second_factor_for)
        self._passwords = Passwords()
        self.throttle = Throttle(clock)

    def may_only(self, account: Account) -> str | None:
        """Return why `account` may do nothing but look after itself, or None.

        `password-change-needed`: somebody else knows its password. `second-factor-needed`: it
        holds a role that the settings let in with a second factor only.
        """
        if account.must_change_password:
            return "password-change-needed"
        if not account.has_second_factor and any(
            row.role in self._second_factor_for for row in account.roles
        ):
            return "second-factor-needed"
        return None

    def actor(self, account: Account, session_id: UUID | None = None) -> Actor:
        """Return `account` as somebody who asks now."""
        waits = home_waits(account, self._clock.now())
        return replace(actor_of(account, session_id), home_waits=waits)

    async def hash_password(self, password: str, *, username: str) -> HashedPassword:
        """Check the rules and hash `password`; slow, so call it outside of a transaction.

        Raises:
            InvalidInputError: code `weak-password`.
        """
        return await self._passwords.hash(password, username=normalise_username(username))

    async def create(
        self,
        session: AsyncSession,
        *,
        username: str,
        display_name: str,
        password: HashedPassword,
        roles: Sequence[RoleBinding] = (),
        locale: str = "zh-CN",
        by: Actor | None = None,
        password_set_by: str | None = None,
        must_change_password: bool = False,
    ) -> Account:
        """Make an account. `password_set_by` names who knows its password besides the holder.

        Raises:
            ConflictError: code `username-taken` or `conflicting-roles`.
            InvalidInputError: username, name, locale, role or area cannot be used.
        """
        username = normalise_username(username)
        if await repository.by_username(session, username) is not None:
            raise ConflictError(
                f"There is already an account '{username}'.",
                remedy="Choose another username, or change the existing account.",
                code="username-taken",
            )
        now = self._clock.now()
        account = Account(
            id=new_id(),
            username=username,
            display_name=check_display_name(display_name),
            password_hash=password,
            locale=check_locale(locale),
            active=True,
            created_at=now,
            updated_at=now,
            password_changed_at=now,
            must_change_password=must_change_password,
            password_set_by=password_set_by,
            password_set_by_other_at=now if password_set_by else None,
            has_second_factor=False,
            roles=role_rows(roles),
        )
        await repository.add(session, account)
        data = {"username": username, "roles": in_words(bindings_of(account))}
        await self._record(session, "account.created", account, by, data)
        return account

    async def update(
        self,
        session: AsyncSession,
        account: Account,
        *,
        display_name: str | None = None,
        password: HashedPassword | None = None,
        roles: Sequence[RoleBinding] | None = None,
        active: bool | None = None,
        locale: str | None = None,
        by: Actor | None = None,
        password_set_by: str | None = None,
        must_change_password: bool = True,
    ) -> Account:
        """Change what is not None of `account`, which must belong to `session`.

        Whoever calls this ends the sessions of the account when `password` or `active` changed
        (`Sessions.end_all`), and does so before. A new password is one that `password_set_by`
        knows, and with `must_change_password` the holder makes another at the next sign-in.

        Raises:
            ConflictError: code `last-administrator`: nobody else could administer the site; or
                `conflicting-roles`.
            InvalidInputError: name, locale, role or area cannot be used.
        """
        account = await self.get_for_change(session, account.id)
        now = self._clock.now()
        before, was_active = in_words(bindings_of(account)), account.active
        if display_name is not None:
            account.display_name = check_display_name(display_name)
        if locale is not None:
            account.locale = check_locale(locale)
        if roles is not None or active is False:
            left = bindings_of(account) if roles is None else tuple(roles)
            await self._keep_an_administrator(session, account, left, active)
        if roles is not None:
            kept = {(row.role, row.area): row for row in account.roles}
            wanted = role_rows(roles)
            account.roles = [kept.get((row.role, row.area), row) for row in wanted]
        if active is not None:
            account.active = active
        if password is not None:
            account.password_hash = password
            account.password_changed_at = now
            account.password_set_by = password_set_by
            account.password_set_by_other_at = now
            account.must_change_password = must_change_password
        account.updated_at = now
        await repository.flush(session)
        after = in_words(bindings_of(account))
        if after != before:
            data: dict[str, JsonScalar] = {"before": before, "after": after}
            await self._record(session, "account.granted", account, by, data)
        if account.active != was_active:
            kind = "account.activated" if account.active else "account.deactivated"
            await self._record(session, kind, account, by, {})
        if password is not None:
            await self._record(session, "account.password_set", account, by, {})
        if display_name is not None or locale is not None:
            data = {"display_name": account.display_name, "locale": account.locale}
            await self._record(session, "account.changed", account, by, data)
        return account

    async def change_own_password(
        self, session: AsyncSession, account: Account, password: HashedPassword
    ) -> None:
        """Give the holder's account the password that only the holder knows.

        Whoever calls this has checked the present one and ends the other sessions before.
        """
        account.password_hash = password
        account.password_changed_at = account.updated_at = self._clock.now()
        account.must_change_password = False
        await repository.flush(session)
        await self._record(session, "account.password_changed", account, actor_of(account), {})

    async def get_for_change(self, session: AsyncSession, account_id: UUID) -> Account:
        """Return the account locked until the commit, with roles as they are now.

        Raises:
            NotFoundError: there is none with this id.
        """
        return _found(await repository.locked(session, account_id))

    async def get(self, session: AsyncSession, account_id: UUID) -> Account:
        """Return the account.

        Raises:
            NotFoundError: there is none with this id.
        """
        return _found(await repository.by_id(session, account_id))

    async def get_by_username(self, session: AsyncSession, username: str) -> Account:
        """Return the account with this username, however it is written.

        Raises:
            NotFoundError: there is none.
        """
        account = await repository.by_username(session, normalise_username(username))
        if account is None:
            raise NotFoundError(
                f"There is no account '{username}'.",
                remedy="`camera-hub users list` shows the accounts.",
            )
        return account

    async def page(
        self,
        session: AsyncSession,
        *,
        areas: Sequence[str] = ("",),
        after: str | None = None,
        limit: int = 50,
    ) -> list[Account]:
        """Return at most `limit` accounts by username, following the username `after`.

        Only accounts whose roles all lie in `areas`; [""] is all.
        """
        return await repository.page(session, areas=areas, after=after, limit=limit)

    async def sign_in(
        self, database: Database, *, username: str, password: str, address: str
    ) -> UUID:
        """Return the id of the account whose username and password these are.

        Opens a transaction of its own only to renew an outdated hash. An unknown username, a
        wrong password and a deactivated account give the same answer in the same time.

        Raises:
            UnauthenticatedError: code `invalid-credentials`.
            TooManyAttemptsError: too many failures for this username from this address.
        """
        try:
            name: str | None = normalise_username(username)
        except InvalidInputError:
            name = None
        key = name if name is not None else username[:64]
        try:
            self.throttle.attempt(key, address)
        except TooManyAttemptsError:
            _SIGN_INS.labels("too-many-attempts").inc()
            raise
        async with database.read() as session:
            account = None if name is None else await repository.by_username(session, name)
        matches, renewed = await self._passwords.verify(
            password, None if account is None else account.password_hash
        )
        if account is None or not matches or not account.active:
            _SIGN_INS.labels("refused").inc()
            # The username is not logged: people type their password into the wrong field.
            known = None if account is None else str(account.id)
            _log.warning("sign_in_refused", account=known, address=address)
            raise UnauthenticatedError(
                "The username or the password is wrong, or the account is switched off.",
                remedy="Try again, or ask an administrator for a new password.",
                code="invalid-credentials",
            )
        self.throttle.succeeded(key, address)
        _SIGN_INS.labels("accepted").inc()
        _log.info("password_accepted", account=str(account.id), address=address)
        if renewed is not None:
            async with database.transaction() as session:
                stored = await self.get(session, account.id)
                if stored.password_hash == account.password_hash:
                    stored.password_hash = renewed
        return account.id

    async def check_own_password(
        self, database: Database, *, account_id: UUID, password: str, address: str
    ) -> None:
        """Let the holder go on who knows the present password; a session alone is not enough.

        Guesses are slowed down like those at sign-in, so that a stolen session finds nothing out.

        Raises:
            ForbiddenError: code `wrong-password`.
            TooManyAttemptsError: too many failures for this account from this address.
        """
        self.throttle.attempt(str(account_id), address)
        async with database.read() as session:
            account = await self.get(session, account_id)
        matches, _ = await self._passwords.verify(password, account.password_hash)
        if not matches:
            _log.warning("own_password_refused", account=str(account_id), address=address)
            raise ForbiddenError(
                "The password is wrong.",
                remedy="Enter the password with which you sign in now.",
                code="wrong-password",
            )
        self.throttle.succeeded(str(account_id), address)

    async def _record(
        self,
        session: AsyncSession,
        kind: str,
        account: Account,
        by: Actor | None,
        data: Mapping[str, JsonScalar],
    ) -> None:
        areas = {row.area for row in account.roles}
        await self._ledger.append(
            session,
            kind,
            actor=by,
            area=areas.pop() if len(areas) == 1 else "",
            subject=str(account.id),
            data=data,
        )

    async def _keep_an_administrator(
        self,
        session: AsyncSession,
        account: Account,
        left: Sequence[RoleBinding],
        active: bool | None,
    ) -> None:
        whole_site = RoleBinding(Role.ADMINISTRATOR, "")
        if whole_site not in bindings_of(account) or not account.active:
            return
        if whole_site in left and active is not False:
            return
        others = await repository.other_active_holders(
            session, Role.ADMINISTRATOR.value, "", account.id
        )
        if not others:
            raise ConflictError(
                "This is the last account that administers the whole site.",
                remedy="Make another administrator of the whole site first.",
                code="last-administrator",
            )


def _found(account: Account | None) -> Account:
    if account is None:
        raise NotFoundError(
            "There is no such account.", remedy="Look it up in the list of accounts."
        )
    return account
