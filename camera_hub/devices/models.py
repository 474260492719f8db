"""Tables of cameras, their streams, their states, and the media workers that read them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Float, ForeignKey, Index, Integer, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.database import Base, JsonValue, UtcDateTime


class Camera(Base):
    """A camera that somebody added. A deleted one stays, for history, and is never listed."""

    __tablename__ = "camera"
    __table_args__ = (Index("ix_camera_area_id", "area", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    area: Mapped[str] = mapped_column(String(255))
    place_kind: Mapped[str] = mapped_column(String(20))
    source_kind: Mapped[str] = mapped_column(String(10))
    address: Mapped[str] = mapped_column(String(500))
    username: Mapped[str] = mapped_column(String(120), default="")
    password_sealed: Mapped[str] = mapped_column(Text, default="")
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    analyse: Mapped[bool] = mapped_column(Boolean, default=True)
    device: Mapped[dict[str, Any] | None] = mapped_column(JsonValue, default=None)
    clock_offset_s: Mapped[float | None] = mapped_column(Float, default=None)
    # A home camera belongs to a household; everything else about the place is for the law.
    household_id: Mapped[UUID | None] = mapped_column(Uuid, default=None, index=True)
    place_type: Mapped[str] = mapped_column(String(40), default="")
    purpose: Mapped[str] = mapped_column(String(300), default="")
    owner: Mapped[str] = mapped_column(String(120), default="")
    contact: Mapped[str] = mapped_column(String(200), default="")
    retention_hours: Mapped[int | None] = mapped_column(Integer, default=None)
    retention_reason: Mapped[str] = mapped_column(String(300), default="")
    signage: Mapped[bool] = mapped_column(Boolean, default=False)
    residents_may_watch: Mapped[bool] = mapped_column(Boolean, default=False)
    masks: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    masks_burnt: Mapped[bool] = mapped_column(Boolean, default=False)
    # {mode, role, schedule, pre_s, post_s}: see recording_plan.py
    recording: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)
    transport: Mapped[str] = mapped_column(String(10), default="tcp")
    # Whether its sound is read, recorded and heard; off unless law and a reason allow it.
    sound: Mapped[bool] = mapped_column(Boolean, default=False)
    sound_reason: Mapped[str] = mapped_column(String(300), default="")
    # `hub` looks at its pictures, or the `camera` says what it sees (ONVIF profile M).
    analysed_by: Mapped[str] = mapped_column(String(10), default="hub")
    # Where it stands on a plan: fractions of the drawing's width and height from its upper left.
    plan_id: Mapped[UUID | None] = mapped_column(Uuid, default=None, index=True)
    plan_x: Mapped[float | None] = mapped_column(Float, default=None)
    plan_y: Mapped[float | None] = mapped_column(Float, default=None)
    # Where it stands on the map (WGS 84), and where it looks (degrees clockwise from north).
    latitude: Mapped[float | None] = mapped_column(Float, default=None)
    longitude: Mapped[float | None] = mapped_column(Float, default=None)
    heading: Mapped[float | None] = mapped_column(Float, default=None)
    # Since when a camera that was there before looks into a home; null: as long as it is there.
    home_since: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    version: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)

    streams: Mapped[list["CameraStream"]] = relationship(
        back_populates="camera",
        lazy="selectin",
        cascade="all, delete-orphan",
        order_by="CameraStream.role",
    )
    status: Mapped["CameraStatus | None"] = relationship(
        lazy="selectin", cascade="all, delete-orphan"
    )


class CameraStream(Base):
    """One stream of a camera: `main` to look at and record, `sub` to analyse and show small."""

    __tablename__ = "camera_stream"

    camera_id: Mapped[UUID] = mapped_column(ForeignKey("camera.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(8), primary_key=True)
    profile_token: Mapped[str] = mapped_column(String(120), default="")
    url: Mapped[str] = mapped_column(String(1000))  # never holds credentials
    codec: Mapped[str] = mapped_column(String(20), default="")
    width: Mapped[int] = mapped_column(Integer, default=0)
    height: Mapped[int] = mapped_column(Integer, default=0)
    fps: Mapped[float] = mapped_column(Float, default=0.0)
    snapshot_url: Mapped[str] = mapped_column(String(1000), default="")

    camera: Mapped[Camera] = relationship(back_populates="streams")


class CameraOutage(Base):
    """A time in which a camera did not do what it is for, or could not be relied on."""

    __tablename__ = "camera_outage"
    __table_args__ = (Index("ix_camera_outage_camera_id_started_at", "camera_id", "started_at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    camera_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    incident_id: Mapped[UUID | None] = mapped_column(Uuid, default=None)


class CameraStatus(Base):
    """The state of a camera, written when it changes; counters live in memory only."""

    __tablename__ = "camera_status"

    camera_id: Mapped[UUID] = mapped_column(ForeignKey("camera.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    reason_code: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(Text, default="")
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class PtzLease(Base):
    """That somebody turns a camera, until when: there while it moves, gone once it was stopped.

    `holder` is the process that sees to the stop, `who` tells one person from another. A row whose
    time is long over is of a process that died before it could stop the camera.
    """

    __tablename__ = "ptz_lease"

    camera_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    holder: Mapped[UUID] = mapped_column(Uuid)
    who: Mapped[str] = mapped_column(String(40))
    until: Mapped[datetime] = mapped_column(UtcDateTime)


class MediaWorker(Base):
    """A media worker that has reported. Its heartbeat is written at most every few seconds."""

    __tablename__ = "media_worker"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    pid: Mapped[int] = mapped_column(Integer)
    address: Mapped[str] = mapped_column(String(255))
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    revision: Mapped[str] = mapped_column(String(64), default="")
