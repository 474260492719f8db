"""Every query on accounts."""

from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account, AccountRole


async def by_id(session: AsyncSession, account_id: UUID) -> Account | None:
    """Return the account with that id."""
    return await session.get(Account, account_id)


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


async def page(session: AsyncSession, *, after: str | None, limit: int) -> list[Account]:
    """Return at most `limit` accounts by username, following the username `after`."""
    query = select(Account).order_by(Account.username).limit(limit)
    if after is not None:
        query = query.where(Account.username > after)
    return list(await session.scalars(query))


async def any_active_with_role(session: AsyncSession, role: str, area: str, but: UUID) -> bool:
    """Say whether an active account other than `but` holds `role` in exactly `area`."""
    return bool(
        await session.scalar(
            select(
                exists().where(
                    AccountRole.role == role,
                    AccountRole.area == area,
                    AccountRole.account_id == Account.id,
                    Account.active.is_(True),
                    Account.id != but,
                )
            )
        )
    )
