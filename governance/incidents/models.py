"""Tables of incidents and their history."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    Uuid,
    event,
    text,
)
from sqlalchemy.orm import Mapped, Mapper, mapped_column

from access.policy.types import Resource
from core.database import Base, JsonValue, UtcDateTime

# Both stores refuse a second open incident with the same dedup key by this index. The
# predicate is written as SQLAlchemy renders `Incident.is_open` on each, so that queries use it.
_OPEN_SQLITE = text("is_open = 1")
_OPEN_POSTGRESQL = text("is_open")


class Incident(Base):
    """A piece of work for people, from its first signal until it is closed and archived."""

    __tablename__ = "incident"
    __table_args__ = (
        Index(
            "uq_incident_dedup_key_open",
            "dedup_key",
            unique=True,
            sqlite_where=_OPEN_SQLITE,
            postgresql_where=_OPEN_POSTGRESQL,
        ),
        Index(
            "ix_incident_queue",
            "severity_rank",
            "opened_at",
            "id",
            sqlite_where=_OPEN_SQLITE,
            postgresql_where=_OPEN_POSTGRESQL,
        ),
        Index("ix_incident_opened_at", "opened_at", "id"),
        Index("ix_incident_camera_id", "camera_id", "opened_at"),
        Index("ix_incident_area", "area", "opened_at"),
        Index("ix_incident_merged_into_id", "merged_into_id"),
        Index("ix_incident_household_id", "household_id", "opened_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[str] = mapped_column(String(24), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    type: Mapped[str] = mapped_column(String(200))
    category: Mapped[str] = mapped_column(String(12))
    urgency: Mapped[str] = mapped_column(String(12))
    severity: Mapped[str] = mapped_column(String(12))
    certainty: Mapped[str] = mapped_column(String(12))
    status: Mapped[str] = mapped_column(String(12))
    severity_rank: Mapped[int] = mapped_column(Integer)  # the highest is the most severe
    state: Mapped[str] = mapped_column(String(12))
    is_open: Mapped[bool] = mapped_column(Boolean)
    version: Mapped[int] = mapped_column(Integer, default=1)
    dedup_key: Mapped[str] = mapped_column(String(700))
    headline: Mapped[str] = mapped_column(String(300))
    area: Mapped[str] = mapped_column(String(200))
    camera_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    camera_name: Mapped[str] = mapped_column(String(200), default="")
    zone_name: Mapped[str] = mapped_column(String(200), default="")
    # Of an alarm that the household raised, or of the home camera that saw something.
    household_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_signal_at: Mapped[datetime] = mapped_column(UtcDateTime)
    signal_count: Mapped[int] = mapped_column(Integer, default=1)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    acknowledged_by_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    acknowledged_by_name: Mapped[str] = mapped_column(String(200), default="")
    handler_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    handler_name: Mapped[str] = mapped_column(String(200), default="")
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    resolution: Mapped[str | None] = mapped_column(String(20), default=None)
    escalations: Mapped[int] = mapped_column(Integer, default=0)
    overdue: Mapped[bool] = mapped_column(Boolean, default=False)
    next_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    # The kind of its pending timer.
    waiting_for: Mapped[str | None] = mapped_column(String(20), default=None)
    snapshot_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    # The dispatch policy as it was when the incident opened; {} for one older than policies.
    policy: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    # How many levels above its own area have been whistled for.
    level: Mapped[int] = mapped_column(Integer, default=0)
    # Counts the rings: the first is 0, a repeated press of the alarm or a reopening is the next.
    round: Mapped[int] = mapped_column(Integer, default=0)
    ring_from: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    department_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    department_name: Mapped[str] = mapped_column(String(200), default="")
    assignee_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    assignee_name: Mapped[str] = mapped_column(String(200), default="")
    returns: Mapped[int] = mapped_column(Integer, default=0)
    suspended_until: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    merged_into_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    merged_from: Mapped[str | None] = mapped_column(String(12), default=None)
    # On the way, there, done: what the one who goes says.
    progress: Mapped[str | None] = mapped_column(String(12), default=None)
    progress_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    progress_by_name: Mapped[str] = mapped_column(String(200), default="")
    eta_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    archived_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    result_photos: Mapped[int] = mapped_column(Integer, default=0)
    # {"latitude", "longitude", "accuracy_m", "at"} of an alarm's device, if it sent one.
    location: Mapped[dict[str, Any] | None] = mapped_column(JsonValue, default=None)

    def resource(self) -> Resource:
        """Return what the door is asked about. Pictures of a household's incident show a home.

        Also where it names no camera: a later signal of the same alarm may have brought them.
        """
        household = "" if self.household_id is None else str(self.household_id)
        return Resource(
            kind="incident",
            id=str(self.id),
            area=self.area,
            place_kind="home" if household else "",
            household=household,
        )


class IncidentLog(Base):
    """Append-only history of an incident: who, when, what, from which state to which."""

    __tablename__ = "incident_log"
    __table_args__ = (Index("ix_incident_log_incident_id", "incident_id", "id"),)

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("incident.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)  # None: the system itself
    actor_name: Mapped[str] = mapped_column(String(200), default="")
    action: Mapped[str] = mapped_column(String(40))
    from_state: Mapped[str | None] = mapped_column(String(12), default=None)
    to_state: Mapped[str | None] = mapped_column(String(12), default=None)
    note: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)


class IncidentNumber(Base):
    """The last number given in each year, so that numbers have no gaps."""

    __tablename__ = "incident_number"

    year: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(Integer)


def _refuse(_mapper: Mapper[IncidentLog], _connection: object, target: IncidentLog) -> None:
    raise RuntimeError(f"history is append-only; entry {target.id} is not to be changed")


event.listen(IncidentLog, "before_update", _refuse)
event.listen(IncidentLog, "before_delete", _refuse)
