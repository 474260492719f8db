"""Every query on sessions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from access.accounts.models import Account
from access.sessions.models import Session


async def add(session: AsyncSession, row: Session) -> None:
    """Write a new session."""
    session.add(row)
    await session.flush()


async def by_token_hash(session: AsyncSession, token_hash: str) -> tuple[Session, Account] | None:
    """Return the session whose token has this hash, with its account."""
    return await _one(session, Session.token_hash == token_hash)


async def by_id(session: AsyncSession, session_id: UUID) -> tuple[Session, Account] | None:
    """Return the session with this id, with its account."""
    return await _one(session, Session.id == session_id)


async def touch(session: AsyncSession, session_id: UUID, at: datetime) -> None:
    """Write when the session was last used; never moves backwards."""
    await session.execute(
        update(Session)
        .where(Session.id == session_id, Session.last_seen_at < at)
        .values(last_seen_at=at)
    )


async def end(session: AsyncSession, session_id: UUID, at: datetime, reason: str) -> None:
    """End this session if it has not ended."""
    await session.execute(
        update(Session)
        .where(Session.id == session_id, Session.ended_at.is_(None))
        .values(ended_at=at, end_reason=reason)
    )


async def end_all(session: AsyncSession, account_id: UUID, at: datetime, reason: str) -> None:
    """End every session of this account that has not ended."""
    await session.execute(
        update(Session)
        .where(Session.account_id == account_id, Session.ended_at.is_(None))
        .values(ended_at=at, end_reason=reason)
    )


async def delete_older(session: AsyncSession, before: datetime) -> None:
    """Delete the sessions that ran out before `before`."""
    await session.execute(delete(Session).where(Session.expires_at < before))


async def _one(
    session: AsyncSession, condition: ColumnElement[bool]
) -> tuple[Session, Account] | None:
    query = select(Session, Account).join(Account, Account.id == Session.account_id)
    row = (await session.execute(query.where(condition))).one_or_none()
    return None if row is None else (row[0], row[1])
