"""Intake: one transaction for the signal, its incident, history, timer and outbox.

The receipt is for after the commit. A signal that arrives twice changes nothing the second
time and gets the same receipt; the retry of an honest sender is therefore always safe.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.errors import ConflictError
from core.ids import new_id
from core.metrics import counter
from governance.attachments.models import Attachment
from governance.incidents import repository as incident_rows
from governance.incidents.kinds import RECOVERING
from governance.incidents.models import Incident
from governance.incidents.opening import NewIncident
from governance.incidents.service import Incidents
from governance.outbox import service as outbox
from governance.signals import repository
from governance.signals.models import Signal
from governance.signals.reading import ReadSignal
from governance.signals.schemas import SignalReceipt

_received = counter("signals_received", "Signals stored", ("kind", "phase"))
_repeated = counter("signals_repeated", "Signals that had been stored before")


class SignalIdReusedError(ConflictError):
    """The same source has sent other content under this id (409)."""

    code = "signal-id-reused"


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """What the hub itself knows of a camera; it outranks what a signal claims."""

    name: str
    area: str
    household_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class HouseholdFacts:
    """The household of an alarm, and the area it lies in."""

    id: UUID
    area: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of a signal; `is_new` is False for one that was there before."""

    body: SignalReceipt
    is_new: bool


class Signals:
    """Decides what becomes of a signal."""

    def __init__(self, clock: Clock, incidents: Incidents) -> None:
        self._clock = clock
        self._incidents = incidents

    async def intake(
        self,
        session: AsyncSession,
        signal: ReadSignal,
        *,
        camera: CameraFacts | None = None,
        household: HouseholdFacts | None = None,
        posted_by: UUID | None = None,
    ) -> Receipt:
        """Store `signal` and do what it asks for. Its pictures must be on the disk already.

        `household` is that of an alarm; that of a home camera comes with `camera`.

        Raises:
            SignalIdReusedError: the id was used before for something else.
        """
        await outbox.serialise(session)
        event, now = signal.event, self._clock.now()
        known = await repository.by_event(session, event.source, event.id)
        if known is not None:
            return _again(known, signal)
        row_id = new_id()
        incident = await incident_rows.open_with_key(session, event.dedup_key)
        new = self._incident_of(signal, camera, household)
        joined, opened = incident is not None, False
        if incident is None and event.data.phase == "started":
            incident = await self._incidents.open(session, new)
            opened = True
        values: dict[str, Any] = {
            "id": row_id,
            "source": event.source,
            "event_id": event.id,
            "type": event.type,
            "phase": event.data.phase,
            "content_hash": signal.content_hash,
            "payload": signal.payload,
            "occurred_at": event.data.observed_at or event.time or now,
            "received_at": now,
            "posted_by": posted_by,
            "incident_id": None if incident is None else incident.id,
            "joined": joined,
        }
        session.add(Signal(**values))
        await session.flush()
        self._attach(session, signal, row_id, incident)
        if incident is not None:
            await self._advance(session, incident, signal, new, opened=opened)
        _received.labels(event.kind, event.data.phase).inc()
        return Receipt(
            SignalReceipt(
                id=event.id,
                source=event.source,
                incident_id=values["incident_id"],
                joined=joined,
                received_at=now,
            ),
            is_new=True,
        )

    async def _advance(
        self,
        session: AsyncSession,
        incident: Incident,
        signal: ReadSignal,
        new: NewIncident,
        *,
        opened: bool,
    ) -> None:
        phase = signal.event.data.phase
        if opened:
            await self._incidents.publish(session, incident, "opened")
            return
        await self._incidents.join(session, incident, new)
        about = {"signal": signal.event.id, "source": signal.event.source}
        change = {"started": "joined", "continuing": "continuing", "ended": "ended"}[phase]
        if phase != "continuing":
            self._incidents.note_signal(session, incident, change, about)
        if (
            phase == "ended"
            and incident.kind in RECOVERING
            and await self._incidents.recover(session, incident)
        ):
            change = "recovered"
        await self._incidents.publish(session, incident, change)

    def _attach(
        self,
        session: AsyncSession,
        signal: ReadSignal,
        signal_row: UUID,
        incident: Incident | None,
    ) -> None:
        objects = [found.model_dump(mode="json") for found in signal.event.data.objects]
        for position, (name, picture) in enumerate(signal.pictures):
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
                signal_id=signal_row,
                incident_id=None if incident is None else incident.id,
                created_at=self._clock.now(),
            )
            session.add(row)
            if incident is not None and incident.snapshot_id is None:
                incident.snapshot_id = row.id

    def _incident_of(
        self, signal: ReadSignal, camera: CameraFacts | None, household: HouseholdFacts | None
    ) -> NewIncident:
        event, data = signal.event, signal.event.data
        area, household_id = data.area, None
        if camera is not None:
            area, household_id = camera.area, camera.household_id
        if household is not None:
            area, household_id = household.area, household.id
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
            area=area,
            household_id=household_id,
            camera_id=data.camera_id,
            camera_name="" if camera is None else camera.name,
            zone_name=data.zone_name,
            observed_at=data.observed_at or event.time or self._clock.now(),
        )


def _again(known: Signal, signal: ReadSignal) -> Receipt:
    if known.content_hash != signal.content_hash:
        raise SignalIdReusedError(
            f"'{known.source}' has used the id {known.event_id} for another signal.",
            remedy="Give each signal an id of its own (UUIDv7); "
            "send a signal again only as it was sent first.",
        )
    _repeated.inc()
    return Receipt(
        SignalReceipt(
            id=known.event_id,
            source=known.source,
            incident_id=known.incident_id,
            joined=known.joined,
            received_at=known.received_at,
        ),
        is_new=False,
    )
