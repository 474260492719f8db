"""Accounts: made, changed, switched off, and asked for their password.

No account exists until somebody makes one, and none has a password that somebody else knows.
"""

import re
import unicodedata
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts import repository
from access.accounts.models import Account, AccountRole
from access.accounts.passwords import HashedPassword, Passwords
from access.accounts.throttle import Throttle, TooManyAttemptsError
from access.policy.areas import normalise_area
from access.policy.types import Actor, Resource, Role, RoleBinding
from core.clock import Clock
from core.database import Database
from core.errors import ConflictError, InvalidInputError, NotFoundError, UnauthenticatedError
from core.ids import new_id
from core.logging import get_logger
from core.metrics import counter

_SIGN_INS = counter("sign_ins", "Attempts to sign in", ("outcome",))
_log = get_logger("access.accounts")

LOCALES = ("zh-CN", "en")
_USERNAME = re.compile(r"[^\W_][\w.@-]{1,62}[^\W_]")


def normalise_username(text: str) -> str:
    """Return `text` as it is stored and compared: NFKC, no blanks around, case folded.

    Raises:
        InvalidInputError: not 3 to 64 letters, digits or `. _ @ -`.
    """
    username = unicodedata.normalize("NFKC", text).strip().casefold()
    if not _USERNAME.fullmatch(username):
        raise InvalidInputError(
            "The username cannot be used.",
            remedy="Use 3 to 64 letters, digits or . _ @ - and begin and end with "
            "a letter or digit.",
            code="invalid-username",
        )
    return username


def bindings_of(account: Account) -> tuple[RoleBinding, ...]:
    """Return the roles of `account`."""
    return tuple(RoleBinding(Role(row.role), row.area) for row in account.roles)


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


class Accounts:
    """Decides about accounts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._passwords = Passwords()
        self._throttle = Throttle(clock)

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
    ) -> Account:
        """Make an account.

        Raises:
            ConflictError: code `username-taken`.
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
            display_name=_display_name(display_name),
            password_hash=password,
            locale=_locale(locale),
            active=True,
            created_at=now,
            updated_at=now,
            password_changed_at=now,
            roles=_role_rows(roles),
        )
        await repository.add(session, account)
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
    ) -> Account:
        """Change what is not None of `account`, which must belong to `session`.

        Whoever calls this ends the sessions of the account when `password` or `active` changed
        (`Sessions.end_all`).

        Raises:
            ConflictError: code `last-administrator`: nobody else could administer the site.
            InvalidInputError: name, locale, role or area cannot be used.
        """
        now = self._clock.now()
        if display_name is not None:
            account.display_name = _display_name(display_name)
        if locale is not None:
            account.locale = _locale(locale)
        if roles is not None or active is False:
            left = bindings_of(account) if roles is None else tuple(roles)
            await self._keep_an_administrator(session, account, left, active)
        if roles is not None:
            kept = {(row.role, row.area): row for row in account.roles}
            wanted = _role_rows(roles)
            account.roles = [kept.get((row.role, row.area), row) for row in wanted]
        if active is not None:
            account.active = active
        if password is not None:
            account.password_hash = password
            account.password_changed_at = now
        account.updated_at = now
        await repository.flush(session)
        return account

    async def get(self, session: AsyncSession, account_id: UUID) -> Account:
        """Return the account.

        Raises:
            NotFoundError: there is none with this id.
        """
        account = await repository.by_id(session, account_id)
        if account is None:
            raise NotFoundError(
                "There is no such account.", remedy="Look it up in the list of accounts."
            )
        return account

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
            self._throttle.attempt(key, address)
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
        self._throttle.succeeded(key, address)
        _SIGN_INS.labels("accepted").inc()
        _log.info("signed_in", account=str(account.id), address=address)
        if renewed is not None:
            async with database.transaction() as session:
                stored = await self.get(session, account.id)
                if stored.password_hash == account.password_hash:
                    stored.password_hash = renewed
        return account.id

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


def _display_name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise InvalidInputError(
            "The name to show cannot be used.",
            remedy="Use 1 to 80 printable characters.",
            code="invalid-display-name",
        )
    return name


def _locale(text: str) -> str:
    if text not in LOCALES:
        raise InvalidInputError(
            f"There is no language '{text[:20]}'.",
            remedy=f"Choose one of {', '.join(LOCALES)}.",
            code="invalid-locale",
        )
    return text


def _role_rows(roles: Sequence[RoleBinding]) -> list[AccountRole]:
    rows: dict[tuple[str, str], AccountRole] = {}
    for binding in roles:
        if binding.role is Role.SERVICE:
            raise InvalidInputError(
                "The role 'service' is for programs.",
                remedy="Make a token instead of an account.",
                code="invalid-role",
            )
        area = normalise_area(binding.area)
        rows[binding.role.value, area] = AccountRole(
            id=new_id(), role=binding.role.value, area=area
        )
    return list(rows.values())
