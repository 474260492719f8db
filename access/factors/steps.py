"""The steps of a sign-in besides the password."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.factors import passkeys, recovery, repository, totp
from access.factors.challenges import CHALLENGE_LIFETIME, Pending, to_bytes, to_text
from access.factors.models import Passkey
from access.factors.passkeys import PasskeyRefusedError, RelyingParty
from access.factors.service import Factors
from access.factors.tickets import Tickets
from core.clock import Clock
from core.errors import UnauthenticatedError
from core.logging import get_logger
from core.secrets import SecretBox

_SECOND, _ALONE = "second-step", "passkey-sign-in"
_log = get_logger("access.factors")


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked for after the password. `challenge` is a ticket, not a session."""

    challenge: str
    methods: list[str]
    expires_at: datetime
    passkey_options: passkeys.Json | None


class Steps:
    """Asks for second factors and takes the answers."""

    def __init__(self, clock: Clock, box: SecretBox, factors: Factors) -> None:
        self._clock = clock
        self._box = box
        self._factors = factors
        self._challenges = factors.challenges
        self.tickets = Tickets(clock, box)

    async def ask(
        self, session: AsyncSession, account: Account, party: RelyingParty | None
    ) -> Step:
        """Return what `account`, whose password was right, must show next.

        Without `party` (an address at which browsers refuse passkeys) no passkey is offered.
        """
        found = await self._factors.of(session, account.id)
        asked = await self._challenges.ask(session, account.id, _SECOND)
        with_passkey = bool(found.passkeys) and party is not None
        offered = {
            "totp": found.totp,
            "passkey": with_passkey,
            "recovery": found.recovery_codes_left > 0,
        }
        options = None
        if party is not None and with_passkey:
            options = passkeys.sign_in_options(
                party, nonce=asked.nonce, known=found.passkeys, alone=False
            )
        methods = [name for name, there in offered.items() if there]
        return Step(asked.token, methods, asked.expires_at, options)

    async def count_try(self, session: AsyncSession, challenge: str) -> Pending:
        """Return the second step that `challenge` belongs to, counting a try at it.

        The transaction must be committed before the answer is looked at: many tries at once count.

        Raises:
            UnauthenticatedError: code `challenge-expired`.
        """
        return await self._challenges.tried(session, challenge, _SECOND)

    async def answer(
        self,
        session: AsyncSession,
        pending: Pending,
        *,
        method: str,
        code: str,
        credential: Mapping[str, Any] | None,
        party: RelyingParty | None,
    ) -> None:
        """Take the answer to a second step; what was right counts no second time.

        Raises:
            UnauthenticatedError: code `wrong-code`, `passkey-refused` or `challenge-expired`.
        """
        if method == "passkey" and credential is not None and party is not None:
            await self._passkey_answers(session, pending.account_id, credential, pending, party)
        elif method == "totp":
            await self._totp_answers(session, pending.account_id, code)
        elif method != "recovery" or not await repository.use_recovery_code(
            session, pending.account_id, recovery.digest(code), self._clock.now()
        ):
            raise _wrong_code()
        await self._challenges.take(session, pending)

    def offer_passkey(self, party: RelyingParty) -> tuple[str, passkeys.Json]:
        """Return a ticket, and the options to sign in by passkey alone; nothing is stored."""
        nonce = secrets.token_bytes(32)
        ticket = self.tickets.seal(_ALONE, CHALLENGE_LIFETIME, {"nonce": to_text(nonce)})
        return ticket, passkeys.sign_in_options(party, nonce=nonce, known=(), alone=True)

    async def sign_in_by_passkey(
        self, session: AsyncSession, ticket: str, credential: Mapping[str, Any], party: RelyingParty
    ) -> UUID:
        """Return the account whose passkey answered, with PIN or finger.

        Raises:
            UnauthenticatedError: code `challenge-expired` or `passkey-refused`.
        """
        data = self.tickets.open(_ALONE, ticket)
        row = await repository.passkey(session, passkeys.credential_id_of(dict(credential)))
        if row is None:
            raise PasskeyRefusedError(
                "No account has this passkey.",
                remedy="Sign in with your password, then add it on the page of your account.",
            )
        handle = passkeys.user_handle_of(dict(credential))
        if handle is not None and handle != row.account_id.bytes:
            raise PasskeyRefusedError("The passkey belongs to another account.")
        await self._check(row, credential, to_bytes(data["nonce"]), party, alone=True)
        await self.tickets.spend(session, ticket, CHALLENGE_LIFETIME)
        return row.account_id

    async def _passkey_answers(
        self,
        session: AsyncSession,
        account_id: UUID,
        credential: Mapping[str, Any],
        pending: Pending,
        party: RelyingParty,
    ) -> None:
        row = await repository.passkey(session, passkeys.credential_id_of(dict(credential)))
        if row is None or row.account_id != account_id:
            raise PasskeyRefusedError(
                "This passkey does not belong to the account.",
                remedy="Use a passkey that was added to this account.",
            )
        await self._check(row, credential, pending.nonce, party, alone=False)

    async def _check(
        self,
        row: Passkey,
        credential: Mapping[str, Any],
        nonce: bytes,
        party: RelyingParty,
        *,
        alone: bool,
    ) -> None:
        try:
            count = passkeys.check_sign_in(party, row, dict(credential), nonce, alone=alone)
        except PasskeyRefusedError as error:
            _log.warning("passkey_refused", passkey=str(row.id), reason=error.detail.get("reason"))
            raise
        row.sign_count, row.last_used_at = count, self._clock.now()

    async def _totp_answers(self, session: AsyncSession, account_id: UUID, code: str) -> None:
        row = await repository.totp(session, account_id)
        if row is None or row.confirmed_at is None:
            raise _wrong_code()
        step = totp.matching_step(self._box.open(row.sealed), code, self._clock.now())
        if step is None or not await repository.use_step(session, account_id, step):
            raise _wrong_code()


def _wrong_code() -> UnauthenticatedError:
    return UnauthenticatedError(
        "The code is wrong or was used already.",
        remedy="Wait for the next code of the app, or use another way.",
        code="wrong-code",
    )
