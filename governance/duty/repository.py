"""Every query of rotas, overrides and hand-overs, and of who holds a post."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import and_, bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account, AccountRole
from access.policy.areas import in_areas
from governance.duty.models import HandOver, Rota, RotaOverride, RotaSlot

HANDED_OVER_FOR = timedelta(hours=48)
"""How long a hand-over that is done can matter: no slot is longer than a day."""


# Made once: every ring asks them.
_HOLDERS = (
    select(Account, AccountRole.role, AccountRole.area)
    .join(AccountRole, AccountRole.account_id == Account.id)
    .where(
        Account.active.is_(True),
        AccountRole.area.in_(bindparam("paths", expanding=True)),
        AccountRole.role.in_(bindparam("posts", expanding=True)),
    )
    .order_by(Account.display_name, Account.id)
)
_ROTAS_AT = (
    select(Rota)
    .where(Rota.closed_at.is_(None), Rota.area.in_(bindparam("paths", expanding=True)))
    .order_by(Rota.created_at, Rota.id)
)


async def rota_by_id(session: AsyncSession, rota_id: UUID) -> Rota | None:
    """Return a rota that is not closed."""
    return await session.scalar(select(Rota).where(Rota.id == rota_id, Rota.closed_at.is_(None)))


async def rota_locked(session: AsyncSession, rota_id: UUID) -> Rota | None:
    """Return a rota that is not closed, locked until the transaction ends."""
    query = (
        select(Rota)
        .where(Rota.id == rota_id, Rota.closed_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return await session.scalar(query)


async def rotas(session: AsyncSession, areas: Sequence[str]) -> list[Rota]:
    """Return the rotas of `areas` that are not closed, by area, post and name."""
    query = (
        select(Rota)
        .where(Rota.closed_at.is_(None), in_areas(Rota.area, areas))
        .order_by(Rota.area, Rota.post, Rota.name, Rota.id)
    )
    return list(await session.scalars(query))


async def rotas_at(session: AsyncSession, paths: Collection[str]) -> list[Rota]:
    """Return the rotas, not closed, of exactly these areas."""
    return list(await session.scalars(_ROTAS_AT, {"paths": [*paths]}))


async def slots(session: AsyncSession, rota_ids: Collection[UUID]) -> list[RotaSlot]:
    """Return the slots of these rotas, in the order of the week."""
    if not rota_ids:
        return []
    query = select(RotaSlot).where(RotaSlot.rota_id.in_(rota_ids))
    return list(
        await session.scalars(query.order_by(RotaSlot.weekday, RotaSlot.starts, RotaSlot.id))
    )


async def overrides(
    session: AsyncSession, rota_ids: Collection[UUID], since: datetime
) -> list[RotaOverride]:
    """Return the overrides of these rotas that end after `since`, by their beginning."""
    if not rota_ids:
        return []
    query = select(RotaOverride).where(
        RotaOverride.rota_id.in_(rota_ids), RotaOverride.until_at > since
    )
    return list(await session.scalars(query.order_by(RotaOverride.from_at, RotaOverride.id)))


async def override_by_id(
    session: AsyncSession, rota_id: UUID, override_id: UUID
) -> RotaOverride | None:
    """Return an override of this rota."""
    query = select(RotaOverride).where(
        RotaOverride.rota_id == rota_id, RotaOverride.id == override_id
    )
    return await session.scalar(query)


async def hand_overs(
    session: AsyncSession, rota_ids: Collection[UUID], at: datetime
) -> list[HandOver]:
    """Return the hand-overs of these rotas that are open, or were offered shortly before `at`."""
    if not rota_ids:
        return []
    unconfirmed = or_(HandOver.given_at.is_(None), HandOver.taken_at.is_(None))
    query = select(HandOver).where(
        HandOver.rota_id.in_(rota_ids),
        HandOver.refused_at.is_(None),
        or_(
            unconfirmed,
            HandOver.given_at > at - HANDED_OVER_FOR,
            HandOver.taken_at > at - HANDED_OVER_FOR,
        ),
    )
    return list(await session.scalars(query.order_by(HandOver.offered_at, HandOver.id)))


async def latest_hand_overs(session: AsyncSession, rota_id: UUID, limit: int) -> list[HandOver]:
    """Return the newest hand-overs of a rota, newest first."""
    query = select(HandOver).where(HandOver.rota_id == rota_id)
    return list(
        await session.scalars(query.order_by(HandOver.offered_at.desc(), HandOver.id).limit(limit))
    )


async def open_hand_over(session: AsyncSession, rota_id: UUID, from_id: UUID) -> HandOver | None:
    """Return the hand-over by which `from_id` is handing this rota over now."""
    query = select(HandOver).where(
        HandOver.rota_id == rota_id,
        HandOver.from_id == from_id,
        HandOver.refused_at.is_(None),
        or_(HandOver.given_at.is_(None), HandOver.taken_at.is_(None)),
    )
    return await session.scalar(query.limit(1))


async def hand_over_by_id(session: AsyncSession, hand_over_id: UUID) -> HandOver | None:
    """Return a hand-over."""
    return await session.get(HandOver, hand_over_id)


async def hand_over_locked(session: AsyncSession, hand_over_id: UUID) -> HandOver | None:
    """Return a hand-over, locked until the transaction ends."""
    query = (
        select(HandOver)
        .where(HandOver.id == hand_over_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return await session.scalar(query)


async def replace_slots(session: AsyncSession, rota_id: UUID, rows: Sequence[RotaSlot]) -> None:
    """Put `rows` in the place of all slots of the rota."""
    await session.execute(delete(RotaSlot).where(RotaSlot.rota_id == rota_id))
    session.add_all(rows)
    await session.flush()


async def holders(
    session: AsyncSession, paths: Collection[str], roles: Collection[str]
) -> list[tuple[Account, str, str]]:
    """Return (account, role, area) of active accounts that hold one of `roles` in exactly `paths`.

    By display name.
    """
    found = await session.execute(_HOLDERS, {"paths": [*paths], "posts": [*roles]})
    return [(account, role, area) for account, role, area in found]


async def accounts(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Account]:
    """Return these accounts, also those that are switched off."""
    if not ids:
        return {}
    found = await session.scalars(select(Account).where(Account.id.in_(ids)))
    return {account.id: account for account in found}


async def holds_post(
    session: AsyncSession, ids: Collection[UUID], role: str, paths: Collection[str]
) -> set[UUID]:
    """Return those of these accounts that are active and hold `role` in one of exactly `paths`."""
    if not ids:
        return set()
    query = (
        select(Account.id)
        .join(AccountRole, AccountRole.account_id == Account.id)
        .where(
            and_(
                Account.id.in_(ids),
                Account.active.is_(True),
                AccountRole.role == role,
                AccountRole.area.in_(paths),
            )
        )
    )
    return set(await session.scalars(query))
