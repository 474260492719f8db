"""Every query on service tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.policy.areas import in_areas
from access.tokens.models import ServiceToken
from core.database import Base


class TokenRow(NamedTuple):
    """What is asked of a token that somebody shows at the door; see `ServiceToken`."""

    id: UUID
    name: str
    token_hash: str
    scopes: list[str]
    area: str
    household_id: UUID | None
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


_TABLE = Base.metadata.tables[ServiceToken.__tablename__]
# Made once, and without the ORM: every request of a program asks it.
_BY_HASHES = select(*(_TABLE.c[name] for name in TokenRow._fields)).where(
    _TABLE.c.token_hash.in_(bindparam("hashes", expanding=True))
)


async def add(session: AsyncSession, row: ServiceToken) -> None:
    """Write a new token."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, token_id: UUID) -> ServiceToken | None:
    """Return the token with this id, revoked or not."""
    return await session.get(ServiceToken, token_id)


async def by_hashes(session: AsyncSession, hashes: Collection[str]) -> Sequence[TokenRow]:
    """Return the tokens with these hashes, revoked or not."""
    rows = await (await session.connection()).execute(_BY_HASHES, {"hashes": [*hashes]})
    return [TokenRow(*row) for row in rows]


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
