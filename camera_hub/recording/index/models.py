"""Tables of recordings: segments, locks on them, what was deleted, and who plays them back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, JsonValue, UtcDateTime


class Segment(Base):
    """One recorded file. Its row is made from the file and can be made from it again."""

    __tablename__ = "segment"
    __table_args__ = (
        # Holds all that a timeline asks for: the rows of one camera's day lie far apart.
        Index(
            "ix_segment_camera_id_started_at",
            "camera_id",
            "started_at",
            "ends_at",
            "role",
            "cause",
            "motion",
            "bytes",
            "deleting",
        ),
        # What is next to go on a disk.
        Index("ix_segment_disk_started_at", "disk", "started_at"),
        UniqueConstraint("disk", "path"),
        # Few at any time; looked for by every sweep.
        Index(
            "ix_segment_deleting",
            "id",
            sqlite_where=text("deleting = 1"),
            postgresql_where=text("deleting"),
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    camera_id: Mapped[UUID] = mapped_column(Uuid)
    role: Mapped[str] = mapped_column(String(8))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    disk: Mapped[str] = mapped_column(String(40))
    path: Mapped[str] = mapped_column(String(200))  # below the disk's folder, with "/"
    sequence: Mapped[int] = mapped_column(BigInteger)
    codec: Mapped[str] = mapped_column(String(40))  # RFC 6381, "," before that of the sound
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    cause: Mapped[str] = mapped_column(String(10))
    clock: Mapped[str] = mapped_column(String(10))
    motion: Mapped[str] = mapped_column(String(16), default="")  # hex: bit n is second n
    deleting: Mapped[bool] = mapped_column(Boolean, default=False)


class RecordingLock(Base):
    """A span of a camera that is kept, whatever law and disks say, until it ends or expires."""

    __tablename__ = "recording_lock"
    __table_args__ = (Index("ix_recording_lock_camera_id_from_at", "camera_id", "from_at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    camera_id: Mapped[UUID] = mapped_column(Uuid)
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    to_at: Mapped[datetime] = mapped_column(UtcDateTime)
    incident_id: Mapped[UUID | None] = mapped_column(Uuid, default=None, index=True)
    reason: Mapped[str] = mapped_column(String(300))
    requested_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)  # None: the hub itself
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
    ended_by: Mapped[UUID | None] = mapped_column(Uuid, default=None)


class RecordingDeletion(Base):
    """That recordings were deleted: of which camera, from when to when, how much, and why."""

    __tablename__ = "recording_deletion"
    __table_args__ = (Index("ix_recording_deletion_camera_id_at", "camera_id", "at"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    camera_id: Mapped[UUID] = mapped_column(Uuid)
    disk: Mapped[str] = mapped_column(String(40))
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    to_at: Mapped[datetime] = mapped_column(UtcDateTime)
    segments: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(BigInteger)
    cause: Mapped[str] = mapped_column(String(12))


class Playback(Base):
    """Somebody plays recordings back; its view records are named in `cameras`."""

    __tablename__ = "playback"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    session_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    purpose: Mapped[str] = mapped_column(String(40))
    reference: Mapped[str] = mapped_column(String(200))
    from_at: Mapped[datetime] = mapped_column(UtcDateTime)
    to_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Each: camera_id, view_id, rendition, sound.
    cameras: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None, index=True)
