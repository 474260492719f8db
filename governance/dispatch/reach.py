"""By what a recipient can be told at this moment, before anything is promised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from governance.deliveries import ways
from governance.deliveries.models import Gateway
from governance.deliveries.types import ROOM_CHANNELS, Recipient

_CACHE = "dispatch_reach"


@dataclass(frozen=True)
class Reach:
    """The channels that lead to each recipient, and the gateways that carry them."""

    channels: Mapping[UUID, frozenset[str]]
    gateways: Sequence[Gateway]

    def of(self, recipient: Recipient, wanted: Iterable[str], area: str) -> list[str]:
        """Return those of the `wanted` channels by which the recipient can be told now.

        A chat room is told by its own robot, whatever is wanted.
        """
        if recipient.kind == "room":
            return [g.channel for g in self.gateways if g.id == recipient.id]
        held = self.channels.get(recipient.id, frozenset())
        return [
            channel
            for channel in dict.fromkeys(wanted)
            if channel in held
            and channel not in ROOM_CHANNELS
            and (channel == "push" or ways.for_channel(self.gateways, channel, area))
        ]


async def load_reach(session: AsyncSession, recipients: Iterable[Recipient]) -> Reach:
    """Look up what leads to `recipients`; looked up once in a transaction for each of them.

    A flood of incidents rings the same people: what they have does not change in between.
    """
    known: dict[UUID, frozenset[str]] = session.info.setdefault(_CACHE, {})
    gateways: Sequence[Gateway] | None = session.info.get(f"{_CACHE}_gateways")
    if gateways is None:
        gateways = session.info[f"{_CACHE}_gateways"] = await ways.active_gateways(session)
    new = [r for r in recipients if r.id not in known and r.kind in {"account", "contact"}]
    if new:
        accounts = {r.id for r in new if r.kind == "account"}
        contacts = {r.id for r in new if r.kind == "contact"}
        held: dict[UUID, set[str]] = {r.id: set() for r in new}
        for point in await ways.points_of(session, accounts=accounts, contacts=contacts):
            holder = point.account_id or point.contact_id
            if holder is not None:
                held[holder].add(point.channel)
        for found in await ways.subscriptions_of(session, accounts=accounts):
            if found.account_id is not None and found.failed_at is None:
                held[found.account_id].add("push")
        known.update({id: frozenset(channels) for id, channels in held.items()})
    return Reach(known, gateways)
