"""What leads to people, looked up once in a transaction: a flood of incidents rings the same ones.

What is found is kept with the session, whose transaction it does not outlive.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from governance.deliveries import ways
from governance.deliveries.models import ContactPoint, Gateway, PushSubscription
from governance.deliveries.types import Recipient

_KNOWN = "ways_known"


@dataclass
class Known:
    """What leads to the recipients asked for so far, by their ids, and every gateway in use."""

    gateways: Sequence[Gateway] = ()
    points: dict[UUID, list[ContactPoint]] = field(default_factory=dict)
    subscriptions: dict[UUID, list[PushSubscription]] = field(default_factory=dict)
    asked: set[tuple[str, UUID]] = field(default_factory=set)


async def gateways_in_use(session: AsyncSession) -> Sequence[Gateway]:
    """Return every gateway in use."""
    return (await _known(session)).gateways


async def known_ways(session: AsyncSession, recipients: Iterable[Recipient]) -> Known:
    """Return what leads to `recipients`, and perhaps to others; asks for those not known yet."""
    known = await _known(session)
    new = {(r.kind, r.id) for r in recipients if r.kind != "room"} - known.asked
    accounts = {id for kind, id in new if kind == "account"}
    contacts = {id for kind, id in new if kind == "contact"}
    devices = {id for kind, id in new if kind == "device"}
    if accounts or contacts:
        for point in await ways.points_of(session, accounts=accounts, contacts=contacts):
            holder = point.account_id or point.contact_id
            assert holder is not None
            known.points.setdefault(holder, []).append(point)
    if accounts or devices:
        for found in await ways.subscriptions_of(session, accounts=accounts, devices=devices):
            holder = found.account_id or found.device_id
            assert holder is not None
            known.subscriptions.setdefault(holder, []).append(found)
    known.asked |= new
    return known


async def _known(session: AsyncSession) -> Known:
    known: Known | None = session.info.get(_KNOWN)
    if known is None:
        known = session.info[_KNOWN] = Known(await ways.active_gateways(session))
    return known
