"""Writing to the outbox, and waking those who read it once the writer has committed.

On PostgreSQL a sequence gives out numbers in the order of the inserts, but transactions
become visible in the order of their commits: a reader that has seen 6 would never look for a
5 that is committed later. So whoever writes here holds one advisory lock from before its
first insert until its commit. SQLite has a single writer anyway.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from access.ledger.service import LOCKED as LEDGER_LOCKED
from core.database import Database, insert_rows
from governance.outbox import repository
from governance.outbox.models import OutboxEvent

_LOCKED = "outbox_locked"
_WAKES = "outbox_wakes"

_wakers: WeakKeyDictionary[Engine, WeakSet[asyncio.Event]] = WeakKeyDictionary()


def waker(database: Database) -> asyncio.Event:
    """Return an event that is set after each commit of this process that wrote to the outbox."""
    woken = asyncio.Event()
    _wakers.setdefault(database.engine.sync_engine, WeakSet()).add(woken)
    return woken


async def serialise(session: AsyncSession) -> None:
    """Make this transaction the only one that writes incidents and outbox until it ends.

    To be called before the first row is locked: a transaction that held an incident while it
    waited here could wait for ever for one that waits for the incident.
    """
    if session.info.get(_LOCKED):
        return
    if session.info.get(LEDGER_LOCKED):
        # Another may hold this lock and wait for the ledger's: better found in a test.
        raise RuntimeError(
            "a transaction that writes both takes outbox.serialise before the ledger"
        )
    if session.get_bind().dialect.name == "postgresql":
        await repository.lock_commit_order(session)
    session.info[_LOCKED] = True


async def append(
    session: AsyncSession,
    *,
    type: str,  # the word of the wire
    area: str,
    payload: Mapping[str, Any],
    at: datetime,
    incident_id: UUID | None = None,
    camera_id: UUID | None = None,
) -> None:
    """Add an event to what the world must be told once this transaction is committed.

    Args:
        session: the session of the change itself.
        type: `incident.opened`, `incident.updated`, `incident.escalated`, `camera.state` or
            `camera.changed`.
        area: who may hear of it is decided by this path; "" is the whole site.
        payload: the `data` of the SSE event, of JSON values.
        at: now, in UTC.
        incident_id: the incident it is about.
        camera_id: the camera it is about.
    """
    await serialise(session)
    session.add(
        OutboxEvent(
            type=type,
            area=area,
            incident_id=incident_id,
            camera_id=camera_id,
            payload=dict(payload),
            created_at=at,
        )
    )
    _wake_after_commit(session)


async def append_all(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add many events at once, in this order, given by all their columns but `seq`."""
    if not rows:
        return
    await serialise(session)
    await insert_rows(session, OutboxEvent, rows)
    _wake_after_commit(session)


def _wake_after_commit(session: AsyncSession) -> None:
    if not session.info.get(_WAKES):
        session.info[_WAKES] = True
        event.listen(session.sync_session, "after_commit", _wake_readers, once=True)


def _wake_readers(session: Session) -> None:
    bind = session.get_bind()
    engine = bind if isinstance(bind, Engine) else bind.engine
    for woken in _wakers.get(engine, ()):
        woken.set()
