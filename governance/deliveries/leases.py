"""Leasing deliveries to a sender.

A lease is committed before the provider is asked, and nothing is locked meanwhile. Who holds a row
is `lease_id`; it stays when the lease has expired, so that a sender that was only slow still
records what really happened (`recording.py`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.database import Database
from core.ids import new_id
from core.settings_loop import DeliverySettings
from governance.deliveries.models import Delivery
from governance.deliveries.recording import finish
from governance.deliveries.types import RINGING, DeliveryState
from governance.incidents.models import Incident

LEASE_EXTRA_S = 30.0
"""A lease is this much longer than a provider may take."""

_BATCH = 64


@dataclass(frozen=True)
class Lease:
    """A row that a process sends; the row is as it was committed with the lease."""

    row: Delivery
    id: UUID


class Leases:
    """Takes rows to be sent, and finds those whose sender has not come back."""

    def __init__(self, database: Database, clock: Clock, settings: DeliverySettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    @property
    def seconds(self) -> float:
        """How long a lease lasts."""
        return self._settings.timeout_s + LEASE_EXTRA_S

    async def oldest_waiting(self) -> datetime | None:
        """Return since when the longest due row waits; None if none is due or lost."""
        now = self._clock.now()
        async with self._database.read() as session:
            return await session.scalar(
                select(Delivery.not_before)
                .where(Delivery.state == DeliveryState.WAITING.value, Delivery.not_before <= now)
                .order_by(Delivery.not_before)
                .limit(1)
            )

    async def take(
        self, busy: Mapping[str, int], *, lane_limit: int, limit: int, spare: int = 0
    ) -> list[Lease]:
        """Lease due rows, the most severe first, and commit.

        Args:
            busy: requests that run in each lane now.
            lane_limit: how many may; a full lane holds back no other.
            limit: how many rows at most.
            spare: how many of these are for what rings only.
        """
        taken: list[Lease] = []
        load = Counter(busy)
        async with self._database.transaction() as session:
            while len(taken) < limit:
                full = [lane for lane, running in load.items() if running >= lane_limit]
                room = limit - len(taken)
                ringing = room <= spare
                rows = await self._due(
                    session, full, room if ringing else room - spare, ringing=ringing
                )
                if not rows:
                    break
                incidents = await _incidents_of(session, rows)
                for row in rows:
                    if len(taken) >= limit or load[row.lane] >= lane_limit:
                        continue
                    incident = incidents.get(row.incident_id) if row.incident_id else None
                    now = self._clock.now()
                    if why := _needless(row, incident, now):
                        finish(row, DeliveryState.CANCELLED, now, why)
                        continue
                    load[row.lane] += 1
                    taken.append(self._lease(row))
                await session.flush()
        return taken

    async def lost(self) -> list[Lease]:
        """Return leases that have expired without an outcome, of this process or any other."""
        async with self._database.read() as session:
            rows = (await session.scalars(self._expired().limit(_BATCH))).all()
        return [Lease(row, row.lease_id) for row in rows if row.lease_id is not None]

    async def follow_clock_back(self) -> int:
        """Let rows be due that were made in the future, by a clock since put back."""
        now = self._clock.now()
        async with self._database.transaction() as session:
            moved = await session.scalars(
                update(Delivery)
                .where(Delivery.state == DeliveryState.WAITING.value, Delivery.created_at > now)
                .values(not_before=now, created_at=now)
                .returning(Delivery.id)
                .execution_options(synchronize_session=False)
            )
            return len(moved.all())

    async def _due(
        self, session: AsyncSession, full: Sequence[str], room: int, *, ringing: bool
    ) -> Sequence[Delivery]:
        query = (
            select(Delivery)
            .where(
                Delivery.state == DeliveryState.WAITING.value,
                Delivery.not_before <= self._clock.now(),
                Delivery.lane.not_in(full),
            )
            .order_by(Delivery.rank.desc(), Delivery.not_before, Delivery.id)
            # No more than are wanted: what is locked here, another process passes over.
            .limit(min(room, _BATCH))
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        )
        if ringing:
            query = query.where(Delivery.purpose.in_(RINGING))
        return (await session.scalars(query)).all()

    def _expired(self) -> Select[Delivery]:
        now = self._clock.now()
        # Far in the future as well: the clock has been put back since.
        horizon = now + timedelta(seconds=2 * self.seconds)
        return select(Delivery).where(
            Delivery.state == DeliveryState.SENDING.value,
            or_(Delivery.leased_until < now, Delivery.leased_until > horizon),
        )

    def _lease(self, row: Delivery) -> Lease:
        now = self._clock.now()
        lease_id = new_id()
        row.state = DeliveryState.SENDING.value
        row.lease_id = lease_id
        row.started_at = now
        row.leased_until = now + timedelta(seconds=self.seconds)
        return Lease(row, lease_id)


async def _incidents_of(session: AsyncSession, rows: Sequence[Delivery]) -> dict[UUID, Incident]:
    wanted = {row.incident_id for row in rows if row.incident_id is not None}
    if not wanted:
        return {}
    query = select(Incident).where(Incident.id.in_(wanted))
    found = await session.scalars(query.execution_options(populate_existing=True))
    return {incident.id: incident for incident in found}


def _needless(row: Delivery, incident: Incident | None, now: datetime) -> str:
    """Return why nobody needs to be rung any more; "" if somebody does.

    What was queued after the acknowledgement was queued knowing of it: a reminder, a whistle by
    hand, a second press. What was acknowledged in the future, before the clock was put back, says
    nothing of what came first: rung once too often rather than not at all.
    """
    if incident is None or row.purpose not in RINGING:
        return ""
    if not incident.is_open:
        return "over"
    seen = incident.acknowledged_at
    return "acknowledged" if seen is not None and row.created_at <= seen <= now else ""
