"""Which deadline an incident stands under, and when it comes.

Every open incident has exactly one pending timer: for its acknowledgement, then for its
handling, then for its closing. An overdue one is followed by the next, at growing intervals
up to a limit, never by none.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.settings_loop import GovernanceSettings
from governance.incidents.models import Incident
from governance.incidents.transitions import State
from governance.timers import repository
from governance.timers.models import Timer

MAX_GROWTH = 8
"""An interval grows up to this many times the first."""

_DEFAULT_ACKNOWLEDGE_S = 300.0
_SHORTEST_S = 1.0  # a limit of nothing must not become a timer that fires without end


class TimerKind(StrEnum):
    """What an incident waits for."""

    ACKNOWLEDGE = "acknowledge"
    HANDLE = "handle"
    RESUME = "resume"
    CLOSE = "close"


def kind_for(incident: Incident) -> TimerKind | None:
    """Return what an incident waits for now; None when it is not open."""
    if not incident.is_open:
        return None
    if incident.acknowledged_at is None:
        return TimerKind.ACKNOWLEDGE
    if incident.state == State.FEEDBACK:
        return TimerKind.CLOSE
    if incident.state == State.SUSPENDED:
        return TimerKind.RESUME
    return TimerKind.HANDLE


def interval_s(settings: GovernanceSettings, kind: TimerKind, severity: str, attempt: int) -> float:
    """Return the seconds until a timer of this kind is due: doubled after each escalation."""
    if kind is TimerKind.ACKNOWLEDGE:
        first = settings.acknowledge_within_s.get(severity, _DEFAULT_ACKNOWLEDGE_S)
    else:
        first = settings.handle_within_s
    return float(max(_SHORTEST_S, first) * min(2 ** min(attempt, 16), MAX_GROWTH))


async def schedule(
    session: AsyncSession,
    incident: Incident,
    settings: GovernanceSettings,
    now: datetime,
    *,
    attempt: int = 0,
) -> Timer | None:
    """Cancel the incident's pending timer and set the one it stands under now.

    Sets `incident.next_due_at`. Returns None for an incident that is no longer open.
    """
    await repository.cancel(session, incident.id, now)
    kind = kind_for(incident)
    if kind is None:
        incident.next_due_at = None
        return None
    seq = await repository.last_seq(session, incident.id, kind) + 1
    return _add(session, incident, settings, now, kind=kind, seq=seq, attempt=attempt)


def _add(
    session: AsyncSession,
    incident: Incident,
    settings: GovernanceSettings,
    now: datetime,
    *,
    kind: TimerKind,
    seq: int,
    attempt: int,
) -> Timer:
    seconds = interval_s(settings, kind, incident.severity, attempt)
    timer = Timer(
        id=new_id(),
        incident_id=incident.id,
        kind=kind.value,
        seq=seq,
        attempt=attempt,
        rank=incident.severity_rank,
        created_at=now,
        due_at=now + timedelta(seconds=seconds),
    )
    session.add(timer)
    incident.next_due_at = timer.due_at
    return timer
