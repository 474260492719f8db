"""Gateways as those who are told through them need them; their upkeep is in `upkeep.py`."""

from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import covers
from governance.deliveries.known import gateways_in_use
from governance.deliveries.types import Recipient


async def rooms(session: AsyncSession, name: str, area: str) -> list[Recipient]:
    """Return the chat rooms called `name` that are responsible for `area`.

    Of several in nested areas the nearest counts; one team may have a robot in several chats,
    and then all of the same area are told. Empty: no such room.
    """
    found = [
        gateway
        for gateway in await gateways_in_use(session)
        if gateway.room == name and covers(gateway.area, area)
    ]
    nearest = max((len(gateway.area) for gateway in found), default=0)
    return [
        Recipient("room", gateway.id, gateway.room, gateway.locale)
        for gateway in found
        if len(gateway.area) == nearest
    ]
