"""Every query on accounts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account, AccountRole
from access.policy.areas import in_areas
from access.policy.types import Role


async def by_id(session: AsyncSession, account_id: UUID) -> Account | None:
    """Return the account with that id."""
    return await session.get(Account, account_id)


async def locked(session: AsyncSession, account_id: UUID) -> Account | None:
    """Return the account as it is now, with its roles, locked until the transaction ends.

    The administrators of the whole site are locked with it, all in one order: two changes at once
    follow each other and cannot wait for one another (PostgreSQL; SQLite has one writer).
    """
    administrators = select(AccountRole.account_id).where(
        AccountRole.role == Role.ADMINISTRATOR.value, AccountRole.area == ""
    )
    query = (
        select(Account)
        .where(or_(Account.id == account_id, Account.id.in_(administrators)))
        .order_by(Account.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return next((row for row in await session.scalars(query) if row.id == account_id), None)


async def by_username(session: AsyncSession, username: str) -> Account | None:
    """Return the account with that normalised username."""
    return await session.scalar(select(Account).where(Account.username == username))


async def add(session: AsyncSession, account: Account) -> None:
    """Write a new account."""
    session.add(account)
    await session.flush()


async def flush(session: AsyncSession) -> None:
    """Write what was changed on loaded accounts."""
    await session.flush()


async def page(
    session: AsyncSession, *, areas: Sequence[str], after: str | None, limit: int
) -> list[Account]:
    """Return at most `limit` accounts by username, following the username `after`.

    Only those that hold a role, and every role, in `areas`; for the whole site, all.
    """
    query = select(Account).order_by(Account.username).limit(limit)
    if "" not in areas:
        outside = AccountRole.account_id == Account.id, ~in_areas(AccountRole.area, areas)
        query = query.where(
            exists().where(AccountRole.account_id == Account.id),
            ~exists().where(*outside),
        )
    if after is not None:
        query = query.where(Account.username > after)
    return list(await session.scalars(query))


async def other_active_holders(
    session: AsyncSession, role: str, area: str, but: UUID
) -> list[UUID]:
    """Return the active accounts other than `but` that hold `role` in exactly `area`.

    All holders stay locked until the transaction ends, so that two of them cannot take the role
    from each other at once (PostgreSQL; SQLite has one writer anyway).
    """
    query = (
        select(Account.id, Account.active)
        .join(AccountRole, AccountRole.account_id == Account.id)
        .where(AccountRole.role == role, AccountRole.area == area)
        .order_by(Account.id)
        .with_for_update(key_share=True)
    )
    rows = (await session.execute(query)).all()
    return [account_id for account_id, active in rows if active and account_id != but]
