"""Every decision about rotas and their overrides. Nothing here commits."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.ledger.service import JsonScalar, Ledger
from access.policy.types import Actor, Role
from core.clock import Clock
from core.errors import InvalidInputError, NotFoundError
from core.ids import new_id
from governance.areas import service as areas
from governance.duty import repository
from governance.duty.book import load_book
from governance.duty.models import Rota, RotaOverride, RotaSlot
from governance.duty.schemas import OverrideIn, Post, SlotIn

LONGEST_OVERRIDE = timedelta(days=366)


async def on_duty(
    session: AsyncSession, area: str, post: Role, at: datetime, zone: tzinfo
) -> list[Account]:
    """Return who has `post` in `area` at an instant: active accounts that hold the role still.

    The rota of the area or of the nearest area above that has one; without a rota, or where the
    rota names nobody for this moment, everybody who holds the role nearest. Empty only if nobody
    holds it in the area or above.

    Args:
        session: to read with.
        area: a path; "" is the whole site.
        post: one of `governance.duty.book.POSTS`.
        at: an aware datetime.
        zone: the site's time zone, in which rotas are written.
    """
    book = await load_book(session, area, at, (post,))
    found = book.watch(area, post, at, zone)
    return [] if found is None else list(found.accounts)


class Rotas:
    """Decides about rotas. `zone` is the site's: slots are on its wall clock."""

    def __init__(self, clock: Clock, ledger: Ledger, zone: tzinfo) -> None:
        self._clock = clock
        self._ledger = ledger
        self.zone = zone

    async def get(self, session: AsyncSession, rota_id: UUID) -> Rota:
        """Return a rota that is not closed.

        Raises:
            NotFoundError: there is none.
        """
        return _found(await repository.rota_by_id(session, rota_id))

    async def locked(self, session: AsyncSession, rota_id: UUID) -> Rota:
        """Return a rota to be changed in this transaction.

        Raises:
            NotFoundError: there is none that is not closed.
        """
        return _found(await repository.rota_locked(session, rota_id))

    async def add(
        self, session: AsyncSession, actor: Actor | None, *, area: str, post: Post, name: str
    ) -> Rota:
        """Make a rota without slots; it counts as soon as it has some.

        Raises:
            InvalidInputError: `unknown-area`.
        """
        await areas.check(session, area)
        row = Rota(id=new_id(), area=area, post=post, name=name, created_at=self._clock.now())
        session.add(row)
        await session.flush()
        await self.record(session, "duty.rota_created", actor, row, {"name": name, "post": post})
        return row

    async def rename(
        self, session: AsyncSession, actor: Actor | None, row: Rota, name: str
    ) -> None:
        """Give a rota another name."""
        row.name = name
        await self.record(session, "duty.rota_changed", actor, row, {"name": name})

    async def close(self, session: AsyncSession, actor: Actor | None, row: Rota) -> None:
        """Put a rota out of force: who holds the role is on duty again, or the rota above."""
        row.closed_at = self._clock.now()
        await self.record(session, "duty.rota_closed", actor, row, {"name": row.name})

    async def set_slots(
        self, session: AsyncSession, actor: Actor | None, row: Rota, slots: Sequence[SlotIn]
    ) -> None:
        """Write the whole week. Overlaps and gaps are allowed, and shown.

        Raises:
            InvalidInputError: `not-of-this-post`: names who does not hold the role there.
        """
        people = list(dict.fromkeys(slot.account_id for slot in slots))
        await areas.require_post(session, people, Role(row.post), row.area)
        await repository.replace_slots(
            session,
            row.id,
            [
                RotaSlot(
                    id=new_id(),
                    rota_id=row.id,
                    weekday=slot.weekday,
                    starts=slot.starts,
                    ends=slot.ends,
                    account_id=slot.account_id,
                )
                for slot in slots
            ],
        )
        await self.record(
            session,
            "duty.slots_changed",
            actor,
            row,
            {"slots": len(slots), "people": len(people)},
        )

    async def add_override(
        self, session: AsyncSession, actor: Actor | None, row: Rota, body: OverrideIn
    ) -> RotaOverride:
        """Put somebody on duty for once.

        Raises:
            InvalidInputError: `invalid-span`, or `not-of-this-post`.
        """
        now = self._clock.now()
        length = body.until_at - body.from_at
        if length <= timedelta(0) or length > LONGEST_OVERRIDE or body.until_at <= now:
            raise InvalidInputError(
                "This is no span of time that somebody can be on duty.",
                remedy="Let it end after it begins, after now, and within a year.",
                code="invalid-span",
            )
        await areas.require_post(session, [body.account_id], Role(row.post), row.area)
        if body.replaces_id is not None:
            await self._known(session, body.replaces_id)
        change = RotaOverride(
            id=new_id(),
            rota_id=row.id,
            from_at=body.from_at,
            until_at=body.until_at,
            account_id=body.account_id,
            replaces_id=body.replaces_id,
            reason=body.reason,
            by_id=None if actor is None else actor.id,
            created_at=now,
        )
        session.add(change)
        await session.flush()
        await self.record(
            session,
            "duty.overridden",
            actor,
            row,
            {
                "from": body.from_at.isoformat(),
                "until": body.until_at.isoformat(),
                "account": str(body.account_id),
                "instead_of": None if body.replaces_id is None else str(body.replaces_id),
                "reason": body.reason,
            },
        )
        return change

    async def remove_override(
        self, session: AsyncSession, actor: Actor | None, row: Rota, override_id: UUID
    ) -> None:
        """Let the rota count again.

        Raises:
            NotFoundError: there is no such override of this rota.
        """
        change = await repository.override_by_id(session, row.id, override_id)
        if change is None:
            raise NotFoundError("There is no such override.", remedy="Reload the rota.")
        who = str(change.account_id)
        await session.delete(change)
        await self.record(session, "duty.override_removed", actor, row, {"account": who})

    async def record(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        row: Rota,
        data: Mapping[str, JsonScalar],
    ) -> None:
        """Write to the ledger; last in a transaction."""
        await self._ledger.append(
            session, kind, actor=actor, area=row.area, subject=str(row.id), data=data
        )

    async def _known(self, session: AsyncSession, account_id: UUID) -> None:
        if account_id not in await repository.accounts(session, [account_id]):
            raise InvalidInputError(
                "There is no such account to be replaced.",
                remedy="Choose somebody who is on the rota.",
                code="unknown-account",
            )


def _found(row: Rota | None) -> Rota:
    if row is None:
        raise NotFoundError("There is no such rota.", remedy="Reload the list of rotas.")
    return row
