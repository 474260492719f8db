"""Alarms of households: what opens their cameras, who answers, and when it ends.

Governance calls this in the transaction of the incident itself, which has made sure of the order
of locks (`outbox.serialise`) before.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.consent import repository
from access.consent.models import AlarmOpening, AlarmResponder
from access.consent.repository import NewOpening
from access.households import repository as household_rows
from access.ledger.service import JsonScalar, Ledger, NewEntry
from access.policy.types import Actor
from core.clock import Clock


class Alarms:
    """What `Consent` knows of alarms."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger

    async def alarm_opened(
        self,
        session: AsyncSession,
        incident_id: UUID,
        household_id: UUID,
        camera_id: UUID | None = None,
    ) -> None:
        """Write that an incident of the household has opened, in the incident's transaction.

        `camera_id` is the home camera that raised it; None for an alarm that a person pressed.
        """
        await self.alarms_opened(session, [NewOpening(incident_id, household_id, camera_id)], {})

    async def alarms_opened(
        self,
        session: AsyncSession,
        opened: Sequence[NewOpening],
        areas: Mapping[UUID, str],
    ) -> None:
        """Do the same for many incidents, in their order, with as few questions as for one.

        `areas` has the areas of those households that the caller has read in this transaction.
        """
        if not opened:
            return
        unknown = {one.household_id for one in opened} - areas.keys()
        areas = {**areas, **await household_rows.areas(session, unknown)}
        await repository.add_openings(session, opened, self._clock.now())
        await self._ledger.append_all(
            session,
            [_entry("alarm.opened", None, one, areas.get(one.household_id, "")) for one in opened],
        )

    async def alarm_answered(self, session: AsyncSession, incident_id: UUID, actor: Actor) -> None:
        """Write that `actor` acknowledged or handles the incident, if it is one of a household.

        Whether that opens a camera to them is decided by their role, when they look.
        """
        if actor.kind != "account" or actor.id is None:
            return
        opening = await repository.opening(session, incident_id)
        if opening is None or opening.ended_at is not None:
            return
        if await repository.responder(session, incident_id, actor.id) is not None:
            return
        await repository.add(
            session,
            AlarmResponder(incident_id=incident_id, account_id=actor.id, since=self._clock.now()),
        )
        await self._note_alarm(session, "alarm.answered", actor, opening)

    async def alarm_ended(
        self, session: AsyncSession, incident_id: UUID, actor: Actor | None = None
    ) -> None:
        """Write that the incident is no longer open: what it had opened is closed."""
        if not await repository.end_opening(session, incident_id, self._clock.now()):
            return
        opening = await repository.opening(session, incident_id)
        assert opening is not None
        await self._note_alarm(session, "alarm.ended", actor, opening)

    async def _note_alarm(
        self,
        session: AsyncSession,
        kind: str,
        actor: Actor | None,
        opening: AlarmOpening,
    ) -> None:
        area = await self._area_of(session, opening.household_id)
        await self._ledger.append_all(session, [_entry(kind, actor, opening, area)])

    async def _area_of(self, session: AsyncSession, household_id: UUID) -> str:
        return (await household_rows.areas(session, {household_id})).get(household_id, "")


def _entry(
    kind: str, actor: Actor | None, opening: AlarmOpening | NewOpening, area: str
) -> NewEntry:
    data: dict[str, JsonScalar] = {"household_id": str(opening.household_id)}
    if opening.camera_id is not None:
        data["camera_id"] = str(opening.camera_id)
    return NewEntry(kind, actor, data, area, str(opening.incident_id))
