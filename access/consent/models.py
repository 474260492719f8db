"""Tables of consent: grants, and the alarms that open homes whose households agreed to it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class ConsentGrant(Base):
    """A household's consent to be seen through one of its cameras.

    A share names the account that may look, the weekly hours (none: at any hour) and the end. An
    alarm grant is a standing consent: it opens the camera to whoever answers an alarm of the
    household while that is open; with `on_detection` also an incident that the camera itself
    raised. The camera is named by id without a foreign key: cameras live a floor above.
    """

    __tablename__ = "consent_grant"
    __table_args__ = (
        CheckConstraint("kind IN ('share', 'alarm')", name="kind"),
        CheckConstraint(
            "kind = 'alarm' OR (account_id IS NOT NULL AND ends_at IS NOT NULL)",
            name="share_is_to_somebody_until",
        ),
        CheckConstraint("kind = 'share' OR account_id IS NULL", name="alarm_is_to_nobody_by_name"),
        Index("ix_consent_grant_camera_id", "camera_id", "id"),
        Index("ix_consent_grant_household_id", "household_id", "id"),
        Index("ix_consent_grant_account_id", "account_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    camera_id: Mapped[UUID] = mapped_column(Uuid)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    kind: Mapped[str] = mapped_column(String(8))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("account.id"), default=None)
    hours: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    redacted: Mapped[bool] = mapped_column(default=False)
    on_detection: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(String(300), default="")
    given_by: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    given_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    withdrawn_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)


class AlarmOpening(Base):
    """An incident that opens a household's cameras, as far as it has agreed; from when to when.

    `camera_id` is set when the camera itself raised the incident: then it opens that one only, and
    only with a grant that says so. The incident is named by id: incidents live a floor above.
    """

    __tablename__ = "alarm_opening"
    __table_args__ = (Index("ix_alarm_opening_household_id", "household_id", "ended_at"),)

    incident_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    camera_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)


class AlarmResponder(Base):
    """Who acknowledged or handles such an incident."""

    __tablename__ = "alarm_responder"

    incident_id: Mapped[UUID] = mapped_column(
        ForeignKey("alarm_opening.incident_id"), primary_key=True
    )
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"), primary_key=True, index=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
