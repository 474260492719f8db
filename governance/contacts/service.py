"""Every decision about a household's contacts. Nothing here commits.

A contact is somebody who never asked for an account: one request for consent is sent, and nothing
else until it is given. The link of that request withdraws it again, at any time.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as households
from access.households.models import Household
from access.ledger.service import Ledger
from access.policy.types import Actor
from core.clock import Clock
from core.errors import ConflictError, HubError, NotFoundError
from core.ids import new_id
from core.secrets import SecretBox, SecretBoxError
from governance.contacts import repository
from governance.contacts.models import HouseholdContact
from governance.contacts.schemas import (
    ConsentPageOut,
    ContactCreate,
    ContactOut,
    ContactState,
    ContactWay,
)
from governance.deliveries import repository as delivery_rows
from governance.deliveries import ways
from governance.deliveries.addresses import masked, normalised
from governance.deliveries.keys import DeliveryKeys, hashed
from governance.deliveries.models import ContactPoint
from governance.deliveries.service import Deliveries, NoGatewayError

MAX_CONTACTS = 8
ASKED_A_MONTH = 12
"""Requests for consent that a household may send: they go to people who did not ask."""


class TooManyRequestsForConsentError(HubError):
    """The household has asked too many people within a month (429)."""

    status = 429
    code = "too-many-requests-for-consent"

    def __init__(self) -> None:
        super().__init__(
            f"A household can ask {ASKED_A_MONTH} people a month.", remedy="Try again later."
        )


class Contacts:
    """Names, asks, shows and removes contacts."""

    def __init__(
        self,
        clock: Clock,
        *,
        secrets: SecretBox,
        ledger: Ledger,
        keys: DeliveryKeys,
        deliveries: Deliveries,
    ) -> None:
        self._clock = clock
        self._secrets = secrets
        self._ledger = ledger
        self._keys = keys
        self._deliveries = deliveries

    async def of_household(self, session: AsyncSession, household_id: UUID) -> list[ContactOut]:
        """Return the contacts of a household."""
        rows = await repository.of_household(session, household_id)
        points = await ways.points_of_contacts(session, [row.id for row in rows])
        return [self._describe(row, [p for p in points if p.contact_id == row.id]) for row in rows]

    async def add(
        self, session: AsyncSession, actor: Actor, household: Household, wanted: ContactCreate
    ) -> ContactOut:
        """Name a contact of `household`, which is locked, and ask for consent, once.

        By a short message if there is a number and something carries it, else by mail.

        Raises:
            ContactAddressError: the number or address is none.
            ConflictError: `too-many-contacts`, `no-gateway` or `household-closed`.
            TooManyRequestsForConsentError: too many people were asked.
        """
        now = self._clock.now()
        if household.closed_at is not None:
            raise ConflictError(
                f"{household.name} has moved out.",
                remedy="Name contacts for the household that lives there now.",
                code="household-closed",
            )
        if len(await repository.of_household(session, household.id)) >= MAX_CONTACTS:
            raise ConflictError(
                f"A household has at most {MAX_CONTACTS} contacts.",
                remedy="Remove one first.",
                code="too-many-contacts",
            )
        month = now - timedelta(days=30)
        if await repository.count_asked_since(session, household.id, month) >= ASKED_A_MONTH:
            raise TooManyRequestsForConsentError
        identity = new_id()
        token = self._keys.token("contact", str(identity))
        row = HouseholdContact(
            id=identity,
            household_id=household.id,
            name=wanted.name,
            relation=wanted.relation,
            locale=wanted.locale,
            asked_at=now,
            token_hash=hashed(token),
        )
        session.add(row)
        await session.flush()
        points = self._points(row, wanted)
        session.add_all(points)
        await session.flush()
        await self._ask(session, household, row, points)
        await self._note(session, "contact.named", actor, household, row)
        return self._describe(row, points)

    async def remove(
        self, session: AsyncSession, actor: Actor, household: Household, contact_id: UUID
    ) -> None:
        """Remove a contact of `household`; its addresses are forgotten, what waits is not sent.

        Raises:
            NotFoundError: the household has no such contact.
        """
        row = await repository.by_id(session, contact_id)
        if row is None or row.household_id != household.id or row.removed_at is not None:
            raise NotFoundError(
                "The household has no such contact.", remedy="Reload the list of contacts."
            )
        now = self._clock.now()
        row.removed_at = now
        await session.flush()
        for point in await ways.points_of_contacts(session, [row.id]):
            await session.delete(point)
        await delivery_rows.cancel_all_of_recipient(session, row.id, now, "contact-removed")
        await self._note(session, "contact.removed", actor, household, row)

    async def page(self, session: AsyncSession, token: str) -> ConsentPageOut | None:
        """Return what the link asks; None if there is no such link. Looking changes nothing."""
        row = await repository.by_token(session, hashed(token))
        return None if row is None else await self._page(session, row)

    async def decide(
        self, session: AsyncSession, token: str, *, agree: bool
    ) -> ConsentPageOut | None:
        """Write down what the contact decides; None if there is no such link.

        Raises:
            ConflictError: code `contact-removed`: the household asks no more.
        """
        row = await repository.by_token(session, hashed(token), lock=True)
        if row is None:
            return None
        household = await households.by_id(session, row.household_id)
        if row.removed_at is not None or household is None or household.closed_at is not None:
            raise ConflictError(
                "The household does not ask any more; you are told nothing.",
                remedy="Nothing is left to do.",
                code="contact-removed",
            )
        if repository.agrees(row) != agree or (not agree and row.withdrawn_at is None):
            now = self._clock.now()
            if agree:
                row.agreed_at, row.withdrawn_at = now, None
            else:
                row.withdrawn_at = now
                await delivery_rows.cancel_all_of_recipient(session, row.id, now, "withdrawn")
            await session.flush()
            kind = "contact.agreed" if agree else "contact.withdrawn"
            await self._note(session, kind, None, household, row)
        return await self._page(session, row)

    async def _page(self, session: AsyncSession, row: HouseholdContact) -> ConsentPageOut:
        household = await households.by_id(session, row.household_id)
        if row.removed_at is not None or household is None or household.closed_at is not None:
            return ConsentPageOut(state="removed")
        return ConsentPageOut(
            state=_state(row),
            household=household.name,
            name=row.name,
            relation=row.relation,
            locale=row.locale,
            asked_at=row.asked_at,
            agreed_at=row.agreed_at,
        )

    async def _ask(
        self,
        session: AsyncSession,
        household: Household,
        row: HouseholdContact,
        points: Sequence[ContactPoint],
    ) -> None:
        """Queue the one request for consent, by the first way that something carries."""
        refused: NoGatewayError | None = None
        for channel in ("sms", "email"):
            for point in points:
                if point.channel != channel:
                    continue
                try:
                    await self._deliveries.ask(
                        session,
                        repository.recipient_of(row),
                        point,
                        purpose="consent",
                        about={"household": household.name},
                        area=household.area,
                    )
                except NoGatewayError as error:
                    refused = error
                else:
                    return
        if refused is not None:
            raise refused

    def _points(self, row: HouseholdContact, wanted: ContactCreate) -> list[ContactPoint]:
        found = []
        if wanted.phone:
            number = normalised("sms", wanted.phone)
            found += [("sms", number), ("voice", number)]
        if wanted.email:
            found.append(("email", normalised("email", wanted.email)))
        return [
            ContactPoint(
                id=new_id(),
                contact_id=row.id,
                channel=channel,
                address_sealed=self._secrets.seal(address),
                label="",
                tries=0,
                created_at=self._clock.now(),
            )
            for channel, address in found
        ]

    def _describe(self, row: HouseholdContact, points: Sequence[ContactPoint]) -> ContactOut:
        return ContactOut(
            id=row.id,
            name=row.name,
            relation=row.relation,
            locale=row.locale,
            ways=[
                ContactWay(channel=point.channel, address=self._masked(point)) for point in points
            ],
            state=_state(row),
            asked_at=row.asked_at,
            agreed_at=row.agreed_at,
            withdrawn_at=row.withdrawn_at,
        )

    def _masked(self, point: ContactPoint) -> str:
        try:
            return masked(point.channel, self._secrets.open(point.address_sealed))
        except SecretBoxError:
            return "•••"

    async def _note(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        household: Household,
        row: HouseholdContact,
    ) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            area=household.area,
            subject=str(household.id),
            # No name: they never asked to be here, and the ledger forgets nothing.
            data={"contact": str(row.id), "household": household.name},
        )


def _state(row: HouseholdContact) -> ContactState:
    if row.withdrawn_at is not None:
        return "declined" if row.agreed_at is None else "withdrawn"
    return "asked" if row.agreed_at is None else "agreed"
