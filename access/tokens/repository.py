"""Every query on service tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import in_areas
from access.tokens.models import ServiceToken


async def add(session: AsyncSession, row: ServiceToken) -> None:
    """Write a new token."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, token_id: UUID) -> ServiceToken | None:
    """Return the token with this id, revoked or not."""
    return await session.get(ServiceToken, token_id)


async def by_hashes(session: AsyncSession, hashes: Collection[str]) -> Sequence[ServiceToken]:
    """Return the tokens with these hashes, revoked or not."""
    query = select(ServiceToken).where(ServiceToken.token_hash.in_(hashes))
    return (await session.scalars(query)).all()


async def page(
    session: AsyncSession, *, areas: Sequence[str], before: UUID | None, limit: int
) -> list[ServiceToken]:
    """Return at most `limit` tokens of `areas` that are not revoked, newest first."""
    query = (
        select(ServiceToken)
        .where(ServiceToken.revoked_at.is_(None), in_areas(ServiceToken.area, areas))
        .order_by(ServiceToken.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(ServiceToken.id < before)
    return list(await session.scalars(query))


async def touch(session: AsyncSession, token_ids: Collection[UUID], at: datetime) -> None:
    """Write when the tokens were last used."""
    await session.execute(
        update(ServiceToken).where(ServiceToken.id.in_(token_ids)).values(last_used_at=at)
    )


async def revoke_named(session: AsyncSession, name: str, at: datetime) -> None:
    """Revoke every token of that name that no account made."""
    await session.execute(
        update(ServiceToken)
        .where(
            ServiceToken.name == name,
            ServiceToken.created_by.is_(None),
            ServiceToken.revoked_at.is_(None),
        )
        .values(revoked_at=at)
    )
