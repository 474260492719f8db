"""Why something is not recorded, as far as the hub knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from camera_hub.devices.models import CameraOutage
from camera_hub.recording.index import deletions
from camera_hub.recording.index.schemas import Span
from camera_hub.recording.index.spans import Interval, Labelled, explained, gaps

_OUTAGES = {
    "offline": "offline",
    "stalled": "offline",
    "not_recording": "not_recording",
}
_DELETED = {"retention": "deleted", "quota": "deleted", "withdrawn": "withdrawn", "lost": "lost"}


@dataclass(frozen=True, slots=True)
class CameraPast:
    """What of a camera explains gaps. `mode` is that of its plan of recording now.

    `unfinished_s`: how long the file that is being written may be.
    """

    camera_id: UUID
    created_at: datetime
    mode: str
    unfinished_s: float


async def explain_gaps(
    session: AsyncSession, now: datetime, past: CameraPast, spans: Sequence[Span], between: Interval
) -> list[Labelled]:
    """Return the gaps between two moments, none later than `now`; see `Recordings.gaps`."""
    start, end = between
    found = gaps(spans, start, min(end, now))
    if not found:
        return []
    reasons: list[Labelled] = [(start, past.created_at, "not_added")]
    noted = await deletions.noted(session, past.camera_id, start, end)
    reasons += [(a, b, _DELETED.get(cause, "deleted")) for a, b, cause in noted]
    reasons += await _outages(session, past.camera_id, start, end, now)
    if past.mode != "off":
        reasons.append((now - timedelta(seconds=past.unfinished_s), now, "not_yet"))
    # Plans are not kept: what the one of now says is the best guess for what nothing explains.
    otherwise = {"off": "off", "schedule": "schedule", "event": "no_event"}.get(
        past.mode, "unknown"
    )
    return [piece for gap in found for piece in explained(gap, reasons, otherwise)]


async def _outages(
    session: AsyncSession, camera_id: UUID, start: datetime, end: datetime, now: datetime
) -> list[Labelled]:
    query = (
        select(CameraOutage.started_at, CameraOutage.ended_at, CameraOutage.kind)
        .where(
            CameraOutage.camera_id == camera_id,
            CameraOutage.kind.in_(_OUTAGES),
            CameraOutage.started_at < end,
            or_(CameraOutage.ended_at.is_(None), CameraOutage.ended_at > start),
        )
        .order_by(CameraOutage.started_at)
    )
    return [
        (row.started_at, row.ended_at or now, _OUTAGES[row.kind])
        for row in await session.execute(query)
    ]
