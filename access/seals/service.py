"""Every decision on seals.

A seal delays what residents learn of one incident and drops nothing. It takes two people, a reason
and an end, and each step is in the ledger, which itself is never sealed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.accounts.schemas import AccountBrief
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor
from access.seals import repository
from access.seals.models import Seal
from access.seals.schemas import SealCreate, SealOut, SealState
from core.clock import Clock
from core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from core.ids import new_id

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class SealedIncident:
    """What a seal needs to know of its incident, which lives a floor above."""

    id: UUID
    number: str
    area: str


class Seals:
    """Asks for, approves, lifts and lists seals; whoever calls it has asked the door."""

    def __init__(self, clock: Clock, ledger: Ledger, max_days: int) -> None:
        self._clock = clock
        self._ledger = ledger
        self.longest = timedelta(days=max_days)

    async def request(
        self, session: AsyncSession, actor: Actor, body: SealCreate, incident: SealedIncident
    ) -> Seal:
        """Ask for a seal; nothing is delayed before somebody else approves it.

        Raises:
            InvalidInputError: code `bad-until`: it ends in the past, or too late.
            ConflictError: code `already-sealed`: one is asked for or in force.
        """
        now = self._clock.now()
        if not now < body.until <= now + self.longest:
            raise InvalidInputError(
                f"A seal ends within {self.longest.days} days.",
                remedy="Name a time in between; ask again if it is not enough.",
                code="bad-until",
            )
        before = await repository.open_of(session, incident.id)
        if before is not None:
            if before.until > now:
                raise _already(incident.number)
            await self._expire(session, before)
        assert actor.id is not None
        seal = Seal(
            id=new_id(),
            incident_id=incident.id,
            incident_number=incident.number,
            area=incident.area,
            reason=body.reason,
            until=body.until,
            requested_by=actor.id,
            requested_at=now,
        )
        try:
            async with session.begin_nested():
                await repository.add(session, seal)
        except IntegrityError as error:
            raise _already(incident.number) from error
        await self._note(
            session,
            "seal.requested",
            actor,
            seal,
            reason=seal.reason,
            until=seal.until.isoformat(),
        )
        return seal

    async def get(self, session: AsyncSession, seal_id: UUID) -> Seal:
        """Return a seal, locked until the transaction ends.

        Raises:
            NotFoundError: there is none with this id.
        """
        seal = await repository.by_id_locked(session, seal_id)
        if seal is None:
            raise NotFoundError("There is no such seal.", remedy="Reload the list of seals.")
        return seal

    async def approve(self, session: AsyncSession, actor: Actor, seal: Seal) -> None:
        """Put a seal into force; a second time by the same person changes nothing.

        Raises:
            ForbiddenError: code `second-person-needed`: who asked for it cannot approve it.
            ConflictError: code `seal-ended` or `already-approved`.
        """
        self._check_open(seal)
        if seal.requested_by == actor.id:
            raise ForbiddenError(
                "Who asks for a seal cannot approve it.",
                remedy="Ask another supervisor or an auditor.",
                code="second-person-needed",
            )
        if seal.approved_by is not None:
            if seal.approved_by == actor.id:
                return
            raise ConflictError(
                "Somebody else has approved this seal.",
                remedy="Reload the list.",
                code="already-approved",
            )
        seal.approved_by, seal.approved_at = actor.id, self._clock.now()
        await session.flush()
        await self._note(session, "seal.approved", actor, seal)

    async def lift(self, session: AsyncSession, actor: Actor, seal: Seal) -> None:
        """End a seal, or take back the request, now; a second time changes nothing.

        Raises:
            ConflictError: code `seal-ended`: its time was over before.
        """
        if seal.lifted:
            return
        self._check_open(seal)
        seal.ended_by, seal.ended_at, seal.lifted = actor.id, self._clock.now(), True
        await session.flush()
        await self._note(session, "seal.lifted", actor, seal)

    async def expire(self, session: AsyncSession) -> int:
        """Write the end of seals whose time is over; return how many there were.

        A seal counts until its time whether this has run or not.
        """
        found = await repository.overdue(session, self._clock.now(), _AT_ONCE)
        for seal in found:
            await self._expire(session, seal)
        return len(found)

    async def page(
        self, session: AsyncSession, *, areas: Sequence[str], before: UUID | None, limit: int
    ) -> list[Seal]:
        """Return at most `limit` seals of `areas`, newest first."""
        return await repository.page(session, areas=areas, before=before, limit=limit)

    async def describe(
        self, session: AsyncSession, seals: Sequence[Seal], actor: Actor | None, *, may: bool
    ) -> list[SealOut]:
        """Return seals for the wire; `may` says that `actor` may approve and lift."""
        ids = {who for s in seals for who in (s.requested_by, s.approved_by) if who is not None}
        people = await repository.accounts(session, ids)
        return [self._out(seal, people, actor, may=may) for seal in seals]

    def state_of(self, seal: Seal) -> SealState:
        """Return how a seal stands now."""
        if seal.lifted:
            return "lifted"
        if seal.until <= self._clock.now():
            return "expired"
        return "requested" if seal.approved_at is None else "sealed"

    def _out(
        self, seal: Seal, people: dict[UUID, Account], actor: Actor | None, *, may: bool
    ) -> SealOut:
        state = self.state_of(seal)
        out = SealOut(
            id=seal.id,
            incident_id=seal.incident_id,
            number=seal.incident_number,
            reason=seal.reason,
            until=seal.until,
            requested_by=_brief(people[seal.requested_by]),
            requested_at=seal.requested_at,
            approved_by=None if seal.approved_by is None else _brief(people[seal.approved_by]),
            approved_at=seal.approved_at,
            ended_at=seal.until if state == "expired" else seal.ended_at,
            state=state,
            allowed=[],
        )
        if may and actor is not None and state in {"requested", "sealed"}:
            if state == "requested" and actor.id != seal.requested_by:
                out.allowed.append("approve")
            out.allowed.append("lift")
        return out

    def _check_open(self, seal: Seal) -> None:
        if self.state_of(seal) in {"lifted", "expired"}:
            raise ConflictError(
                "This seal has ended.",
                remedy="Ask for a new one if it is still needed.",
                code="seal-ended",
            )

    async def _expire(self, session: AsyncSession, seal: Seal) -> None:
        await repository.end(session, seal.id, seal.until)
        await self._note(session, "seal.expired", None, seal, was_approved=bool(seal.approved_at))

    async def _note(
        self, session: AsyncSession, kind: str, actor: Actor | None, seal: Seal, **data: JsonScalar
    ) -> None:
        await self._ledger.append(
            session,
            kind,
            actor=actor,
            area=seal.area,
            subject=str(seal.id),
            data={
                "incident_id": str(seal.incident_id),
                "number": seal.incident_number,
                **data,
            },
        )


def _already(number: str) -> ConflictError:
    return ConflictError(
        f"A seal of {number} is asked for or in force already.",
        remedy="Lift it first, or wait for its end.",
        code="already-sealed",
    )


def _brief(account: Account) -> AccountBrief:
    return AccountBrief(id=account.id, username=account.username, display_name=account.display_name)
