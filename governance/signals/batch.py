"""What becomes of a batch of signals, in one transaction and with few questions to the store.

What is known already and what is open is looked up for all of them at once; then each is decided
in memory, in order, and what came of it is written in one go. The few that need more than that (an
alarm pressed again, a raised severity, a recovery) are dealt with one by one, in their place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from access.households import repository as households
from core.database import insert_rows
from core.errors import HubError
from core.ids import new_id
from core.metrics import counter
from governance.attachments import repository as attachment_rows
from governance.attachments.models import Attachment
from governance.incidents import repository as incident_rows
from governance.incidents.kinds import ALARMS, RECOVERING
from governance.incidents.models import Incident, IncidentLog
from governance.incidents.opening import SEVERITY_RANK, NewIncident
from governance.incidents.service import Incidents
from governance.incidents.views import describe_one
from governance.outbox import service as outbox
from governance.signals import repository
from governance.signals.models import Signal
from governance.signals.schemas import SignalReceipt
from governance.signals.types import Posted, Receipt, SignalIdReusedError
from governance.timers.models import Timer

_received = counter("signals_received", "Signals stored", ("kind", "phase"))
_repeated = counter("signals_repeated", "Signals that had been stored before")

_CHANGES = {"started": "joined", "continuing": "continuing", "ended": "ended"}


@dataclass
class _Rows:
    """What is decided and not yet written."""

    incidents: list[Incident] = field(default_factory=list)
    signals: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    timers: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)


class Batch:
    """The signals of one transaction."""

    def __init__(self, session: AsyncSession, incidents: Incidents, now: datetime) -> None:
        self._session = session
        self._incidents = incidents
        self._now = now
        self._known: dict[tuple[str, str], tuple[bytes, SignalReceipt]] = {}
        self._open: dict[str, Incident] = {}
        self._pictures: dict[UUID, Attachment] = {}
        self._homes: dict[UUID, str] = {}
        self._opened: list[Incident] = []
        self._numbers = iter(range(0))
        # Opened here and written, but unknown to the session.
        self._written: set[UUID] = set()
        self._rows = _Rows()

    async def take(self, posted: Sequence[Posted]) -> list[Receipt | HubError]:
        """Store `posted` in its order; return the receipt of each, or why it is refused."""
        await outbox.serialise(self._session)
        await self._look_up(posted)
        answers = [await self._take_one(item) for item in posted]
        await self._write()
        # These append to the ledger, whose lock all others wait for: last.
        areas = {item.household.id: item.area for item in posted if item.household is not None}
        await self._incidents.open_homes(self._session, self._opened, areas)
        return answers

    async def _look_up(self, posted: Sequence[Posted]) -> None:
        events = [item.signal.event for item in posted]
        session = self._session
        for row in await repository.known(session, {(e.source, e.id) for e in events}):
            receipt = SignalReceipt(
                id=row.event_id,
                source=row.source,
                incident_id=row.incident_id,
                joined=row.joined,
                received_at=row.received_at,
            )
            self._known[row.source, row.event_id] = (row.content_hash, receipt)
        new = [e for e in events if (e.source, e.id) not in self._known]
        if not new:
            return
        for incident in await incident_rows.open_with_keys(session, {e.dedup_key for e in new}):
            self._open[incident.dedup_key] = incident
        started = {e.dedup_key for e in new if e.data.phase == "started"}
        await self._take_numbers(len(started - self._open.keys()))
        pressed = [item.household for item in posted if item.household is not None]
        homes = {home.id for home in pressed}
        homes |= {i.camera.household_id for i in posted if i.camera and i.camera.household_id}
        homes |= {i.household_id for i in self._open.values() if i.household_id is not None}
        self._homes = {home.id: home.name for home in pressed if home.name}
        self._homes |= await households.names(session, homes - self._homes.keys())
        shown = [i.snapshot_id for i in self._open.values() if i.snapshot_id is not None]
        self._pictures = await attachment_rows.by_ids(session, shown)

    async def _take_one(self, item: Posted) -> Receipt | HubError:
        event = item.signal.event
        if (known := self._known.get((event.source, event.id))) is not None:
            return _again(known, item)
        incident = await self._open_with(event.dedup_key)
        joined = incident is not None
        new = _incident_of(item, self._now)
        if incident is None and event.data.phase == "started":
            incident = await self._make(new)
        receipt = SignalReceipt(
            id=event.id,
            source=event.source,
            incident_id=None if incident is None else incident.id,
            joined=joined,
            received_at=self._now,
        )
        self._keep(item, receipt)
        if incident is not None:
            if not joined:
                self._announce(incident, "opened")
            elif _asks_for_more(incident, item, new):
                await self._join_alone(incident, item, new)
            else:
                await self._join(incident, item, new)
        _received.labels(event.kind, event.data.phase).inc()
        opened = "" if incident is None or joined else incident.number
        return Receipt(receipt, is_new=True, opened=opened)

    async def _take_numbers(self, count: int) -> None:
        if count:
            last = await incident_rows.next_number(self._session, self._now.year, count)
            self._numbers = iter(range(last - count + 1, last + 1))

    async def _open_with(self, key: str) -> Incident | None:
        """Return the open incident with this key, as one that the session writes changes of."""
        incident = self._open.get(key)
        if incident is not None and incident.id in self._written:
            self._written.discard(incident.id)
            incident = await incident_rows.by_id_locked(self._session, incident.id)
            assert incident is not None
            self._open[key] = incident
        return incident

    async def _make(self, new: NewIncident) -> Incident:
        number = next(self._numbers, None)
        if number is None:  # one that has recovered opens again
            await self._take_numbers(1)
            number = next(self._numbers)
        made = self._incidents.opening(new, number, self._now)
        self._open[new.dedup_key] = made.incident
        self._opened.append(made.incident)
        self._rows.incidents.append(made.incident)
        self._rows.entries.append(made.entry)
        self._rows.timers.append(made.timer)
        return made.incident

    def _keep(self, item: Posted, receipt: SignalReceipt) -> None:
        """Note the row of a signal and of its pictures."""
        event, row_id = item.signal.event, new_id()
        self._rows.signals.append(
            {
                "id": row_id,
                "source": event.source,
                "event_id": event.id,
                "type": event.type,
                "phase": event.data.phase,
                "content_hash": item.signal.content_hash,
                "payload": item.signal.payload,
                "occurred_at": event.data.observed_at or event.time or self._now,
                "received_at": self._now,
                "posted_by": item.posted_by,
                "incident_id": receipt.incident_id,
                "joined": receipt.joined,
            }
        )
        self._known[event.source, event.id] = (item.signal.content_hash, receipt)
        incident = self._open.get(event.dedup_key)
        objects = [found.model_dump(mode="json") for found in event.data.objects]
        for position, (name, picture) in enumerate(item.signal.pictures):
            row = Attachment(
                id=new_id(),
                sha256=picture.sha256,
                name=name,
                media_type=picture.media_type,
                width=picture.width,
                height=picture.height,
                size=len(picture.content),
                # The boxes are of the first picture: further ones are other views.
                objects=objects if position == 0 else [],
                signal_id=row_id,
                incident_id=None if incident is None else incident.id,
                created_at=self._now,
            )
            self._rows.attachments.append(row)
            if incident is not None and incident.snapshot_id is None:
                incident.snapshot_id = row.id
                self._pictures[row.id] = row

    async def _join(self, incident: Incident, item: Posted, new: NewIncident) -> None:
        event = item.signal.event
        await self._incidents.join(self._session, incident, new)
        change = _CHANGES[event.data.phase]
        if change != "continuing":
            self._rows.entries.append(
                {
                    "incident_id": incident.id,
                    "at": self._now,
                    "actor_id": None,
                    "actor_name": "",
                    "action": change,
                    "from_state": None,
                    "to_state": None,
                    "note": "",
                    "data": {"signal": event.id, "source": event.source},
                }
            )
        self._announce(incident, change)

    async def _join_alone(self, incident: Incident, item: Posted, new: NewIncident) -> None:
        """Join with what the other services do in this session, which must find all rows there."""
        event, session = item.signal.event, self._session
        await self._write()
        incident = await self._open_with(event.dedup_key) or incident
        await self._incidents.join(session, incident, new)
        change = _CHANGES[event.data.phase]
        if change != "continuing":
            about = {"signal": event.id, "source": event.source}
            self._incidents.note_signal(session, incident, change, about)
        if change == "joined" and incident.kind in ALARMS:
            await self._incidents.ring_again(session, incident)
        recovers = change == "ended" and incident.kind in RECOVERING
        if recovers and await self._incidents.recover(session, incident):
            change = "recovered"
        await self._incidents.publish(session, incident, change)
        await session.flush()
        if not incident.is_open:
            del self._open[event.dedup_key]

    def _announce(self, incident: Incident, change: str) -> None:
        shown = None if incident.snapshot_id is None else self._pictures.get(incident.snapshot_id)
        home = "" if incident.household_id is None else self._homes.get(incident.household_id, "")
        described = describe_one(incident, shown, home)
        self._rows.events.append(
            {
                "type": "incident.opened" if change == "opened" else "incident.updated",
                "area": incident.area,
                "incident_id": incident.id,
                "camera_id": incident.camera_id,
                "payload": {**described.model_dump(mode="json"), "change": change},
                "created_at": self._now,
            }
        )

    async def _write(self) -> None:
        rows, self._rows = self._rows, _Rows()
        session = self._session
        await session.flush()
        await insert_rows(session, Incident, [_columns(incident) for incident in rows.incidents])
        self._written |= {incident.id for incident in rows.incidents}
        await insert_rows(session, Signal, rows.signals)
        if rows.attachments:
            session.add_all(rows.attachments)
            await session.flush()
        await insert_rows(session, IncidentLog, rows.entries)
        await insert_rows(session, Timer, rows.timers)
        await outbox.append_all(session, rows.events)


def _columns(incident: Incident) -> dict[str, Any]:
    """Return the columns that `opening` sets; the others have their defaults."""
    return {k: v for k, v in vars(incident).items() if not k.startswith("_")}


def _asks_for_more(incident: Incident, item: Posted, new: NewIncident) -> bool:
    """Say whether the signal changes more than the count and the times of the open incident."""
    phase = item.signal.event.data.phase
    return (
        SEVERITY_RANK[new.severity] > incident.severity_rank
        or (phase == "started" and incident.kind in ALARMS)
        or (phase == "ended" and incident.kind in RECOVERING)
    )


def _again(known: tuple[bytes, SignalReceipt], item: Posted) -> Receipt | HubError:
    content_hash, receipt = known
    if content_hash != item.signal.content_hash:
        return SignalIdReusedError(
            f"'{receipt.source}' has used the id {receipt.id} for another signal.",
            remedy="Give each signal an id of its own (UUIDv7); "
            "send a signal again only as it was sent first.",
        )
    _repeated.inc()
    return Receipt(receipt, is_new=False)


def _incident_of(item: Posted, now: datetime) -> NewIncident:
    event, data = item.signal.event, item.signal.event.data
    household_id = None if item.camera is None else item.camera.household_id
    if item.household is not None:
        household_id = item.household.id
    return NewIncident(
        kind=event.kind,
        type=event.type,
        category=data.category,
        urgency=data.urgency.lower(),
        severity=data.severity.lower(),
        certainty=data.certainty.lower(),
        status=data.status.lower(),
        dedup_key=event.dedup_key,
        headline=data.headline,
        area=item.area,
        household_id=household_id,
        camera_id=data.camera_id,
        camera_name="" if item.camera is None else item.camera.name,
        zone_name=data.zone_name,
        observed_at=data.observed_at or event.time or now,
    )
