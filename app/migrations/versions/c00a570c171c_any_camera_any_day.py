"""Any camera any day.

Revision: c00a570c171c
After: 6ef5180ca5ac
"""

import sqlalchemy as sa
from alembic import op

from core.database import JsonValue, UtcDateTime

revision = "c00a570c171c"
down_revision = "6ef5180ca5ac"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "camera_outage",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_camera_outage")),
    )
    with op.batch_alter_table("camera_outage", schema=None) as batch_op:
        batch_op.create_index(
            "ix_camera_outage_camera_id_started_at", ["camera_id", "started_at"], unique=False
        )

    op.create_table(
        "playback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("to_at", UtcDateTime(), nullable=False),
        sa.Column("cameras", JsonValue, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playback")),
    )
    with op.batch_alter_table("playback", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_playback_ended_at"), ["ended_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_playback_session_id"), ["session_id"], unique=False)

    op.create_table(
        "recording_deletion",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=False),
        sa.Column("disk", sa.String(length=40), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("to_at", UtcDateTime(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=12), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_deletion")),
    )
    with op.batch_alter_table("recording_deletion", schema=None) as batch_op:
        batch_op.create_index(
            "ix_recording_deletion_camera_id_at", ["camera_id", "at"], unique=False
        )

    op.create_table(
        "recording_lock",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("to_at", UtcDateTime(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording_lock")),
    )
    with op.batch_alter_table("recording_lock", schema=None) as batch_op:
        batch_op.create_index(
            "ix_recording_lock_camera_id_from_at", ["camera_id", "from_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_recording_lock_expires_at"), ["expires_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_recording_lock_incident_id"), ["incident_id"], unique=False
        )

    op.create_table(
        "segment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("disk", sa.String(length=40), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("codec", sa.String(length=20), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=10), nullable=False),
        sa.Column("clock", sa.String(length=10), nullable=False),
        sa.Column("motion", sa.String(length=16), nullable=False),
        sa.Column("deleting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("disk", "path", name=op.f("uq_segment_disk_path")),
    )
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.create_index(
            "ix_segment_camera_id_started_at",
            [
                "camera_id",
                "started_at",
                "ends_at",
                "role",
                "cause",
                "motion",
                "bytes",
                "deleting",
            ],
            unique=False,
        )
        batch_op.create_index("ix_segment_disk_started_at", ["disk", "started_at"], unique=False)
        batch_op.create_index(
            "ix_segment_deleting",
            ["id"],
            unique=False,
            sqlite_where=sa.text("deleting = 1"),
            postgresql_where=sa.text("deleting"),
        )

    with op.batch_alter_table("camera", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column("recording", JsonValue, nullable=False, server_default=sa.text("'{}'"))
        )
        batch_op.add_column(
            sa.Column("transport", sa.String(length=10), nullable=False, server_default="tcp")
        )
        batch_op.add_column(sa.Column("latitude", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("longitude", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("heading", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("home_since", UtcDateTime(), nullable=True))

    with op.batch_alter_table("export_request", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("recordings", JsonValue, nullable=False, server_default=sa.text("'[]'"))
        )
        batch_op.add_column(sa.Column("progress", sa.Integer(), nullable=False, server_default="0"))
        batch_op.alter_column("incident_id", existing_type=sa.Uuid(), nullable=True)


def downgrade() -> None:
    """Take back."""
    op.execute("DELETE FROM export_request WHERE incident_id IS NULL")
    with op.batch_alter_table("export_request", schema=None) as batch_op:
        batch_op.alter_column("incident_id", existing_type=sa.Uuid(), nullable=False)
        batch_op.drop_column("progress")
        batch_op.drop_column("recordings")

    with op.batch_alter_table("camera", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("home_since")
        batch_op.drop_column("heading")
        batch_op.drop_column("longitude")
        batch_op.drop_column("latitude")
        batch_op.drop_column("transport")
        batch_op.drop_column("recording")

    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_deleting")
        batch_op.drop_index("ix_segment_disk_started_at")
        batch_op.drop_index("ix_segment_camera_id_started_at")

    op.drop_table("segment")
    with op.batch_alter_table("recording_lock", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recording_lock_incident_id"))
        batch_op.drop_index(batch_op.f("ix_recording_lock_expires_at"))
        batch_op.drop_index("ix_recording_lock_camera_id_from_at")

    op.drop_table("recording_lock")
    with op.batch_alter_table("recording_deletion", schema=None) as batch_op:
        batch_op.drop_index("ix_recording_deletion_camera_id_at")

    op.drop_table("recording_deletion")
    with op.batch_alter_table("playback", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_playback_session_id"))
        batch_op.drop_index(batch_op.f("ix_playback_ended_at"))

    op.drop_table("playback")
    with op.batch_alter_table("camera_outage", schema=None) as batch_op:
        batch_op.drop_index("ix_camera_outage_camera_id_started_at")

    op.drop_table("camera_outage")
