"""What the hub stands on, and the services that say who may what: its lower half."""

from contextlib import AsyncExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock
from core.settings import Settings

if TYPE_CHECKING:
    from access.accounts.service import Accounts
    from access.consent.service import Consent
    from access.factors.service import Factors
    from access.factors.steps import Steps
    from access.households.service import Households
    from access.jurisdictions import Law
    from access.ledger.background import Verifications
    from access.ledger.service import Ledger
    from access.ledger.signing import Signer
    from access.oidc.service import Oidc
    from access.policy.service import Policy
    from access.seals.service import Seals
    from access.sessions.service import Sessions
    from access.tokens.lookup import TokenLookup
    from access.tokens.service import Tokens
    from access.views.service import Views
    from core.database import Database
    from core.outbound import Outbound
    from core.secrets import SecretBox


class AccessServices:
    """Settings, clock, database and keys, and the services of `access` on them."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings = settings
        self.clock = clock
        # What was made later may use what was made earlier: it is closed first.
        self._ends = AsyncExitStack()

    # What the others stand on

    @cached_property
    def secrets(self) -> "SecretBox":
        from core.secrets import SecretBox

        return SecretBox.from_file(self.settings.secret_key_file)

    @cached_property
    def database(self) -> "Database":
        from core.database import Database

        patience_s = self.settings.database.busy_timeout_s
        made = Database(self.settings.database_url, busy_timeout_s=patience_s)
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def outbound(self) -> "Outbound":
        from core.outbound import Outbound

        told = self.settings.deliveries
        made = Outbound(allow_private=told.allow_private, timeout_s=told.timeout_s)
        self._ends.push_async_callback(made.close)
        return made

    # Who may what

    @cached_property
    def law(self) -> "Law":
        from access.jurisdictions import Law

        own = self.settings.data_dir / "jurisdictions"
        return Law.load(own, self.settings.site.jurisdiction)

    @cached_property
    def policy(self) -> "Policy":
        from access.policy.service import Policy

        return Policy.load(policy_file(self.settings))

    @cached_property
    def ledger(self) -> "Ledger":
        from access.ledger.service import Ledger

        return Ledger(self.clock, self.settings.ledger_dir / "keys")

    @cached_property
    def signer(self) -> "Signer":
        from access.ledger.signing import Signer

        return Signer(self.database, self.clock, self.ledger, self.settings.ledger_dir)

    @cached_property
    def verifications(self) -> "Verifications":
        from access.ledger.background import Verifications

        made = Verifications()
        self._ends.push_async_callback(made.close)
        return made

    @cached_property
    def accounts(self) -> "Accounts":
        from access.accounts.service import Accounts

        return Accounts(self.clock, self.ledger, self.settings.access.second_factor_for)

    @cached_property
    def sessions(self) -> "Sessions":
        from access.sessions.service import Sessions

        return Sessions(self.clock, self.ledger)

    @cached_property
    def factors(self) -> "Factors":
        from access.factors.service import Factors

        return Factors(self.clock, self.secrets, self.ledger, self.settings.site.name)

    @cached_property
    def steps(self) -> "Steps":
        from access.factors.steps import Steps

        return Steps(self.clock, self.secrets, self.factors)

    @cached_property
    def oidc(self) -> "Oidc":
        from access.oidc.service import Oidc

        return Oidc(self.clock, self.secrets, self.ledger, self.settings.access.oidc)

    @cached_property
    def tokens(self) -> "Tokens":
        from access.tokens.service import Tokens

        return Tokens(self.clock, self.ledger)

    @cached_property
    def token_lookup(self) -> "TokenLookup":
        from access.tokens.lookup import TokenLookup

        made = TokenLookup(self.database, self.tokens)
        self._ends.push_async_callback(made.settle)
        return made

    @cached_property
    def households(self) -> "Households":
        from access.households.service import Households

        return Households(self.clock, self.ledger)

    @cached_property
    def consent(self) -> "Consent":
        from access.consent.service import Consent

        return Consent(self.clock, self.ledger, self.settings.site.zone)

    @cached_property
    def views(self) -> "Views":
        from access.views.service import Views

        return Views(self.clock, self.ledger)

    @cached_property
    def seals(self) -> "Seals":
        from access.seals.service import Seals

        return Seals(self.clock, self.ledger, self.law.seal.max_days)


def policy_file(settings: Settings) -> Path:
    """Return where a centre's own policy lies, if it has one."""
    return settings.data_dir / "policies" / "access.cedar"
