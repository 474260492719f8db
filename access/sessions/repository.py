"""Every query on sessions."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Executable, delete, select, update
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


async def end(
    session: AsyncSession,
    session_id: UUID,
    at: datetime,
    reason: str,
    account_id: UUID | None = None,
) -> bool:
    """End this session (of this account) if it has not ended; say whether it did so."""
    query = update(Session).where(Session.id == session_id, Session.ended_at.is_(None))
    if account_id is not None:
        query = query.where(Session.account_id == account_id)
    return await _changed(session, query.values(ended_at=at, end_reason=reason)) > 0


async def end_all(
    session: AsyncSession, account_id: UUID, at: datetime, reason: str, but: UUID | None
) -> int:
    """End every session of this account, `but` one, that has not ended; return how many."""
    query = update(Session).where(
        Session.account_id == account_id, Session.ended_at.is_(None), Session.expires_at > at
    )
    if but is not None:
        query = query.where(Session.id != but)
    return await _changed(session, query.values(ended_at=at, end_reason=reason))


async def of_account(
    session: AsyncSession, account_id: UUID, now: datetime, seen_after: datetime
) -> list[Session]:
    """Return the sessions of this account that go on, the one used last first."""
    query = (
        select(Session)
        .where(
            Session.account_id == account_id,
            Session.ended_at.is_(None),
            Session.expires_at > now,
            Session.last_seen_at > seen_after,
        )
        .order_by(Session.last_seen_at.desc(), Session.id.desc())
        .limit(200)
    )
    return list(await session.scalars(query))


async def has_address(session: AsyncSession, account_id: UUID, address: str) -> bool:
    """Say whether this account ever had a session from this address."""
    query = select(Session.id).where(Session.account_id == account_id, Session.address == address)
    return await session.scalar(query.limit(1)) is not None


async def delete_older(session: AsyncSession, before: datetime) -> None:
    """Delete the sessions that ran out before `before`."""
    await session.execute(delete(Session).where(Session.expires_at < before))


async def _changed(session: AsyncSession, statement: Executable) -> int:
    result = cast("CursorResult[Any]", await session.execute(statement))
    return result.rowcount


async def _one(
    session: AsyncSession, condition: ColumnElement[bool]
) -> tuple[Session, Account] | None:
    query = select(Session, Account).join(Account, Account.id == Session.account_id)
    row = (await session.execute(query.where(condition))).one_or_none()
    return None if row is None else (row[0], row[1])
