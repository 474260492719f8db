"""Hand-overs: offered, confirmed by both sides or refused. Nothing here commits."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.ledger.service import JsonScalar
from access.policy.areas import in_areas
from access.policy.types import Actor, Role
from core.clock import Clock
from core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from core.ids import new_id
from governance.areas import service as areas
from governance.duty import repository
from governance.duty.book import load_rotas
from governance.duty.models import HandOver, Rota
from governance.duty.service import Rotas
from governance.incidents.models import Incident

MOST_INCIDENTS = 200
"""Open incidents that a hand-over lists; the queue itself shows all."""


class HandOvers:
    """Decides about hand-overs."""

    def __init__(self, clock: Clock, rotas: Rotas) -> None:
        self._clock = clock
        self._rotas = rotas

    async def offer(
        self,
        session: AsyncSession,
        actor: Actor,
        rota: Rota,
        *,
        from_id: UUID,
        to_id: UUID,
        note: str,
    ) -> HandOver:
        """Offer to hand the post over, with what is open in the area at this moment.

        From now until both have confirmed, or one refuses, both are on duty.

        Args:
            session: the transaction.
            actor: one of both.
            rota: locked.
            from_id: who goes; is on duty by this rota now.
            to_id: who comes; holds the post.
            note: for the one who comes.

        Raises:
            ForbiddenError: `not-your-hand-over`: the actor is neither of both.
            InvalidInputError: `hand-over-to-oneself`, or `not-of-this-post`.
            ConflictError: `not-on-duty`, or `hand-over-open`.
        """
        if actor.id not in {from_id, to_id}:
            raise _not_yours()
        if from_id == to_id:
            raise InvalidInputError(
                "Nobody hands over to themselves.",
                remedy="Choose who takes over.",
                code="hand-over-to-oneself",
            )
        await areas.require_post(session, [to_id], Role(rota.post), rota.area)
        now = self._clock.now()
        (book,) = await load_rotas(session, [rota], now)
        if from_id not in book.named_at(now, self._rotas.zone):
            raise ConflictError(
                "Who is to hand over is not on duty by this rota now.",
                remedy="Look at who is; an override puts somebody on duty for once.",
                code="not-on-duty",
            )
        if await repository.open_hand_over(session, rota.id, from_id) is not None:
            raise ConflictError(
                "A hand-over from the same person is open already.",
                remedy="Confirm or refuse that one first.",
                code="hand-over-open",
            )
        row = HandOver(
            id=new_id(),
            rota_id=rota.id,
            from_id=from_id,
            to_id=to_id,
            note=note,
            open_incidents=await _open_incidents(session, rota.area),
            offered_at=now,
        )
        session.add(row)
        await session.flush()
        return row

    async def get(self, session: AsyncSession, hand_over_id: UUID) -> HandOver:
        """Return a hand-over to look at.

        Raises:
            NotFoundError: there is none.
        """
        return _found(await repository.hand_over_by_id(session, hand_over_id))

    async def locked(self, session: AsyncSession, hand_over_id: UUID) -> HandOver:
        """Return a hand-over to be changed in this transaction.

        Raises:
            NotFoundError: there is none.
        """
        return _found(await repository.hand_over_locked(session, hand_over_id))

    async def give(self, session: AsyncSession, actor: Actor, rota: Rota, row: HandOver) -> None:
        """Confirm that it was handed over; doing so twice changes nothing.

        Raises:
            ForbiddenError: `not-your-hand-over`: only who goes can.
            ConflictError: `hand-over-refused`.
        """
        if actor.id != row.from_id:
            raise _not_yours()
        self._not_refused(row)
        if row.given_at is None:
            row.given_at = self._clock.now()
            await self._if_done(session, actor, rota, row)

    async def take(self, session: AsyncSession, actor: Actor, rota: Rota, row: HandOver) -> None:
        """Confirm that it was taken over; doing so twice changes nothing.

        Raises:
            ForbiddenError: `not-your-hand-over`: only who comes can.
            ConflictError: `hand-over-refused`.
            InvalidInputError: `not-of-this-post`: the role was taken away in the meantime.
        """
        if actor.id != row.to_id:
            raise _not_yours()
        self._not_refused(row)
        if row.taken_at is None:
            await areas.require_post(session, [row.to_id], Role(rota.post), rota.area)
            row.taken_at = self._clock.now()
            await self._if_done(session, actor, rota, row)

    async def refuse(
        self, session: AsyncSession, actor: Actor, rota: Rota, row: HandOver, reason: str
    ) -> None:
        """Do not take over, or take the offer back: the rota counts as if nothing had been.

        Raises:
            ForbiddenError: `not-your-hand-over`: the actor is neither of both.
            ConflictError: `hand-over-done` or `hand-over-refused`.
        """
        if actor.id not in {row.from_id, row.to_id}:
            raise _not_yours()
        self._not_refused(row)
        if row.done_at is not None:
            raise ConflictError(
                "Both have confirmed this hand-over.",
                remedy="Hand over back, or ask for an override.",
                code="hand-over-done",
            )
        row.refused_at = self._clock.now()
        row.refused_by_id = actor.id
        row.refused_reason = reason
        await self._record(session, "duty.hand_over_refused", actor, rota, row, reason=reason)

    async def _if_done(
        self, session: AsyncSession, actor: Actor, rota: Rota, row: HandOver
    ) -> None:
        if row.done_at is not None:
            await self._record(session, "duty.handed_over", actor, rota, row)

    async def _record(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor,
        rota: Rota,
        row: HandOver,
        **more: str,
    ) -> None:
        data: dict[str, JsonScalar] = {
            "from": str(row.from_id),
            "to": str(row.to_id),
            "open_incidents": len(row.open_incidents),
            **more,
        }
        await self._rotas.record(session, kind, actor, rota, data)

    def _not_refused(self, row: HandOver) -> None:
        if row.refused_at is not None:
            raise ConflictError(
                "This hand-over was refused.",
                remedy="Offer a new one.",
                code="hand-over-refused",
            )


async def _open_incidents(session: AsyncSession, area: str) -> list[dict[str, Any]]:
    """Return what is open in an area now, most severe first, in a few words each."""
    query = (
        select(Incident)
        .where(Incident.is_open, in_areas(Incident.area, [area]))
        .order_by(Incident.severity_rank.desc(), Incident.opened_at.desc())
        .limit(MOST_INCIDENTS)
    )
    return [
        {
            "id": str(row.id),
            "number": row.number,
            "headline": row.headline,
            "severity": row.severity,
            "state": row.state,
        }
        for row in await session.scalars(query)
    ]


def _not_yours() -> ForbiddenError:
    return ForbiddenError(
        "A hand-over is between the one who goes and the one who comes.",
        remedy="Ask one of them; a supervisor can write an override instead.",
        code="not-your-hand-over",
    )


def _found(row: HandOver | None) -> HandOver:
    if row is None:
        raise NotFoundError("There is no such hand-over.", remedy="Reload the rota.")
    return row
