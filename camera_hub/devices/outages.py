"""Times in which a camera did not do what it is for: noted, ended, summed up.

An outage is a row from its first moment on, so that a hub that is killed meanwhile knows of it.
Beginning what has begun and ending what has ended change nothing: signals come more than once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices.models import CameraOutage
from camera_hub.devices.schemas import StatusOut
from camera_hub.streams.types import ReasonCode, StreamState

OutageKind = Literal[
    "offline",
    "stalled",
    "frozen",
    "black",
    "covered",
    "blurred",
    "moved",
    "overexposed",
    "clock",
    "low_rate",
    "not_recording",
    "not_analysed",
]

AWAY: frozenset[OutageKind] = frozenset({"offline", "stalled"})
"""There is no picture: the camera is not available."""
BLIND: frozenset[OutageKind] = AWAY | {
    "frozen",
    "black",
    "covered",
    "blurred",
    "moved",
    "overexposed",
}
"""There is none, or none that can be relied on."""
KEPT_FOR = timedelta(days=730)
"""Outages are kept for two years: they hold nothing of people."""

_NAMES = UUID("5d0a6f0e-53b4-5c1e-9f5e-2f9f1c7f5a01")
Stretch = tuple[datetime, datetime]


async def begin(
    session: AsyncSession,
    camera_id: UUID,
    kind: OutageKind,
    at: datetime,
    incident_id: UUID | None = None,
) -> None:
    """Note that an outage began at `at` (UTC), unless one of its kind is noted as going on."""
    outage_id = uuid5(_NAMES, f"{camera_id}\n{kind}\n{at.isoformat()}")
    noted: CameraOutage | None = await session.get(CameraOutage, outage_id)
    if noted is not None or await _open(session, camera_id, {kind}):
        return
    session.add(
        CameraOutage(
            id=outage_id, camera_id=camera_id, kind=kind, started_at=at, incident_id=incident_id
        )
    )
    await session.flush()


async def end(
    session: AsyncSession, camera_id: UUID, kinds: Collection[OutageKind], at: datetime
) -> None:
    """Note that outages of these kinds ended at `at`; none that began later."""
    for row in await _open(session, camera_id, kinds):
        if row.started_at <= at:
            row.ended_at = at


async def note_state(session: AsyncSession, camera_id: UUID, status: StatusOut) -> None:
    """Note what a camera's state means: pictures, or none since then."""
    at = status.since
    if status.state in (StreamState.ONLINE, StreamState.DISABLED):
        await end(session, camera_id, AWAY, at)
        return
    if status.reason_code is ReasonCode.STARTING:
        # A worker that has just begun knows nothing yet; what is noted goes on.
        return
    stalled = status.state is StreamState.STALLED
    now: OutageKind = "stalled" if stalled else "offline"
    await end(session, camera_id, AWAY - {now}, at)
    await begin(session, camera_id, now, at)


async def between(
    session: AsyncSession, cameras: Collection[UUID], start: datetime, end: datetime
) -> list[CameraOutage]:
    """Return the outages of `cameras` that touch [start, end), by beginning."""
    query = (
        select(CameraOutage)
        .where(
            CameraOutage.camera_id.in_(cameras),
            CameraOutage.started_at < end,
            or_(CameraOutage.ended_at.is_(None), CameraOutage.ended_at > start),
        )
        .order_by(CameraOutage.started_at, CameraOutage.id)
    )
    return list(await session.scalars(query))


async def forget_old(session: AsyncSession, now: datetime) -> None:
    """Remove outages that ended longer ago than they are kept."""
    await session.execute(delete(CameraOutage).where(CameraOutage.ended_at < now - KEPT_FOR))


async def _open(
    session: AsyncSession, camera_id: UUID, kinds: Collection[OutageKind]
) -> Sequence[CameraOutage]:
    query = select(CameraOutage).where(
        CameraOutage.camera_id == camera_id,
        CameraOutage.kind.in_(kinds),
        CameraOutage.ended_at.is_(None),
    )
    return (await session.scalars(query)).all()


@dataclass(frozen=True, slots=True)
class Sum:
    """Shares of a time, 0 to 1: with pictures at all, and with pictures one can rely on."""

    seconds: float
    available: float
    usable: float


def sum_up(outages: Iterable[CameraOutage], start: datetime, end: datetime) -> Sum | None:
    """Return what outages leave of [start, end); None of no time. Open ones last until `end`."""
    whole = (end - start).total_seconds()
    if whole <= 0:
        return None
    rows = list(outages)

    def left(kinds: Collection[str]) -> float:
        lost = [
            (max(start, row.started_at), min(end, row.ended_at or end))
            for row in rows
            if row.kind in kinds
        ]
        return max(0.0, 1.0 - _length(lost) / whole)

    return Sum(whole, left(AWAY), left(BLIND))


def _length(stretches: Iterable[Stretch]) -> float:
    """Return the seconds that are in any of the stretches."""
    total, reached = 0.0, None
    for start, end in sorted(stretches):
        begun = start if reached is None or start > reached else reached
        if end > begun:
            total += (end - begun).total_seconds()
            reached = end
    return total
