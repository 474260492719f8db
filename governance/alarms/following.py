"""What a household sees of its alarms, and what it can add to them. Nothing here commits."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.types import Actor
from core.clock import Clock
from core.errors import NotFoundError
from governance.alarms import ladder, repository
from governance.alarms.repository import PressRow
from governance.alarms.schemas import AlarmOut
from governance.deliveries import repository as delivery_rows
from governance.deliveries.service import Deliveries
from governance.deliveries.types import RINGING, Recipient, RecipientKind
from governance.incidents.models import Incident
from governance.incidents.service import Incidents

SHOWN_FOR = timedelta(days=30)
MOST = 100
MOST_CALLED_OFF = 3
"""Messages by which one alarm can be called off."""
_MOST_MERGERS = 10
_NEWS_BY = ("push", "email", "sms")


class _Kernel(Protocol):
    """What of governance is needed here."""

    @property
    def clock(self) -> Clock: ...
    @property
    def incidents(self) -> Incidents: ...
    @property
    def deliveries(self) -> Deliveries: ...


async def alarm(
    session: AsyncSession, household_ids: Collection[UUID], press_id: str, language: str
) -> AlarmOut:
    """Return an alarm of one of these households.

    Raises:
        NotFoundError: it has not been received.
    """
    row = await _found(session, household_ids, press_id)
    return (await _described(session, [row], language))[0]


async def recent(
    session: AsyncSession, kernel: _Kernel, household_ids: Collection[UUID], language: str
) -> list[AlarmOut]:
    """Return the alarms of these households within the last 30 days, newest first."""
    since = kernel.clock.now() - SHOWN_FOR
    rows = await repository.presses(session, household_ids, since=since, limit=MOST)
    return await _described(session, rows, language)


async def locate(
    kernel: _Kernel,
    session: AsyncSession,
    household_ids: Collection[UUID],
    press_id: str,
    place: dict[str, Any],
    *,
    only_first: bool = False,
) -> None:
    """Write where the device of an alarm is, and tell those who were told.

    With `only_first` a place that is known already stays.

    Raises:
        NotFoundError: the alarm has not been received.
    """
    row = await _found(session, household_ids, press_id)
    incident = await _worked_on(kernel, session, row.incident)
    if incident.location == place or (only_first and incident.location is not None):
        return
    first = incident.location is None
    incident.location = place
    kernel.incidents.note_signal(session, incident, "location", place)
    await kernel.incidents.publish(session, incident, "location")
    if first:
        # A phone that moves says so often; that there is a place at all is news once.
        await _tell(kernel, session, incident, "location", {})


async def call_off(
    kernel: _Kernel, session: AsyncSession, actor: Actor, press_id: str, note: str
) -> None:
    """Write that the household says it is over, and tell those who were told. It stays open.

    Saying it again with other words is another message; with the same words it is the same one.

    Raises:
        NotFoundError: the alarm has not been received.
    """
    row = await _found(session, actor.households, press_id)
    incident = await _worked_on(kernel, session, row.incident)
    history = (await repository.logs(session, [incident.id]))[incident.id]
    said = [entry.data.get("note") for entry in history if entry.action == "cancel_asked"]
    if note in said:
        return
    data = {"note": note, "by": actor.display_name, "alarm": press_id}
    kernel.incidents.note_signal(session, incident, "cancel_asked", data)
    await kernel.incidents.publish(session, incident, "cancel_asked")
    if len(said) >= MOST_CALLED_OFF:
        return  # it stands in the history; messages would hold up those of other alarms
    await _tell(
        kernel,
        session,
        incident,
        f"cancel_asked:{incident.round}:{len(said)}",
        {"by": actor.display_name, "text": note},
    )


async def _found(session: AsyncSession, household_ids: Collection[UUID], press_id: str) -> PressRow:
    row = await repository.press(session, household_ids, press_id) if household_ids else None
    if row is None:
        raise NotFoundError(
            "The hub has not received this alarm.",
            remedy="Send it again with the same id; that is always safe.",
            code="alarm-not-received",
        )
    return row


async def _worked_on(kernel: _Kernel, session: AsyncSession, incident: Incident) -> Incident:
    """Return the incident that people work on, locked: this one, or what it was merged into."""
    found = await kernel.incidents.locked(session, incident.id)
    for _ in range(_MOST_MERGERS):
        if found.merged_into_id is None:
            break
        found = await kernel.incidents.locked(session, found.merged_into_id)
    return found


async def _described(
    session: AsyncSession, rows: Sequence[PressRow], language: str
) -> list[AlarmOut]:
    chains = {row.incident.id: [row.incident] for row in rows}
    for _ in range(_MOST_MERGERS):
        merged = {
            key: into
            for key, chain in chains.items()
            if (into := chain[-1].merged_into_id) is not None
        }
        if not merged:
            break
        targets = await repository.incidents(session, set(merged.values()))
        for key, into in merged.items():
            chains[key].append(targets[into])
    logs = await repository.logs(session, {i.id for chain in chains.values() for i in chain})
    found = []
    for row in rows:
        chain = chains[row.incident.id]
        history = sorted((e for i in chain for e in logs[i.id]), key=lambda e: (e.at, e.id))
        found.append(ladder.alarm_of(row, chain[-1], history, language))
    return found


async def _tell(
    kernel: _Kernel, session: AsyncSession, incident: Incident, key: str, about: dict[str, Any]
) -> None:
    """Queue news for everybody who was told of the incident."""
    told = await delivery_rows.reached(session, incident.id, RINGING)
    people = {
        (row.recipient_kind, row.recipient_id): Recipient(
            cast(RecipientKind, row.recipient_kind),
            row.recipient_id,
            row.recipient_name,
            row.locale,
        )
        for row in told
    }
    if people:
        await kernel.deliveries.queue(
            session,
            incident,
            list(people.values()),
            channels=_NEWS_BY,
            round_key=key,
            purpose="news",
            about=about,
        )
