"""Who turns which camera until when, for all processes of a site: one row for each that moves.

A row keeps two people from turning one camera, whichever processes they speak to, and says who
sees to the stop. Times are the wall clock's; one that lies far ahead is of a clock that was set
back, and counts as over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices.models import PtzLease
from core.clock import Clock
from core.database import Database
from core.errors import ConflictError
from core.ids import new_id

STOPPING_S = 30.0
"""So long a process may take for one attempt to stop a camera."""
ABANDONED_AFTER_S = 3.0
_LONGEST = timedelta(seconds=2 * STOPPING_S)


class PtzRows:
    """The rows, as one process sees them. Each call is a transaction of its own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.holder = new_id()

    async def take(self, camera_id: UUID, who: str, lasts_s: float) -> None:
        """Let `who` turn the camera from now on, and this process see to its stop.

        Raises:
            ConflictError: code `ptz-taken`: somebody else turns it now.
        """
        now = self._clock.now()
        values = {
            "holder": self.holder,
            "who": who,
            "until": now + timedelta(seconds=lasts_s),
        }
        insert = sqlite.insert if self._database.is_sqlite else postgresql.insert
        query = (
            insert(PtzLease)
            .values(camera_id=camera_id, **values)
            .on_conflict_do_update(
                index_elements=["camera_id"],
                set_=values,
                where=or_(PtzLease.who.in_(["", who]), ~_live(now)),
            )
            .returning(PtzLease.camera_id)
        )
        async with self._database.transaction(short=True) as session:
            taken = (await session.execute(query)).first() is not None
        if not taken:
            raise taken_by_another()

    async def check(self, camera_id: UUID, who: str) -> None:
        """Refuse what would turn the camera while somebody else does.

        Raises:
            ConflictError: code `ptz-taken`.
        """
        async with self._database.read(short=True) as session:
            row = await _row(session, camera_id, self._clock.now())
        if row is not None and row.who not in ("", who):
            raise taken_by_another()

    async def live(self, camera_id: UUID) -> bool:
        """Say whether anybody turns the camera now, or sees to its stop."""
        async with self._database.read(short=True) as session:
            return await _row(session, camera_id, self._clock.now()) is not None

    async def of_another(self, camera_id: UUID) -> bool:
        """Say whether another process sees to the camera now."""
        async with self._database.read(short=True) as session:
            row = await _row(session, camera_id, self._clock.now())
        return row is not None and row.holder != self.holder

    async def stopping(self, camera_id: UUID) -> None:
        """Say that this process is about to stop the camera; whoever wants may turn it then."""
        until = self._clock.now() + timedelta(seconds=STOPPING_S)
        query = update(PtzLease).where(self._own(camera_id)).values(who="", until=until)
        async with self._database.transaction(short=True) as session:
            await session.execute(query)

    async def drop(self, camera_id: UUID) -> None:
        """Forget that this process sees to the camera; another's row stays."""
        async with self._database.transaction(short=True) as session:
            await session.execute(delete(PtzLease).where(self._own(camera_id)))

    async def adopt(self) -> list[UUID]:
        """Take over what processes have left that died; return the cameras to be stopped."""
        now = self._clock.now()
        over = now - timedelta(seconds=ABANDONED_AFTER_S)
        left = or_(PtzLease.until < over, PtzLease.until > now + _LONGEST)
        abandoned = and_(PtzLease.holder != self.holder, left)
        async with self._database.read(short=True) as session:
            if (await session.execute(select(PtzLease.camera_id).where(abandoned))).first() is None:
                return []
        until = now + timedelta(seconds=STOPPING_S)
        query = update(PtzLease).where(abandoned).returning(PtzLease.camera_id)
        async with self._database.transaction(short=True) as session:
            found = await session.scalars(query.values(holder=self.holder, who="", until=until))
            return list(found)

    def _own(self, camera_id: UUID) -> ColumnElement[bool]:
        return and_(PtzLease.camera_id == camera_id, PtzLease.holder == self.holder)


def taken_by_another() -> ConflictError:
    """Return the error of whoever would turn a camera that somebody else turns."""
    return ConflictError(
        "Somebody else is turning this camera just now.",
        remedy="Wait until they let go. Stop works at any time.",
        code="ptz-taken",
    )


def _live(now: datetime) -> ColumnElement[bool]:
    return and_(PtzLease.until > now, PtzLease.until <= now + _LONGEST)


async def _row(session: AsyncSession, camera_id: UUID, now: datetime) -> PtzLease | None:
    return await session.scalar(select(PtzLease).where(PtzLease.camera_id == camera_id, _live(now)))
