"""Second factors of an account: enrolled, renamed, removed, reset."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.service import actor_of
from access.factors import passkeys, recovery, repository, totp
from access.factors.challenges import Challenges
from access.factors.models import Passkey, RecoveryCode, TotpSecret
from access.factors.passkeys import RelyingParty
from access.factors.tickets import expired
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.secrets import SecretBox

CONFIRM_WITHIN = timedelta(minutes=15)
MAX_PASSKEYS = 20

_REGISTER = "passkey-register"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The factors of an account."""

    totp: bool
    passkeys: list[Passkey]
    recovery_codes_left: int


class Factors:
    """Decides about second factors."""

    def __init__(self, clock: Clock, box: SecretBox, ledger: Ledger, site: str) -> None:
        self._clock = clock
        self._box = box
        self._ledger = ledger
        self._site = site
        self.challenges = Challenges(clock)

    async def of(self, session: AsyncSession, account_id: UUID) -> Enrolled:
        """Return the factors of an account."""
        secret = await repository.totp(session, account_id)
        return Enrolled(
            totp=secret is not None and secret.confirmed_at is not None,
            passkeys=await repository.passkeys(session, account_id),
            recovery_codes_left=await repository.recovery_codes_left(session, account_id),
        )

    async def counted(
        self, session: AsyncSession, account_ids: Iterable[UUID]
    ) -> dict[UUID, tuple[bool, int]]:
        """Return for each account whether it has TOTP, and its number of passkeys."""
        ids = list(account_ids)
        with_totp, numbers = await repository.enrolled(session, ids)
        return {found: (found in with_totp, numbers.get(found, 0)) for found in ids}

    # ---- enrolling ------------------------------------------------------------------------------

    async def begin_totp(self, session: AsyncSession, account: Account) -> tuple[str, str, str]:
        """Make a secret that counts once a code of it is confirmed; return secret, URI, QR (SVG).

        Raises:
            ConflictError: code `totp-enrolled`.
        """
        present = await repository.totp(session, account.id)
        if present is not None and present.confirmed_at is not None:
            raise ConflictError(
                "An authenticator app is set up already.",
                remedy="Remove it first, then set up the new one.",
                code="totp-enrolled",
            )
        secret = totp.new_secret()
        row = TotpSecret(
            account_id=account.id,
            sealed=self._box.seal(secret),
            created_at=self._clock.now(),
            last_step=0,
        )
        if present is not None:
            session.expunge(present)
        await repository.put_totp(session, row)
        address = totp.uri(secret, username=account.username, site=self._site)
        return secret, address, totp.qr_svg(address)

    async def confirm_totp(self, session: AsyncSession, account: Account, code: str) -> list[str]:
        """Let the secret count if `code` is one of it now; return new recovery codes.

        Raises:
            ConflictError: code `no-totp-begun`: none was made, or too long ago.
            InvalidInputError: code `wrong-code`.
        """
        row = await repository.totp(session, account.id)
        now = self._clock.now()
        if row is None or row.confirmed_at is not None or now - row.created_at > CONFIRM_WITHIN:
            raise ConflictError(
                "There is no new authenticator app to confirm.",
                remedy="Begin again and scan the new picture.",
                code="no-totp-begun",
            )
        step = totp.matching_step(self._box.open(row.sealed), code, now)
        if step is None or not await repository.use_step(session, account.id, step):
            raise InvalidInputError(
                "The code is wrong.",
                remedy="Enter the six digits that the app shows now. If they are refused again, "
                "set the phone's clock to automatic.",
                code="wrong-code",
            )
        row.confirmed_at = now
        codes = await self._put_codes(session, account.id)
        await self._note(session, account, "account.totp_added")
        return codes

    async def remove_totp(self, session: AsyncSession, account: Account) -> None:
        """Remove the authenticator app.

        Raises:
            NotFoundError: there is none.
        """
        if not await repository.delete_totp(session, account.id):
            raise NotFoundError("No authenticator app is set up.")
        await self._note(session, account, "account.totp_removed")

    async def new_recovery_codes(self, session: AsyncSession, account: Account) -> list[str]:
        """Make new recovery codes; the earlier ones count no more.

        Raises:
            ConflictError: code `no-second-factor`: there is nothing that they could stand for.
        """
        if not account.has_second_factor:
            raise ConflictError(
                "Recovery codes stand for an authenticator app or a passkey, and there is none.",
                remedy="Set up one of these first.",
                code="no-second-factor",
            )
        codes = await self._put_codes(session, account.id)
        await self._note(session, account, "account.recovery_renewed")
        return codes

    async def begin_passkey(
        self, session: AsyncSession, account: Account, party: RelyingParty
    ) -> tuple[str, passkeys.Json]:
        """Return a challenge, and the options for the browser to make a passkey with.

        Raises:
            ConflictError: code `too-many-passkeys`.
        """
        known = await repository.passkeys(session, account.id)
        if len(known) >= MAX_PASSKEYS:
            raise ConflictError(
                f"An account holds at most {MAX_PASSKEYS} passkeys.",
                remedy="Remove those that are not used any more.",
                code="too-many-passkeys",
            )
        asked = await self.challenges.ask(session, account.id, _REGISTER)
        options = passkeys.registration_options(
            party,
            account_id=account.id,
            username=account.username,
            display_name=account.display_name,
            nonce=asked.nonce,
            known=known,
        )
        return asked.token, options

    async def add_passkey(
        self,
        session: AsyncSession,
        account: Account,
        *,
        challenge: str,
        credential: Mapping[str, Any],
        name: str,
        party: RelyingParty,
    ) -> tuple[Passkey, list[str] | None]:
        """Enrol the passkey that the browser made; the second is recovery codes, with the first.

        Raises:
            UnauthenticatedError: the challenge is over, or the answer does not prove a passkey.
            ConflictError: code `passkey-known`.
            InvalidInputError: code `invalid-name`.
        """
        name = _name(name)
        pending = await self.challenges.tried(session, challenge, _REGISTER)
        if pending.account_id != account.id:
            raise expired()
        await self.challenges.take(session, pending)
        made = passkeys.check_registration(party, dict(credential), pending.nonce)
        if await repository.passkey(session, made.credential_id) is not None:
            raise ConflictError(
                "This passkey is enrolled already.",
                remedy="Use another device or key.",
                code="passkey-known",
            )
        row = Passkey(
            id=new_id(),
            account_id=account.id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=made.transports,
            name=name,
            created_at=self._clock.now(),
        )
        await repository.add_passkey(session, row)
        codes = None
        if await repository.recovery_codes_left(session, account.id) == 0:
            codes = await self._put_codes(session, account.id)
        await self._note(session, account, "account.passkey_added", {"name": name})
        return row, codes

    async def rename_passkey(
        self, session: AsyncSession, account: Account, passkey_id: UUID, name: str
    ) -> Passkey:
        """Give a passkey another name.

        Raises:
            NotFoundError: the account has no such passkey.
        """
        row = await self._own_passkey(session, account.id, passkey_id)
        row.name = _name(name)
        return row

    async def remove_passkey(
        self, session: AsyncSession, account: Account, passkey_id: UUID
    ) -> None:
        """Remove a passkey.

        Raises:
            NotFoundError: the account has no such passkey.
        """
        row = await self._own_passkey(session, account.id, passkey_id)
        await repository.delete_passkey(session, row)
        await self._note(session, account, "account.passkey_removed", {"name": row.name})

    async def reset(self, session: AsyncSession, account: Account, by: Actor | None) -> None:
        """Remove every factor of an account whose holder has lost them."""
        await repository.delete_all(session, account.id)
        await self._note(session, account, "account.factors_reset", by=by)

    async def _own_passkey(
        self, session: AsyncSession, account_id: UUID, passkey_id: UUID
    ) -> Passkey:
        row = await repository.own_passkey(session, account_id, passkey_id)
        if row is None:
            raise NotFoundError("There is no such passkey.", remedy="Reload the page.")
        return row

    async def _put_codes(self, session: AsyncSession, account_id: UUID) -> list[str]:
        codes = recovery.new_codes()
        rows = [
            RecoveryCode(id=new_id(), account_id=account_id, code_hash=recovery.digest(code))
            for code in codes
        ]
        await repository.put_recovery_codes(session, account_id, rows)
        return codes

    async def _note(
        self,
        session: AsyncSession,
        account: Account,
        kind: str,
        data: Mapping[str, JsonScalar] | None = None,
        by: Actor | None = None,
    ) -> None:
        """Keep `has_second_factor` true to the tables, and write the change into the ledger."""
        await session.flush()
        found = await self.of(session, account.id)
        account.has_second_factor = found.totp or bool(found.passkeys)
        if not account.has_second_factor:
            await repository.put_recovery_codes(session, account.id, ())
        await session.flush()
        own = by is None and kind != "account.factors_reset"
        await self._ledger.append(
            session,
            kind,
            actor=actor_of(account) if own else by,
            subject=str(account.id),
            data=data or {},
        )


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise InvalidInputError(
            "The passkey's name cannot be used.",
            remedy="Use 1 to 80 printable characters that say which device it is.",
            code="invalid-name",
        )
    return name
