"""Waking the loop that sends, once the transaction that queued is committed."""

import asyncio
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from core.database import Database

_WAKES = "deliveries_wake"

_wakers: WeakKeyDictionary[Engine, WeakSet[asyncio.Event]] = WeakKeyDictionary()


def waker(database: Database) -> asyncio.Event:
    """Return an event that is set after each commit of this process that queued deliveries."""
    woken = asyncio.Event()
    _wakers.setdefault(database.engine.sync_engine, WeakSet()).add(woken)
    return woken


def wake_after_commit(session: AsyncSession) -> None:
    """Wake this process's loop when the transaction of `session` is committed."""
    if session.info.get(_WAKES):
        return
    session.info[_WAKES] = True
    event.listen(session.sync_session, "after_commit", _wake, once=True)


def _wake(session: Session) -> None:
    bind = session.get_bind()
    engine = bind if isinstance(bind, Engine) else bind.engine
    for woken in _wakers.get(engine, ()):
        woken.set()
