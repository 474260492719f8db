"""What an incident is when it opens: its row, the first entry of its history and its first timer.

Nothing here writes: one incident and two hundred of them are made in the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import JSON

from core.database import Base
from core.ids import new_id
from core.settings_loop import GovernanceSettings
from governance.incidents.models import Incident
from governance.incidents.transitions import State
from governance.timers import service as timers

SEVERITY_RANK = {"extreme": 4, "severe": 3, "moderate": 2, "unknown": 1, "minor": 0}

_DEFAULTS: dict[str, Any] = {
    column.key: getattr(column.default, "arg", None)
    for column in Base.metadata.tables[Incident.__tablename__].columns
    if column.nullable or (column.default is not None and column.default.is_scalar)
    # A JSON column that is given None would hold the JSON value null.
    if not isinstance(column.type, JSON)
}
"""What no signal says. It is there from the start: the row is read before it is written."""

FIRST_RING = "ring"
"""Kind of the first timer where a dispatch policy says who is told: due at once."""


@dataclass(frozen=True, slots=True)
class NewIncident:
    """What a signal says about the incident it opens."""

    kind: str
    type: str
    category: str
    urgency: str
    severity: str
    certainty: str
    status: str
    dedup_key: str
    headline: str
    area: str
    camera_id: UUID | None
    camera_name: str
    zone_name: str
    observed_at: datetime
    household_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A new incident, with the columns of its first history entry and of its first timer."""

    incident: Incident
    entry: dict[str, Any]
    timer: dict[str, Any]


def opening(
    new: NewIncident,
    *,
    number: int,
    now: datetime,
    settings: GovernanceSettings,
    policy: Mapping[str, Any],
) -> Opening:
    """Make what opens with `new`.

    Args:
        new: what the signal says.
        number: of the year of `now`, given to no other incident.
        now: in UTC.
        settings: the limits of an incident that no policy covers.
        policy: snapshot of the dispatch policy; {} where none covers it.
    """
    columns = {
        **_DEFAULTS,
        "id": new_id(),
        "number": f"{now.year}-{number:06d}",
        "kind": new.kind,
        "type": new.type,
        "category": new.category,
        "urgency": new.urgency,
        "severity": new.severity,
        "severity_rank": SEVERITY_RANK[new.severity],
        "certainty": new.certainty,
        "status": new.status,
        "state": State.REPORTED.value,
        "is_open": True,
        "dedup_key": new.dedup_key,
        "headline": new.headline,
        "area": new.area,
        "camera_id": new.camera_id,
        "camera_name": new.camera_name,
        "zone_name": new.zone_name,
        "household_id": new.household_id,
        "opened_at": now,
        "observed_at": new.observed_at,
        "last_signal_at": now,
        "policy": dict(policy),
        "ring_from": now,
    }
    incident = Incident()
    # Past the instrumentation, which counts for half of a flood: the row is new, and no change of
    # it has anybody to be told.
    vars(incident).update(columns)
    entry = {
        "incident_id": incident.id,
        "at": now,
        "actor_id": None,
        "actor_name": "",
        "action": "opened",
        "from_state": None,
        "to_state": State.REPORTED.value,
        "note": "",
        "data": {},
    }
    return Opening(incident, entry, _first_timer(incident, settings, now))


def _first_timer(incident: Incident, settings: GovernanceSettings, now: datetime) -> dict[str, Any]:
    """Return the columns of the one timer of a new incident; sets what it waits for."""
    kind, due_at = FIRST_RING, now
    if not incident.policy:
        waits = timers.TimerKind.ACKNOWLEDGE
        within_s = timers.interval_s(settings, waits, incident.severity, 0)
        kind, due_at = waits.value, now + timedelta(seconds=within_s)
    incident.next_due_at, incident.waiting_for = due_at, kind
    return {
        "id": new_id(),
        "incident_id": incident.id,
        "kind": kind,
        "seq": 1,
        "attempt": 0,
        "rank": incident.severity_rank,
        "created_at": now,
        "due_at": due_at,
        "fired_at": None,
        "cancelled_at": None,
    }
