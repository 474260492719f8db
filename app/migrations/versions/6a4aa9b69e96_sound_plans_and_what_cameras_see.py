"""Sound, plans, and what cameras see themselves.

Revision: 6a4aa9b69e96
After: c00a570c171c
"""

import sqlalchemy as sa
from alembic import op

from core.database import JsonValue, UtcDateTime

revision = "6a4aa9b69e96"
down_revision = "c00a570c171c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "site_plan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("area", sa.String(length=255), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("suffix", sa.String(length=4), nullable=False),
        sa.Column("north", sa.Float(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site_plan")),
    )
    with op.batch_alter_table("site_plan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_site_plan_area"), ["area"], unique=False)

    op.create_table(
        "ptz_lease",
        sa.Column("camera_id", sa.Uuid(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("who", sa.String(length=40), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("camera_id", name=op.f("pk_ptz_lease")),
    )

    with op.batch_alter_table("camera", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column("sound", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(
            sa.Column("sound_reason", sa.String(length=300), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("analysed_by", sa.String(length=10), nullable=False, server_default="hub")
        )
        batch_op.add_column(sa.Column("plan_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("plan_x", sa.Float(), nullable=True))
        batch_op.add_column(sa.Column("plan_y", sa.Float(), nullable=True))
        batch_op.create_index(batch_op.f("ix_camera_plan_id"), ["plan_id"], unique=False)

    with op.batch_alter_table("export_request", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column("sound", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch_op.add_column(
            sa.Column("rendition", sa.String(length=10), nullable=False, server_default="raw")
        )
        batch_op.add_column(sa.Column("picture_masks", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("previews", JsonValue, nullable=True))

    with op.batch_alter_table("view_record", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column("sound", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    _codecs_of(40, before=20)


def downgrade() -> None:
    """Take back."""
    op.execute("UPDATE segment SET codec = substr(codec, 1, 20) WHERE length(codec) > 20")
    _codecs_of(20, before=40)

    with op.batch_alter_table("view_record", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("sound")

    with op.batch_alter_table("export_request", schema=None, recreate="never") as batch_op:
        batch_op.drop_column("previews")
        batch_op.drop_column("picture_masks")
        batch_op.drop_column("rendition")
        batch_op.drop_column("sound")

    with op.batch_alter_table("camera", schema=None, recreate="never") as batch_op:
        batch_op.drop_index(batch_op.f("ix_camera_plan_id"))
        batch_op.drop_column("plan_y")
        batch_op.drop_column("plan_x")
        batch_op.drop_column("plan_id")
        batch_op.drop_column("analysed_by")
        batch_op.drop_column("sound_reason")
        batch_op.drop_column("sound")

    with op.batch_alter_table("site_plan", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_site_plan_area"))

    op.drop_table("site_plan")
    op.drop_table("ptz_lease")


def _codecs_of(length: int, *, before: int) -> None:
    """Let codecs of segments be so long. There may be millions: no row is touched.

    SQLite keeps no lengths; there the text of the table is changed, as its page on ALTER TABLE
    describes for changes that leave what is stored as it is.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        op.alter_column("segment", "codec", type_=sa.String(length), existing_nullable=False)
        return
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    op.execute("PRAGMA writable_schema = ON")
    change = sa.text(
        "UPDATE sqlite_master SET sql = replace(sql, :before, :after) "
        "WHERE type = 'table' AND name = 'segment'"
    )
    names = {"before": f"codec VARCHAR({before})", "after": f"codec VARCHAR({length})"}
    connection.execute(change, names)
    op.execute(f"PRAGMA schema_version = {version + 1}")
    op.execute("PRAGMA writable_schema = OFF")
