"""Every query of the ways to people: contact points, push subscriptions, gateways."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.policy.areas import covers, in_areas
from governance.alarms.models import AlarmDevice
from governance.deliveries.models import ContactPoint, Gateway, GatewayCallback, PushSubscription

# Made once: every ring asks them. `held` names who holds, and the parameter with their ids.


@cache
def _points(*held: str) -> Select[ContactPoint]:
    columns: dict[str, ColumnElement[bool]] = {
        "accounts": ContactPoint.account_id.in_(bindparam("accounts", expanding=True))
        & ContactPoint.verified_at.is_not(None),
        "contacts": ContactPoint.contact_id.in_(bindparam("contacts", expanding=True)),
    }
    found = or_(*(columns[name] for name in held))
    return select(ContactPoint).where(found).order_by(ContactPoint.id)


@cache
def _subscriptions(*held: str) -> Select[PushSubscription]:
    columns = {
        "accounts": PushSubscription.account_id.in_(bindparam("accounts", expanding=True)),
        "devices": PushSubscription.device_id.in_(bindparam("devices", expanding=True)),
    }
    found = or_(*(columns[name] for name in held))
    return select(PushSubscription).where(found).order_by(PushSubscription.id)


_ACTIVE = (
    select(Gateway)
    .where(Gateway.removed_at.is_(None), Gateway.active)
    .order_by(Gateway.name, Gateway.id)
)


async def points_of(
    session: AsyncSession, *, accounts: Collection[UUID] = (), contacts: Collection[UUID] = ()
) -> Sequence[ContactPoint]:
    """Return the points that may be used: verified ones of accounts, and those of contacts."""
    values = {"accounts": [*accounts], "contacts": [*contacts]}
    held = {name: ids for name, ids in values.items() if ids}
    return (await session.scalars(_points(*held), held)).all() if held else []


async def point(session: AsyncSession, point_id: UUID) -> ContactPoint | None:
    """Return one contact point."""
    return await session.get(ContactPoint, point_id, populate_existing=True)


async def own_points(session: AsyncSession, account_id: UUID) -> Sequence[ContactPoint]:
    """Return every contact point of an account, verified or not."""
    query = (
        select(ContactPoint).where(ContactPoint.account_id == account_id).order_by(ContactPoint.id)
    )
    return (await session.scalars(query)).all()


async def points_of_contacts(
    session: AsyncSession, contact_ids: Collection[UUID]
) -> Sequence[ContactPoint]:
    """Return the contact points of these household contacts."""
    query = select(ContactPoint).where(ContactPoint.contact_id.in_(contact_ids))
    return (await session.scalars(query.order_by(ContactPoint.id))).all()


async def subscriptions_of(
    session: AsyncSession, *, accounts: Collection[UUID] = (), devices: Collection[UUID] = ()
) -> Sequence[PushSubscription]:
    """Return the push subscriptions of these accounts and alarm devices."""
    values = {"accounts": [*accounts], "devices": [*devices]}
    held = {name: ids for name, ids in values.items() if ids}
    return (await session.scalars(_subscriptions(*held), held)).all() if held else []


async def listening_devices(
    session: AsyncSession, household_id: UUID
) -> Sequence[tuple[UUID, str, str]]:
    """Return (id, name, locale) of the household's alarm devices that can be pushed to.

    A device speaks the language of whoever let it in, else Chinese.
    """
    listening = select(PushSubscription.device_id).where(PushSubscription.device_id.is_not(None))
    query = (
        select(AlarmDevice.id, AlarmDevice.name, Account.locale)
        .outerjoin(Account, Account.id == AlarmDevice.created_by)
        .where(
            AlarmDevice.household_id == household_id,
            AlarmDevice.removed_at.is_(None),
            AlarmDevice.id.in_(listening),
        )
        .order_by(AlarmDevice.id)
    )
    return [(id, name, locale or "zh-CN") for id, name, locale in await session.execute(query)]


async def subscription(session: AsyncSession, subscription_id: UUID) -> PushSubscription | None:
    """Return one push subscription."""
    return await session.get(PushSubscription, subscription_id, populate_existing=True)


async def subscription_by_hash(
    session: AsyncSession, endpoint_hash: str
) -> PushSubscription | None:
    """Return the subscription of an endpoint."""
    query = select(PushSubscription).where(PushSubscription.endpoint_hash == endpoint_hash)
    return (await session.scalars(query)).one_or_none()


async def gateway(session: AsyncSession, gateway_id: UUID) -> Gateway | None:
    """Return a gateway, a removed one too."""
    return await session.get(Gateway, gateway_id, populate_existing=True)


async def gateways(
    session: AsyncSession, areas: Sequence[str] = ("",), channels: Collection[str] = ()
) -> Sequence[Gateway]:
    """Return the gateways that lie in `areas` (and of `channels`, if named), by name."""
    query = select(Gateway).where(Gateway.removed_at.is_(None), in_areas(Gateway.area, areas))
    if channels:
        query = query.where(Gateway.channel.in_(channels))
    return (await session.scalars(query.order_by(Gateway.name))).all()


async def gateway_by_name(session: AsyncSession, name: str) -> Gateway | None:
    """Return the gateway with this name."""
    query = select(Gateway).where(Gateway.removed_at.is_(None), Gateway.name == name)
    return (await session.scalars(query)).one_or_none()


async def active_gateways(session: AsyncSession) -> Sequence[Gateway]:
    """Return every gateway that is in use."""
    return (await session.scalars(_ACTIVE)).all()


def for_channel(found: Iterable[Gateway], channel: str, area: str | None) -> list[Gateway]:
    """Return the gateways that carry `channel` in `area`: the nearest first, then by name.

    Without an area (a code, a request for consent) all of them, the widest first. A robot of a
    chat room is none: it leads to that room only.
    """
    fitting = [
        gateway
        for gateway in found
        if gateway.channel == channel
        and not gateway.room
        and (area is None or covers(gateway.area, area))
    ]
    sign = 1 if area is None else -1
    return sorted(fitting, key=lambda gateway: (sign * len(gateway.area), gateway.name))


async def add_callback(
    session: AsyncSession, gateway_id: UUID, message_id: str, at: datetime
) -> bool:
    """Remember an accepted callback; False if it was there before."""
    insert = (
        postgresql.insert(GatewayCallback)
        if session.get_bind().dialect.name == "postgresql"
        else sqlite.insert(GatewayCallback)
    )
    query = (
        insert.values(gateway_id=gateway_id, message_id=message_id, at=at)
        .on_conflict_do_nothing(index_elements=["gateway_id", "message_id"])
        .returning(GatewayCallback.message_id)
    )
    return await session.scalar(query) is not None
