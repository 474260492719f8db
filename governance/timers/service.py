"""Which deadline an incident stands under, and when it comes.

Every open incident has exactly one pending timer. An overdue one is followed by the next, at
growing intervals up to a limit, never by none. An incident with a dispatch policy has the policy's
steps and limits; one without has those of the settings.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.settings_loop import GovernanceSettings
from governance.dispatch.snapshot import PolicySnapshot, due_after_s, snapshot_of
from governance.incidents.models import Incident
from governance.incidents.transitions import State
from governance.timers import repository
from governance.timers.models import Timer

MAX_GROWTH = 8
"""An interval grows up to this many times the first."""

DRILL_S = 600.0
"""After this an exercise or a test ends by itself."""
DRILL_SEEN_S = 60.0
"""After this it ends by itself once somebody has acknowledged it."""

AGAIN = timedelta(seconds=30)
"""Pressed again, an alarm rings again within this time; presses add no more rings than that."""

_DEFAULT_ACKNOWLEDGE_S = 300.0
_SHORTEST_S = 1.0  # a limit of nothing must not become a timer that fires without end


class TimerKind(StrEnum):
    """What an incident waits for."""

    RING = "ring"
    ACKNOWLEDGE = "acknowledge"
    TRIAGE = "triage"
    DISPATCH = "dispatch"
    HANDLE = "handle"
    FEEDBACK = "feedback"
    CLOSE = "close"
    RESUME = "resume"
    END = "end"
    ARCHIVE = "archive"


BEFORE_HANDLING = frozenset({TimerKind.RING, TimerKind.ACKNOWLEDGE, TimerKind.HANDLE})
"""What word from somebody on the way puts off."""

_OF_STATE = {
    State.TRIAGED: TimerKind.DISPATCH,
    State.HANDLING: TimerKind.FEEDBACK,
    State.FEEDBACK: TimerKind.CLOSE,
}


def kind_for(incident: Incident) -> TimerKind | None:
    """Return what an incident waits for now; None when nothing will come of itself."""
    policy = snapshot_of(incident.policy or {})
    if not incident.is_open:
        archived_later = policy is not None and incident.state == State.CLOSED
        return TimerKind.ARCHIVE if archived_later else None
    if incident.state == State.SUSPENDED and incident.suspended_until is not None:
        return TimerKind.RESUME
    if incident.acknowledged_at is None:
        return TimerKind.ACKNOWLEDGE if policy is None else TimerKind.RING
    if policy is None:
        return TimerKind.CLOSE if incident.state == State.FEEDBACK else TimerKind.HANDLE
    if incident.state == State.REPORTED and policy["triage"] == "required":
        return TimerKind.TRIAGE
    return _OF_STATE.get(State(incident.state), TimerKind.HANDLE)


def interval_s(settings: GovernanceSettings, kind: TimerKind, severity: str, attempt: int) -> float:
    """Return the seconds until a timer of this kind is due: doubled after each escalation.

    For incidents without a policy.
    """
    if kind is TimerKind.ACKNOWLEDGE:
        first = settings.acknowledge_within_s.get(severity, _DEFAULT_ACKNOWLEDGE_S)
    else:
        first = settings.handle_within_s
    return _grown(first, attempt)


def due_at(
    incident: Incident, settings: GovernanceSettings, kind: TimerKind, now: datetime, attempt: int
) -> datetime:
    """Return when the timer is due that an incident stands under from `now` on (UTC)."""
    policy = snapshot_of(incident.policy or {})
    if kind is TimerKind.RESUME and incident.suspended_until is not None:
        return incident.suspended_until
    if policy is None:
        return now + timedelta(seconds=interval_s(settings, kind, incident.severity, attempt))
    if kind is TimerKind.RING:
        return _ring_at(incident, policy, now, attempt)
    if kind is TimerKind.HANDLE:
        return _handle_at(incident, policy, now, attempt)
    limits = policy["limits"]
    first = {
        TimerKind.TRIAGE: limits["triage_s"],
        TimerKind.DISPATCH: limits["dispatch_s"],
        TimerKind.FEEDBACK: limits["feedback_s"],
        TimerKind.CLOSE: limits["close_s"],
        TimerKind.ARCHIVE: limits["archive_s"],
    }[kind]
    return now + timedelta(seconds=_grown(first, attempt))


def _ring_at(incident: Incident, policy: PolicySnapshot, now: datetime, attempt: int) -> datetime:
    """Return when step `attempt` rings: counted from the beginning of the ringing.

    After an outage, or a jump of the clock, the steps keep their distance from each other instead
    of coming all at once or never.
    """
    offset = due_after_s(policy, attempt)
    gap = offset - (due_after_s(policy, attempt - 1) if attempt else 0.0)
    latest = now + timedelta(seconds=gap if attempt == 0 else max(_SHORTEST_S, gap))
    if incident.ring_from is None:
        return latest
    planned = incident.ring_from + timedelta(seconds=offset)
    return planned if now < planned < latest else latest


def _handle_at(incident: Incident, policy: PolicySnapshot, now: datetime, attempt: int) -> datetime:
    """Return until when somebody must have taken it on, or have said that he is on the way."""
    silent = incident.progress is None and policy["progress_s"] > 0
    if silent and attempt == 0:
        return now + timedelta(seconds=max(_SHORTEST_S, policy["progress_s"]))
    limit = now + timedelta(seconds=_grown(policy["limits"]["handle_s"], attempt - silent))
    promised = incident.eta_at
    if promised is None or promised <= now or policy["progress_s"] <= 0:
        return limit
    # "Five minutes" and then nothing: rings again.
    return min(limit, promised + timedelta(seconds=policy["progress_s"]))


def _grown(first: float, attempt: int) -> float:
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

    Sets `incident.next_due_at` (while it is open) and `incident.waiting_for`. Returns None where
    there is none.
    """
    await repository.cancel(session, incident.id, now)
    kind = kind_for(incident)
    if kind is None:
        incident.next_due_at = incident.waiting_for = None
        return None
    due = due_at(incident, settings, kind, now, attempt)
    kind, due = _or_end(incident, kind, due, now)
    seq = await repository.last_seq(session, incident.id, kind) + 1
    return _add(session, incident, now, kind=kind, seq=seq, attempt=attempt, due=due)


async def follow(
    session: AsyncSession,
    incident: Incident,
    settings: GovernanceSettings,
    fired: Timer,
    *,
    attempt: int,
) -> Timer | None:
    """Set the timer that follows one that has just fired, and so was the only pending one."""
    now = fired.fired_at
    assert now is not None
    kind = kind_for(incident)
    if kind is None:
        return await schedule(session, incident, settings, now)
    due = due_at(incident, settings, kind, now, attempt)
    kind, due = _or_end(incident, kind, due, now)
    if kind == fired.kind:
        seq = fired.seq + 1
    else:
        seq = await repository.last_seq(session, incident.id, kind) + 1
    return _add(session, incident, now, kind=kind, seq=seq, attempt=attempt, due=due)


async def set_ring(session: AsyncSession, incident: Incident, now: datetime) -> Timer:
    """Let the first step of the incident's policy ring at once, whatever it stood under."""
    await repository.cancel(session, incident.id, now)
    seq = await repository.last_seq(session, incident.id, TimerKind.RING) + 1
    return _add(session, incident, now, kind=TimerKind.RING, seq=seq, attempt=0, due=now)


async def ring_again(session: AsyncSession, incident: Incident, now: datetime) -> None:
    """Ring for one that has rung before, going on from the step that it had come to.

    Never back to the first step: who presses again and again would keep those away who come later.
    Presses add one ring in `AGAIN` at most, unless somebody has acknowledged since: a key that is
    stuck would fill the gateways that others wait for.
    """
    pending = await repository.ringing(session, incident.id)
    if pending is not None and pending.due_at - now < AGAIN:
        return
    began, seen, due = incident.ring_from, incident.acknowledged_at, now
    if began is not None and (seen is None or seen < began):
        due = max(now, min(began, now) + AGAIN)
    await repository.cancel(session, incident.id, now)
    seq = await repository.last_seq(session, incident.id, TimerKind.RING) + 1
    attempt = 0 if pending is None else pending.attempt
    incident.ring_from = due
    _add(session, incident, now, kind=TimerKind.RING, seq=seq, attempt=attempt, due=due)


async def raise_rank(
    session: AsyncSession, incident: Incident, settings: GovernanceSettings, now: datetime
) -> None:
    """Let the pending timer go before others as the incident does now.

    Without a policy the shorter limit of the new severity begins, unless somebody has it already.
    """
    if incident.acknowledged_at is None and snapshot_of(incident.policy or {}) is None:
        await schedule(session, incident, settings, now)
    else:
        await repository.set_rank(session, incident.id, incident.severity_rank)


def _or_end(
    incident: Incident, kind: TimerKind, due: datetime, now: datetime
) -> tuple[TimerKind, datetime]:
    """Return the end of an exercise or a test if that comes first."""
    if incident.status not in {"test", "exercise"} or not incident.is_open:
        return kind, due
    end = incident.opened_at + timedelta(seconds=DRILL_S)
    if incident.acknowledged_at is not None:
        end = min(end, incident.acknowledged_at + timedelta(seconds=DRILL_SEEN_S))
    # A clock that was put back must not keep it open for an hour.
    end = min(max(end, now), now + timedelta(seconds=DRILL_S))
    return (TimerKind.END, end) if end <= due else (kind, due)


def _add(
    session: AsyncSession,
    incident: Incident,
    now: datetime,
    *,
    kind: TimerKind,
    seq: int,
    attempt: int,
    due: datetime,
) -> Timer:
    timer = Timer(
        id=new_id(),
        incident_id=incident.id,
        kind=kind.value,
        seq=seq,
        attempt=attempt,
        rank=incident.severity_rank,
        created_at=now,
        due_at=due,
    )
    session.add(timer)
    # Nobody has to do anything about one that is closed.
    incident.next_due_at = due if incident.is_open else None
    incident.waiting_for = kind.value
    return timer
