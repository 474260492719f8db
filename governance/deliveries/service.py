"""Every decision about who is told what: rows before promises, and nothing sent here.

Nothing here commits, and nothing here asks a provider: a row is a promise that the loop keeps once
it is committed. Whoever calls these has locked the incident (see the order of locks).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import Clock
from core.errors import ConflictError
from core.ids import new_id
from core.metrics import counter
from governance.deliveries import repository, ways
from governance.deliveries.keys import DeliveryKeys, hashed
from governance.deliveries.known import Known, known_ways
from governance.deliveries.models import ContactPoint, Gateway
from governance.deliveries.types import (
    RINGING,
    ROOM_CHANNELS,
    Channel,
    DeliveryState,
    Purpose,
    Recipient,
)
from governance.deliveries.waking import wake_after_commit
from governance.incidents.models import Incident

_PURPOSE_RANK = {"alert": 5, "whistle": 5, "reminder": 4, "news": 3, "over": 2}
_RANK_WITHOUT_INCIDENT = 25

_queued = counter("deliveries_queued", "Deliveries queued or withheld", ("channel", "state"))


@dataclass(frozen=True)
class _Way:
    """One way to one recipient; `code` says why it cannot be gone."""

    channel: str
    lane: str = ""
    point_id: UUID | None = None
    gateway_id: UUID | None = None
    code: str = ""


class NoGatewayError(ConflictError):
    """Nothing carries this channel (409)."""

    code = "no-gateway"

    def __init__(self, channel: str) -> None:
        super().__init__(
            f"No gateway for {channel} is set up, so nothing can be sent.",
            remedy="Ask an administrator to set one up, or choose another way.",
            detail={"channel": channel},
        )


_HEARD = frozenset({"seen", "coming", "arrived", "over"})


class Deliveries:
    """Queues what is to be told, and cancels what need not be told any more."""

    def __init__(self, clock: Clock, keys: DeliveryKeys) -> None:
        self._clock = clock
        self._keys = keys

    async def queue(
        self,
        session: AsyncSession,
        incident: Incident,
        recipients: Sequence[Recipient],
        *,
        channels: Sequence[str],
        round_key: str,
        purpose: Purpose,
        about: Mapping[str, Any] | None = None,
    ) -> int:
        """Promise to tell `recipients` about `incident`; a promise made before is not made twice.

        A recipient is told through those of `channels` that it has: each verified contact point
        and each push subscription is a row. A room is told by its own robot, whatever `channels`
        says. Where somebody cannot be told there is a row, too, in state `withheld`, whose code
        says why: `exercise`, `test`, `no-address`, `no-gateway`.

        Args:
            session: the session of what is told about; the rows are committed with it or not.
            incident: locked by the caller.
            recipients: each is told once, however often it is named. The household's own devices
                hear of steps that help takes (`_HEARD`) besides.
            channels: words of `types.CHANNELS`.
            round_key: names the step, at most 60 characters: the same step queues nothing twice.
                News are worded by it: `seen`, `coming`, `arrived`, `cancel_asked`, `location`,
                each with anything behind a colon; any other shows `about["text"]`.
            purpose: why.
            about: what the text needs and the incident does not say: `by` (a name), `minutes`,
                `text`.

        Returns:
            How many rows were added that will be sent.
        """
        rows = await self.rows_for(
            session,
            incident,
            recipients,
            channels=channels,
            round_key=round_key,
            purpose=purpose,
            about=about,
        )
        return (await self.add(session, rows)).total()

    async def rows_for(
        self,
        session: AsyncSession,
        incident: Incident,
        recipients: Sequence[Recipient],
        *,
        channels: Sequence[str],
        round_key: str,
        purpose: Purpose,
        about: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Return what `queue` adds, for one `add` of many; writes nothing."""
        wanted = {(r.kind, r.id): r for r in recipients}
        devices = await _hearing(session, incident, round_key)
        if not wanted and not devices:
            return []
        found = await known_ways(session, [*wanted.values(), *devices])
        ways_to = [(recipient, channels) for recipient in wanted.values()]
        ways_to += [(device, ("push",)) for device in devices]
        return [
            self._row(
                incident, recipient, way, round_key=round_key, purpose=purpose, about=about or {}
            )
            for recipient, by in ways_to
            for way in _lead_to(recipient, incident, by, found)
        ]

    async def add(
        self, session: AsyncSession, rows: Sequence[dict[str, Any]]
    ) -> Counter[UUID | None]:
        """Write rows whose key is not there yet; return how many will be sent, by incident."""
        added = await repository.add_new(session, rows)
        for _, channel, state in added:
            _queued.labels(channel, state).inc()
        waiting = Counter(
            incident_id for incident_id, _, state in added if state == DeliveryState.WAITING.value
        )
        if waiting:
            wake_after_commit(session)
        return waiting

    async def notify(
        self,
        session: AsyncSession,
        recipients: Sequence[Recipient],
        *,
        channels: Sequence[str],
        round_key: str,
        about: Mapping[str, Any],
        area: str | None = None,
    ) -> int:
        """Promise to tell `recipients` something that belongs to no incident.

        Args:
            session: the session of what is told about.
            recipients: each is told once.
            channels: as for `queue`.
            round_key: the same for the same news, at most 60 characters.
            about: `text`, as one text or as `{"zh-CN": …, "en": …}`.
            area: where it is; gateways of it are taken. None: any gateway.

        Returns:
            How many rows were added that will be sent.
        """
        wanted = {(r.kind, r.id): r for r in recipients}
        if not wanted:
            return 0
        found = await known_ways(session, wanted.values())
        rows = [
            self._row(None, recipient, way, round_key=round_key, purpose="news", about=about)
            for recipient in wanted.values()
            for way in _all_ways(recipient, area, channels, found)
        ]
        return (await self.add(session, rows)).total()

    async def ask(
        self,
        session: AsyncSession,
        recipient: Recipient,
        point: ContactPoint,
        *,
        purpose: Literal["code", "consent"],
        about: Mapping[str, Any],
        area: str | None = None,
    ) -> None:
        """Promise to send a code or a request for consent to one contact point.

        Raises:
            NoGatewayError: nothing carries its channel.
        """
        carriers = ways.for_channel(await ways.active_gateways(session), point.channel, area)
        if not carriers:
            raise NoGatewayError(point.channel)
        way = _Way(point.channel, str(carriers[0].id), point.id, carriers[0].id)
        row = self._row(None, recipient, way, round_key="ask", purpose=purpose, about=about)
        await self.add(session, [row])

    async def acknowledged(self, session: AsyncSession, incident: Incident, actor_name: str) -> int:
        """Cancel what still rings, for everybody; tell the household's contacts who has seen it.

        Returns:
            How many rows were cancelled.
        """
        now = self._clock.now()
        cancelled = await repository.cancel_ringing(session, incident.id, now, "acknowledged")
        contacts = await repository.contacts_of_incident(session, incident.id)
        await self.queue(
            session,
            incident,
            [Recipient("contact", id, name, locale) for id, name, locale in contacts],
            channels=("sms", "email"),
            round_key=f"seen:{incident.round}",
            purpose="news",
            about={"by": actor_name},
        )
        return cancelled

    async def over(self, session: AsyncSession, incident: Incident) -> int:
        """Tell everybody who was told how it ended, by what reached them, though not by voice.

        Returns:
            How many rows were added that will be sent.
        """
        await repository.cancel_ringing(session, incident.id, self._clock.now(), "over")
        told = await repository.reached(session, incident.id, RINGING)
        added = 0
        # The household's devices hear of it even where nobody else was told.
        groups = _by_channels(told) or {(): []}
        for channels, recipients in groups.items():
            added += await self.queue(
                session,
                incident,
                recipients,
                channels=channels,
                round_key=f"over:{incident.round}",
                purpose="over",
            )
        return added

    def _row(
        self,
        incident: Incident | None,
        recipient: Recipient,
        way: _Way,
        *,
        round_key: str,
        purpose: str,
        about: Mapping[str, Any],
    ) -> dict[str, Any]:
        now = self._clock.now()
        key = _key(incident, recipient, way, round_key, purpose)
        identity = new_id()
        answers = purpose in RINGING and recipient.kind in {"account", "contact"}
        state = DeliveryState.WITHHELD if way.code else DeliveryState.WAITING
        return {
            "id": identity,
            "key": key,
            "attempt": 1,
            "incident_id": None if incident is None else incident.id,
            "recipient_kind": recipient.kind,
            "recipient_id": recipient.id,
            "recipient_name": recipient.name,
            "locale": recipient.locale,
            "channel": way.channel,
            "point_id": way.point_id,
            "gateway_id": way.gateway_id,
            "lane": way.lane,
            "purpose": purpose,
            "round_key": round_key,
            "about": dict(about),
            "rank": _rank(incident, purpose),
            "state": state.value,
            "not_before": now,
            "finished_at": now if way.code else None,
            "code": way.code,
            "provider_key": identity,
            "answer_hash": hashed(self._keys.token("answer", key)) if answers else None,
            "created_at": now,
        }


async def _hearing(session: AsyncSession, incident: Incident, round_key: str) -> list[Recipient]:
    """Return the devices of the household that hear of this step by push."""
    if incident.household_id is None or round_key.partition(":")[0] not in _HEARD:
        return []
    found = await ways.listening_devices(session, incident.household_id)
    return [Recipient("device", id, name, locale) for id, name, locale in found]


def _rank(incident: Incident | None, purpose: str) -> int:
    if incident is None:
        return _RANK_WITHOUT_INCIDENT
    return incident.severity_rank * 10 + _PURPOSE_RANK.get(purpose, 0)


def _key(
    incident: Incident | None, recipient: Recipient, way: _Way, round_key: str, purpose: str
) -> str:
    about = "-" if incident is None else str(incident.id)
    parts = [about, round_key, purpose, f"{recipient.kind}.{recipient.id}", way.channel]
    if way.point_id is not None:
        parts.append(str(way.point_id))
    return ":".join(parts)


def _lead_to(
    recipient: Recipient, incident: Incident, channels: Sequence[str], found: Known
) -> list[_Way]:
    """Return every way to `recipient` through `channels`; at least one, which may be closed."""
    open_ways = _all_ways(recipient, incident.area, channels, found)
    if incident.status != "actual":
        # Neither an exercise nor a test reaches anybody outside of the console.
        return [_Way(way.channel, code=incident.status) for way in _once(open_ways)]
    return open_ways


def _once(found: Iterable[_Way]) -> list[_Way]:
    return list({way.channel: way for way in found}.values())


def _all_ways(
    recipient: Recipient, area: str | None, channels: Sequence[str], found: Known
) -> list[_Way]:
    if recipient.kind == "room":
        return [_to_room(recipient.id, found.gateways)]
    led: list[_Way] = []
    for channel in dict.fromkeys(channels):
        if channel in ROOM_CHANNELS:
            continue
        if channel == "push":
            led += [
                _Way(channel, lane=f"push:{sub.host}"[:120], point_id=sub.id)
                for sub in found.subscriptions.get(recipient.id, ())
            ]
            continue
        points = [p for p in found.points.get(recipient.id, ()) if p.channel == channel]
        if not points:
            continue
        carriers = ways.for_channel(found.gateways, channel, area)
        if not carriers:
            led.append(_Way(channel, code="no-gateway"))
            continue
        led += [
            _Way(channel, str(carriers[0].id), point_id=p.id, gateway_id=carriers[0].id)
            for p in points
        ]
    fallback = channels[0] if channels else "push"
    return led or [_Way(fallback, code="no-address")]


def _to_room(gateway_id: UUID, gateways: Sequence[Gateway]) -> _Way:
    for gateway in gateways:
        if gateway.id == gateway_id:
            return _Way(gateway.channel, lane=str(gateway.id), gateway_id=gateway.id)
    return _Way("wecom", code="no-gateway")


def _by_channels(told: Iterable[Any]) -> dict[tuple[Channel, ...], list[Recipient]]:
    """Return who was told, by the channels that reached them; who was only called gets a text."""
    channels: dict[tuple[str, UUID], dict[str, None]] = {}
    people: dict[tuple[str, UUID], Recipient] = {}
    for row in told:
        kind, id = who = (row.recipient_kind, row.recipient_id)
        people[who] = Recipient(kind, id, row.recipient_name, row.locale)
        channels.setdefault(who, {})["sms" if row.channel == "voice" else row.channel] = None
    grouped: dict[tuple[Any, ...], list[Recipient]] = {}
    for who, by in channels.items():
        grouped.setdefault(tuple(sorted(by)), []).append(people[who])
    return grouped
