"""Ways by which accounts and alarm devices are told: their upkeep. Nothing here commits."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.ledger.service import Ledger
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, HubError, InvalidInputError, NotFoundError
from core.ids import new_id
from core.outbound import Outbound
from core.secrets import SecretBox, SecretBoxError
from core.text import cleaned
from governance.deliveries import repository, ways
from governance.deliveries.addresses import masked, normalised
from governance.deliveries.keys import DeliveryKeys
from governance.deliveries.models import ContactPoint, PushSubscription
from governance.deliveries.schemas import ContactPointCreate, ContactPointOut, PushCreate
from governance.deliveries.service import Deliveries
from governance.deliveries.types import Recipient

MAX_POINTS = 8
MAX_SUBSCRIPTIONS = 10
CODE_FOR = timedelta(minutes=30)
CODE_TRIES = 5
CODES_A_DAY = 10
"""Codes cost money, and may be sent to somebody who never asked for them."""


class TooManyCodesError(HubError):
    """Too many codes were asked for within a day (429)."""

    status = 429
    code = "too-many-codes"

    def __init__(self) -> None:
        super().__init__(
            f"An account can ask for {CODES_A_DAY} codes a day.", remedy="Try again tomorrow."
        )


class OwnWays:
    """Contact points of accounts, and push subscriptions of accounts and alarm devices."""

    def __init__(
        self,
        clock: Clock,
        *,
        secrets: SecretBox,
        ledger: Ledger,
        keys: DeliveryKeys,
        deliveries: Deliveries,
        outbound: Outbound,
    ) -> None:
        self._clock = clock
        self._secrets = secrets
        self._ledger = ledger
        self._keys = keys
        self._deliveries = deliveries
        self._outbound = outbound

    @property
    def push_key(self) -> str:
        """What browsers subscribe with (`applicationServerKey`)."""
        return self._keys.push_key

    async def points(self, session: AsyncSession, account_id: UUID) -> list[ContactPointOut]:
        """Return the contact points of an account."""
        return [self.describe(row) for row in await ways.own_points(session, account_id)]

    async def channels(self, session: AsyncSession) -> list[str]:
        """Return the channels that something carries to people."""
        found = await ways.active_gateways(session)
        return sorted(
            {
                gateway.channel
                for gateway in found
                if not gateway.room and gateway.channel in {"email", "sms", "voice"}
            }
        )

    def describe(self, row: ContactPoint) -> ContactPointOut:
        """Return a contact point for the wire, its address masked."""
        try:
            address = masked(row.channel, self._secrets.open(row.address_sealed))
        except SecretBoxError:
            address = "•••"
        return ContactPointOut(
            id=row.id,
            channel=row.channel,
            address=address,
            label=row.label,
            verified_at=row.verified_at,
            created_at=row.created_at,
        )

    async def add_point(
        self, session: AsyncSession, account: Account, wanted: ContactPointCreate
    ) -> ContactPoint:
        """Add a contact point to `account`, which is locked, and send a code to it.

        It is used once the code has been given back.

        Raises:
            ContactAddressError: no address of this channel.
            ConflictError: `too-many-contact-points`, `contact-point-exists` or `no-gateway`.
            TooManyCodesError: too many codes were asked for today.
        """
        address = normalised(wanted.channel, wanted.address)
        own = await ways.own_points(session, account.id)
        if len(own) >= MAX_POINTS:
            raise ConflictError(
                f"An account has at most {MAX_POINTS} numbers and addresses.",
                remedy="Remove one first.",
                code="too-many-contact-points",
            )
        if any(
            row.channel == wanted.channel and self._is(row.address_sealed, address) for row in own
        ):
            raise ConflictError(
                "This number or address is there already.",
                remedy="Remove it first if its code did not arrive.",
                code="contact-point-exists",
            )
        now = self._clock.now()
        day = now - timedelta(days=1)
        if await repository.count_codes(session, account.id, day) >= CODES_A_DAY:
            raise TooManyCodesError
        row = ContactPoint(
            id=new_id(),
            account_id=account.id,
            channel=wanted.channel,
            address_sealed=self._secrets.seal(address),
            label=wanted.label,
            tries=0,
            created_at=now,
        )
        session.add(row)
        await session.flush()
        await self._deliveries.ask(session, _account(account), row, purpose="code", about={})
        return row

    async def verify(
        self, session: AsyncSession, actor: Actor, account: Account, point_id: UUID, code: str
    ) -> tuple[ContactPoint, bool]:
        """Compare `code` with what was sent; returns the point and whether it was right.

        A wrong one is counted, so the caller commits before it says so.

        Raises:
            NotFoundError: the account, which is locked, has no such point.
            ConflictError: code `code-expired`: too old, or tried too often.
        """
        row = await self._own(session, account.id, point_id)
        if row.verified_at is not None:
            return row, True
        now = self._clock.now()
        if row.tries >= CODE_TRIES or now - row.created_at > CODE_FOR:
            raise ConflictError(
                "The code has been tried too often or is older than 30 minutes.",
                remedy="Remove the number or address and enter it again: a new code is sent.",
                code="code-expired",
            )
        row.tries += 1
        if not hmac.compare_digest(self._keys.digits(str(row.id)), code):
            await session.flush()
            return row, False
        row.verified_at = now
        await self._ledger.append(
            session,
            "account.point_verified",
            actor=actor,
            subject=str(account.id),
            data={"channel": row.channel, "address": self.describe(row).address},
        )
        return row, True

    async def remove_point(
        self, session: AsyncSession, actor: Actor, account: Account, point_id: UUID
    ) -> None:
        """Remove a contact point of `account`, which is locked.

        Raises:
            NotFoundError: it has none with this id.
        """
        row = await self._own(session, account.id, point_id)
        verified, shown = row.verified_at is not None, self.describe(row)
        await session.delete(row)
        if verified:
            await self._ledger.append(
                session,
                "account.point_removed",
                actor=actor,
                subject=str(account.id),
                data={"channel": shown.channel, "address": shown.address},
            )

    async def subscriptions(
        self,
        session: AsyncSession,
        *,
        account_id: UUID | None = None,
        device_id: UUID | None = None,
    ) -> Sequence[PushSubscription]:
        """Return the push subscriptions of an account or of an alarm device."""
        return await ways.subscriptions_of(
            session,
            accounts=[account_id] if account_id else [],
            devices=[device_id] if device_id else [],
        )

    async def subscribe(
        self,
        session: AsyncSession,
        wanted: PushCreate,
        *,
        account_id: UUID | None = None,
        device_id: UUID | None = None,
        user_agent: str = "",
        actor: Actor | None = None,
    ) -> PushSubscription:
        """Push to a browser from now on, for an account or an alarm device (one of both).

        A browser belongs to whoever subscribed it last. Of more than ten the oldest end.

        Raises:
            InvalidInputError: code `bad-push-endpoint`: no address of a push service.
        """
        self._check_endpoint(wanted.endpoint)
        digest = hashlib.sha256(wanted.endpoint.encode()).hexdigest()
        row = await ways.subscription_by_hash(session, digest)
        if row is None:
            row = PushSubscription(
                id=new_id(), endpoint_hash=digest, created_at=self._clock.now(), host=""
            )
            session.add(row)
        fresh = row.account_id != account_id or row.device_id != device_id or not row.host
        row.account_id, row.device_id = account_id, device_id
        row.host = (urlsplit(wanted.endpoint).hostname or "")[:100]
        row.subscription_sealed = self._secrets.seal(
            orjson.dumps({"endpoint": wanted.endpoint, "keys": wanted.keys.model_dump()}).decode()
        )
        row.user_agent = cleaned(user_agent)[:200]
        row.failed_at = None
        await session.flush()
        others = await self.subscriptions(session, account_id=account_id, device_id=device_id)
        for old in others[: max(0, len(others) - MAX_SUBSCRIPTIONS)]:
            if old.id != row.id:
                await session.delete(old)
        if fresh and account_id is not None:
            await self._note_push(session, "account.push_added", account_id, row, actor)
        return row

    async def unsubscribe(
        self,
        session: AsyncSession,
        endpoint: str,
        *,
        account_id: UUID | None = None,
        device_id: UUID | None = None,
        actor: Actor,
    ) -> None:
        """End the push to a browser of this account or device; others are none of its business."""
        digest = hashlib.sha256(endpoint.encode()).hexdigest()
        row = await ways.subscription_by_hash(session, digest)
        if row is None or (row.account_id, row.device_id) != (account_id, device_id):
            return
        await session.delete(row)
        if account_id is not None:
            await self._note_push(session, "account.push_removed", account_id, row, actor)

    async def _note_push(
        self,
        session: AsyncSession,
        kind: str,
        account_id: UUID,
        row: PushSubscription,
        actor: Actor | None,
    ) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            subject=str(account_id),
            data={"service": row.host, "browser": row.user_agent},
        )

    def _check_endpoint(self, endpoint: str) -> None:
        try:
            self._outbound.check(endpoint)
        except InvalidInputError as error:
            raise InvalidInputError(
                "This is no address of a push service.",
                remedy="Let the browser ask again; an address inside of your own network needs "
                "deliveries.allow_private.",
                code="bad-push-endpoint",
            ) from error

    async def _own(self, session: AsyncSession, account_id: UUID, point_id: UUID) -> ContactPoint:
        row = await ways.point(session, point_id)
        if row is None or row.account_id != account_id:
            raise NotFoundError(
                "You have no such number or address.", remedy="Reload the page of your account."
            )
        return row

    def _is(self, sealed: str, address: str) -> bool:
        try:
            return self._secrets.open(sealed) == address
        except SecretBoxError:
            return False


def _account(account: Account) -> Recipient:
    return Recipient("account", account.id, account.display_name, account.locale)
