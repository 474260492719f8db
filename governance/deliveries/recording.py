"""Writing down how an attempt went, and queueing the one that follows.

An outcome that comes after its lease has expired still counts as long as nobody has written
another: the row becomes what really happened, and the attempt that was to follow is cancelled.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.database import Database
from core.ids import new_id
from core.metrics import counter
from core.settings_loop import DeliverySettings
from governance.deliveries import history, repository, ways
from governance.deliveries.models import Delivery, Gateway
from governance.deliveries.outcome import UNCERTAIN_PAUSE_S, Outcome, failed, pause_s
from governance.deliveries.service import Deliveries
from governance.deliveries.types import REACHED, RINGING, DeliveryState, Recipient
from governance.deliveries.waking import wake_after_commit
from governance.incidents import repository as incident_rows
from governance.incidents.models import Incident
from governance.outbox import service as outbox

# About the recipient, not about the gateway: another gateway would not do better.
_OF_THE_RECIPIENT = frozenset(
    {"address-gone", "unreadable-address", "bad-subscription", "subscription-gone"}
)
_OK_NOTED_EVERY = timedelta(seconds=10)

_finished = counter("deliveries_finished", "Attempts that ended", ("channel", "state"))


@dataclass(frozen=True)
class _Next:
    """The attempt that follows."""

    gateway_id: UUID | None
    lane: str
    pause_s: float
    same_message: bool
    repeats: bool


class Recorder:
    """Writes outcomes."""

    def __init__(
        self, database: Database, clock: Clock, settings: DeliverySettings, deliveries: Deliveries
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._deliveries = deliveries

    async def record(
        self, row: Delivery, lease_id: UUID, outcome: Outcome, *, only_sending: bool = False
    ) -> bool:
        """Write down how the attempt `row`, leased as `lease_id`, went.

        Args:
            row: as it was when it was leased.
            lease_id: whose outcome this is; another's is not overwritten.
            outcome: how it went.
            only_sending: count only if no outcome was written at all, `unknown` included.

        Returns:
            Whether it counted.
        """
        counting = {DeliveryState.SENDING.value}
        if not only_sending:
            counting.add(DeliveryState.UNKNOWN.value)
        async with self._database.transaction() as session:
            following = await self._following(session, row, outcome)
            incident = None
            if outcome.state in {"failed", "unknown"} and following is None and row.incident_id:
                # Locked before the delivery: its history is written below.
                await outbox.serialise(session)
                incident = await incident_rows.by_id_locked(session, row.incident_id)
            current = await repository.locked(session, row.id)
            if (
                current is None
                or current.lease_id != lease_id
                or current.state not in counting
                or (current.state == outcome.state)
            ):
                return False
            await self._write(session, current, outcome, following, incident)
        return True

    async def bounced(self, session: AsyncSession, row: Delivery, detail: str) -> bool:
        """Write down that the provider says, later, that `row` did not arrive, and try again.

        Returns whether it counted: not for what is already known to have failed.
        """
        outcome = failed("provider-failed", detail)
        following = await self._following(session, row, outcome)
        incident = None
        if following is None and row.incident_id:
            await outbox.serialise(session)
            incident = await incident_rows.by_id_locked(session, row.incident_id)
        current = await repository.locked(session, row.id)
        if current is None or current.state not in REACHED:
            return False
        await self._write(session, current, outcome, following, incident)
        return True

    async def arrived(self, session: AsyncSession, row: Delivery) -> None:
        """Write down that the provider says that it arrived; `row` is locked.

        A row that was given up, too: a late success is a success.
        """
        if row.state in {DeliveryState.SENT.value, DeliveryState.CANCELLED.value}:
            return
        finish(row, DeliveryState.SENT, self._clock.now(), "delivered")
        await repository.cancel_attempt(
            session, row.key, row.attempt + 1, self._clock.now(), "sent-after-all"
        )

    async def _write(
        self,
        session: AsyncSession,
        row: Delivery,
        outcome: Outcome,
        following: _Next | None,
        incident: Incident | None,
    ) -> None:
        now = self._clock.now()
        late = row.state == DeliveryState.UNKNOWN.value
        state = DeliveryState(outcome.state)
        if state is DeliveryState.FAILED and following is None:
            state = DeliveryState.GIVEN_UP
        finish(row, state, now, outcome.code, outcome.detail)
        row.provider_ref = outcome.provider_ref or row.provider_ref
        if outcome.gone and row.point_id is not None:
            gone = await ways.subscription(session, row.point_id)
            if gone is not None:
                await session.delete(gone)
        if state is DeliveryState.SENT:
            await repository.cancel_attempt(
                session, row.key, row.attempt + 1, now, "sent-after-all"
            )
            await self._tell_if_over(session, row)
        elif following is not None and not late:
            await self._follow(session, row, following)
        if incident is not None:
            await _note_undelivered(session, incident, row, now)
        await self._note_gateway(session, row, outcome, now)

    async def _following(
        self, session: AsyncSession, row: Delivery, outcome: Outcome
    ) -> _Next | None:
        """Return the attempt that follows `outcome`; None if none does."""
        if outcome.state not in {"failed", "unknown"} or row.attempt >= self._settings.attempts:
            return None
        if outcome.state == "unknown":
            return await self._after_unknown(session, row)
        return await self._after_failure(session, row, outcome)

    async def _after_unknown(self, session: AsyncSession, row: Delivery) -> _Next | None:
        if await _knows_repetitions(session, row):
            return _Next(
                row.gateway_id, row.lane, pause_s(row.attempt), same_message=True, repeats=False
            )
        if row.about.get("repeats"):
            return None  # repeated once already, without knowing
        return _Next(row.gateway_id, row.lane, UNCERTAIN_PAUSE_S, same_message=False, repeats=True)

    async def _after_failure(
        self, session: AsyncSession, row: Delivery, outcome: Outcome
    ) -> _Next | None:
        """Return an attempt through the gateway after the one that failed, if there are several."""
        if outcome.code in _OF_THE_RECIPIENT:
            return None
        carriers = await self._carriers(session, row)
        if outcome.permanent and row.attempt >= len(carriers):
            return None
        gateway_id, lane = row.gateway_id, row.lane
        if carriers:
            ids = [gateway.id for gateway in carriers]
            position = ids.index(row.gateway_id) + 1 if row.gateway_id in ids else 0
            gateway_id = ids[position % len(ids)]
            lane = str(gateway_id)
        pause = pause_s(row.attempt, outcome.retry_after_s)
        repeats = bool(row.about.get("repeats"))
        return _Next(gateway_id, lane, pause, same_message=False, repeats=repeats)

    async def _carriers(self, session: AsyncSession, row: Delivery) -> list[Gateway]:
        """Return the gateways that can be asked for this row, in their order."""
        if row.gateway_id is None or row.recipient_kind == "room":
            return []
        area = None
        if row.incident_id is not None:
            query = select(Incident.area).where(Incident.id == row.incident_id)
            area = await session.scalar(query)
        return ways.for_channel(await ways.active_gateways(session), row.channel, area)

    async def _follow(self, session: AsyncSession, row: Delivery, following: _Next) -> None:
        identity = new_id()
        about = {**row.about, "repeats": True} if following.repeats else dict(row.about)
        added = {
            "id": identity,
            "key": row.key,
            "attempt": row.attempt + 1,
            "incident_id": row.incident_id,
            "recipient_kind": row.recipient_kind,
            "recipient_id": row.recipient_id,
            "recipient_name": row.recipient_name,
            "locale": row.locale,
            "channel": row.channel,
            "point_id": row.point_id,
            "gateway_id": following.gateway_id,
            "lane": following.lane,
            "purpose": row.purpose,
            "round_key": row.round_key,
            "about": about,
            "rank": row.rank,
            "state": DeliveryState.WAITING.value,
            "not_before": self._clock.now() + timedelta(seconds=following.pause_s),
            "provider_key": row.provider_key if following.same_message else identity,
            "answer_hash": row.answer_hash,
            # When it was promised: an acknowledgement since then makes it needless.
            "created_at": row.created_at,
        }
        await repository.add_new(session, [added])
        wake_after_commit(session)

    async def _tell_if_over(self, session: AsyncSession, row: Delivery) -> None:
        """Tell how it ended to somebody whom the alert reached only after that."""
        if row.purpose not in RINGING or row.incident_id is None:
            return
        incident = await session.get(Incident, row.incident_id)
        if incident is None or incident.is_open:
            return
        who = Recipient(
            row.recipient_kind,  # type: ignore[arg-type]  # was written from a Recipient
            row.recipient_id,
            row.recipient_name,
            row.locale,
        )
        await self._deliveries.queue(
            session,
            incident,
            [who],
            channels=["sms" if row.channel == "voice" else row.channel],
            round_key=f"over:{incident.round}",
            purpose="over",
        )

    async def _note_gateway(
        self, session: AsyncSession, row: Delivery, outcome: Outcome, now: datetime
    ) -> None:
        """Keep with the gateway when it last worked, or what was last wrong with it."""
        if row.gateway_id is None or outcome.code in _OF_THE_RECIPIENT:
            return
        query = update(Gateway).where(Gateway.id == row.gateway_id)
        if outcome.state == "sent":
            stale = Gateway.last_ok_at.is_(None) | (Gateway.last_ok_at < now - _OK_NOTED_EVERY)
            await session.execute(query.where(stale).values(last_ok_at=now))
        elif outcome.state != "cancelled":
            said = f"{outcome.code}: {outcome.detail}" if outcome.detail else outcome.code
            await session.execute(query.values(last_failed_at=now, last_error=said[:300]))


def finish(row: Delivery, state: DeliveryState, at: datetime, code: str, detail: str = "") -> None:
    """Give an attempt its outcome."""
    row.state = state.value
    row.finished_at = at
    row.code = code
    row.detail = detail[:300]
    _finished.labels(row.channel, state.value).inc()


async def _knows_repetitions(session: AsyncSession, row: Delivery) -> bool:
    """Say whether the same message twice is shown once.

    A push with the same topic and tag takes the place of the first; a gateway of kind `http`
    promises to know the `Idempotency-Key`.
    """
    if row.channel == "push":
        return True
    gateway = await ways.gateway(session, row.gateway_id) if row.gateway_id else None
    return gateway is not None and gateway.kind == "http"


async def _note_undelivered(
    session: AsyncSession, incident: Incident, row: Delivery, at: datetime
) -> None:
    await history.note(
        session,
        incident,
        "undelivered",
        at=at,
        data={
            "recipient": row.recipient_name,
            "recipient_kind": row.recipient_kind,
            "channel": row.channel,
            "purpose": row.purpose,
            "attempts": row.attempt,
            "state": row.state,
            "code": row.code,
        },
    )
