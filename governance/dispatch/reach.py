"""By what a recipient can be told at this moment, before anything is promised."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from governance.deliveries import ways
from governance.deliveries.known import Known, known_ways
from governance.deliveries.types import ROOM_CHANNELS, Recipient


@dataclass(frozen=True)
class Reach:
    """What leads to each recipient, and the gateways that carry it."""

    known: Known

    def of(self, recipient: Recipient, wanted: Iterable[str], area: str) -> list[str]:
        """Return those of the `wanted` channels by which the recipient can be told now.

        A chat room is told by its own robot, whatever is wanted.
        """
        if recipient.kind == "room":
            return [g.channel for g in self.known.gateways if g.id == recipient.id]
        held = {point.channel for point in self.known.points.get(recipient.id, ())}
        if any(s.failed_at is None for s in self.known.subscriptions.get(recipient.id, ())):
            held.add("push")
        return [
            channel
            for channel in dict.fromkeys(wanted)
            if channel in held
            and channel not in ROOM_CHANNELS
            and (channel == "push" or ways.for_channel(self.known.gateways, channel, area))
        ]


async def load_reach(session: AsyncSession, recipients: Iterable[Recipient]) -> Reach:
    """Look up what leads to `recipients`; looked up once in a transaction for each of them."""
    return Reach(await known_ways(session, recipients))
