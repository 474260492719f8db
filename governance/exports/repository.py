"""Every query of exports."""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, false, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from access.accounts.models import Account
from access.accounts.schemas import AccountBrief
from access.ledger.models import LedgerEntry
from access.policy.areas import in_areas
from governance.exports.models import ExportRequest
from governance.signals.models import Signal

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BUILDER_LOCK = 0x6368_6578  # any number that nothing else in this database locks


async def become_builder(connection: AsyncConnection) -> bool:
    """Say whether nobody else builds; then none can until `connection` is closed (PostgreSQL)."""
    query = text("SELECT pg_try_advisory_lock(:key)")
    found: bool = (await connection.execute(query, {"key": _BUILDER_LOCK})).scalar_one()
    await connection.commit()
    return found


async def next_ordinal(session: AsyncSession, year: int) -> int:
    """Return the next number of `year`; the caller holds `outbox.serialise`."""
    query = select(func.max(ExportRequest.ordinal)).where(ExportRequest.year == year)
    return (await session.scalar(query) or 0) + 1


async def add(session: AsyncSession, row: ExportRequest) -> None:
    """Write a new export."""
    session.add(row)
    await session.flush()


async def by_id(session: AsyncSession, export_id: UUID) -> ExportRequest | None:
    """Return an export."""
    return await session.get(ExportRequest, export_id)


async def by_id_locked(session: AsyncSession, export_id: UUID) -> ExportRequest | None:
    """Return an export as it is committed now, locked until the transaction ends."""
    query = select(ExportRequest).where(ExportRequest.id == export_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def page(
    session: AsyncSession,
    *,
    areas: Sequence[str],
    households: Collection[UUID],
    account_id: UUID | None,
    before: UUID | None,
    limit: int,
) -> Sequence[ExportRequest]:
    """Return exports of `areas`, of `households` and of the account itself, newest first."""
    own = ExportRequest.requested_by == account_id if account_id is not None else false()
    query = select(ExportRequest).where(
        or_(
            in_areas(ExportRequest.area, areas),
            ExportRequest.household_id.in_(households) if households else false(),
            own,
        )
    )
    if before is not None:
        query = query.where(ExportRequest.id < before)
    return (await session.scalars(query.order_by(ExportRequest.id.desc()).limit(limit))).all()


def _unprepared() -> ColumnElement[bool]:
    """Return what is true of exports that somebody is to look at before there is anything."""
    return and_(
        ExportRequest.state == "requested",
        ExportRequest.sha256.is_(None),
        or_(ExportRequest.rendition == "blurred", ExportRequest.audience != "authority"),
    )


# What two people have agreed on comes before what one of them has asked for.
_IN_TURN = (case((ExportRequest.state == "requested", 1), else_=0), ExportRequest.id)


async def to_build(session: AsyncSession, stale: datetime, again: datetime) -> UUID | None:
    """Return an export that is to be built, or prepared to be looked at.

    Args:
        session: for reading.
        stale: a builder that has said nothing since was killed.
        again: one that could not be prepared is tried again when that was before.
    """
    claimed = ExportRequest.claimed_at
    query = (
        select(ExportRequest.id)
        .where(
            or_(
                ExportRequest.state == "approved",
                and_(ExportRequest.state == "building", claimed <= stale),
                and_(
                    _unprepared(),
                    or_(
                        claimed.is_(None),
                        claimed <= stale,
                        and_(ExportRequest.failure != "", claimed <= again),
                    ),
                ),
            )
        )
        .order_by(*_IN_TURN)
        .limit(1)
    )
    return await session.scalar(query)


async def in_turn(session: AsyncSession) -> Sequence[UUID]:
    """Return all exports that are built, prepared, or wait for that, in their turn."""
    query = select(ExportRequest.id).where(
        or_(ExportRequest.state.in_(("approved", "building")), _unprepared())
    )
    return (await session.scalars(query.order_by(*_IN_TURN))).all()


async def previews_of(
    session: AsyncSession, ids: Collection[UUID], account_id: UUID | None
) -> dict[UUID, tuple[datetime, str]]:
    """Return which of `ids` an account has looked at: when last, and at what (SHA-256)."""
    query = (
        select(LedgerEntry.subject, LedgerEntry.at, LedgerEntry.body)
        .where(
            LedgerEntry.subject.in_([str(one) for one in ids]),
            LedgerEntry.kind == "export.previewed",
            LedgerEntry.actor_id == str(account_id),
        )
        .order_by(LedgerEntry.seq)
    )
    return {
        UUID(row.subject): (
            _EPOCH + timedelta(microseconds=row.at),
            str(json.loads(row.body)["sha256"]),
        )
        for row in await session.execute(query)
    }


async def expired(
    session: AsyncSession, now: datetime, undecided_since: datetime, limit: int
) -> Sequence[UUID]:
    """Return the ids of exports whose time is over, or that nobody decided on since then."""
    over = and_(ExportRequest.state == "ready", ExportRequest.expires_at <= now)
    left = and_(ExportRequest.state == "requested", ExportRequest.requested_at <= undecided_since)
    query = select(ExportRequest.id).where(or_(over, left)).limit(limit)
    return (await session.scalars(query)).all()


async def undecided(session: AsyncSession, account_id: UUID) -> int:
    """Return how many exports that this account asked for wait for a second person."""
    query = select(func.count()).where(
        ExportRequest.requested_by == account_id, ExportRequest.state == "requested"
    )
    return (await session.scalar(query)) or 0


async def without_file(session: AsyncSession, ids: Collection[UUID]) -> Sequence[UUID]:
    """Return those of `ids` that must have no file any more."""
    over = ExportRequest.state.in_(("refused", "withdrawn", "expired", "failed"))
    query = select(ExportRequest.id).where(ExportRequest.id.in_(ids), over)
    return (await session.scalars(query)).all()


async def decided_and_built(session: AsyncSession, ids: Collection[UUID]) -> Sequence[UUID]:
    """Return those of `ids` that what was prepared for the second person is needed for no more."""
    needed = ExportRequest.state.in_(("requested", "approved", "building"))
    query = select(ExportRequest.id).where(ExportRequest.id.in_(ids), ~needed)
    return (await session.scalars(query)).all()


async def people(session: AsyncSession, rows: Sequence[ExportRequest]) -> dict[UUID, AccountBrief]:
    """Return who asked and who decided."""
    ids = {row.requested_by for row in rows} | {row.decided_by for row in rows if row.decided_by}
    query = select(Account.id, Account.username, Account.display_name).where(Account.id.in_(ids))
    return {
        row.id: AccountBrief(id=row.id, username=row.username, display_name=row.display_name)
        for row in await session.execute(query)
    }


async def custody(session: AsyncSession, export_id: UUID) -> list[dict[str, str | int]]:
    """Return what the ledger has of an export so far: who did what, when; and their hashes."""
    query = (
        select(LedgerEntry).where(LedgerEntry.subject == str(export_id)).order_by(LedgerEntry.seq)
    )
    return [
        {
            "seq": entry.seq,
            "at": (_EPOCH + timedelta(microseconds=entry.at)).isoformat(),
            "kind": entry.kind,
            "account_id": entry.actor_id,
            "hash": entry.hash.hex(),
        }
        for entry in await session.scalars(query)
    ]


async def occurred(session: AsyncSession, signal_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """Return when the signals happened that the pictures came with."""
    query = select(Signal.id, Signal.occurred_at).where(Signal.id.in_(signal_ids))
    return {row.id: row.occurred_at for row in await session.execute(query)}
