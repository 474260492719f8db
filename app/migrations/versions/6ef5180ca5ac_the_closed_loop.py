"""The closed loop.

Revision: 6ef5180ca5ac
After: bcfccc58eeb4
"""

import sqlalchemy as sa
from alembic import op

from core.database import JsonValue, UtcDateTime

revision = "6ef5180ca5ac"
down_revision = "bcfccc58eeb4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "area",
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("level", sa.String(length=12), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_area")),
    )
    op.create_table(
        "beat",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_beat")),
    )
    op.create_table(
        "department",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_department")),
    )
    with op.batch_alter_table("department", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_department_area"), ["area"], unique=False)

    op.create_table(
        "dispatch_policy",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("body", JsonValue, nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("updated_by_id", sa.Uuid(), nullable=True),
        sa.Column("updated_by_name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_dispatch_policy")),
    )
    op.create_table(
        "gateway",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("url_sealed", sa.String(length=4000), nullable=False),
        sa.Column("secret_sealed", sa.String(length=1000), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("room", sa.String(length=80), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.Column("last_ok_at", UtcDateTime(), nullable=True),
        sa.Column("last_failed_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway")),
    )
    with op.batch_alter_table("gateway", schema=None) as batch_op:
        batch_op.create_index(
            "uq_gateway_name_present",
            ["name"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "rota",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("post", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota")),
    )
    with op.batch_alter_table("rota", schema=None) as batch_op:
        batch_op.create_index("ix_rota_area", ["area", "post"], unique=False)

    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("sealed_secret", sa.Text(), nullable=False),
        sa.Column("types", JsonValue, nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("cursor_seq", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.Integer(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("failing_since", UtcDateTime(), nullable=True),
        sa.Column("next_try_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(length=300), nullable=False),
        sa.Column("last_ok_at", UtcDateTime(), nullable=True),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=True),
        sa.Column("recipient_kind", sa.String(length=12), nullable=False),
        sa.Column("recipient_id", sa.Uuid(), nullable=False),
        sa.Column("recipient_name", sa.String(length=200), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=12), nullable=False),
        sa.Column("point_id", sa.Uuid(), nullable=True),
        sa.Column("gateway_id", sa.Uuid(), nullable=True),
        sa.Column("lane", sa.String(length=120), nullable=False),
        sa.Column("purpose", sa.String(length=12), nullable=False),
        sa.Column("round_key", sa.String(length=60), nullable=False),
        sa.Column("about", JsonValue, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.String(length=300), nullable=False),
        sa.Column("provider_key", sa.Uuid(), nullable=False),
        sa.Column("provider_ref", sa.String(length=200), nullable=False),
        sa.Column("answer_hash", sa.String(length=64), nullable=True),
        sa.Column("answer", sa.String(length=12), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("eta_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_delivery_incident_id_incident")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("key", "attempt", name=op.f("uq_delivery_key_attempt")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_answer_hash", ["answer_hash"], unique=False)
        batch_op.create_index(
            "ix_delivery_incident_id", ["incident_id", "created_at"], unique=False
        )
        batch_op.create_index("ix_delivery_provider_key", ["provider_key"], unique=False)
        batch_op.create_index(
            "ix_delivery_sending",
            ["leased_until"],
            unique=False,
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.create_index(
            "ix_delivery_waiting",
            ["rank", "not_before"],
            unique=False,
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "department_member",
        sa.Column("department_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_department_member_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["department_id"],
            ["department.id"],
            name=op.f("fk_department_member_department_id_department"),
        ),
        sa.PrimaryKeyConstraint("department_id", "account_id", name=op.f("pk_department_member")),
    )
    with op.batch_alter_table("department_member", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_department_member_account_id"), ["account_id"], unique=False
        )

    op.create_table(
        "gateway_callback",
        sa.Column("gateway_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_id"],
            ["gateway.id"],
            name=op.f("fk_gateway_callback_gateway_id_gateway"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("gateway_id", "message_id", name=op.f("pk_gateway_callback")),
    )
    op.create_table(
        "hand_over",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rota_id", sa.Uuid(), nullable=False),
        sa.Column("from_id", sa.Uuid(), nullable=False),
        sa.Column("to_id", sa.Uuid(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("open_incidents", JsonValue, nullable=False),
        sa.Column("offered_at", UtcDateTime(), nullable=False),
        sa.Column("given_at", UtcDateTime(), nullable=True),
        sa.Column("taken_at", UtcDateTime(), nullable=True),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("refused_by_id", sa.Uuid(), nullable=True),
        sa.Column("refused_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["from_id"], ["account.id"], name=op.f("fk_hand_over_from_id_account")
        ),
        sa.ForeignKeyConstraint(["rota_id"], ["rota.id"], name=op.f("fk_hand_over_rota_id_rota")),
        sa.ForeignKeyConstraint(["to_id"], ["account.id"], name=op.f("fk_hand_over_to_id_account")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_over")),
    )
    with op.batch_alter_table("hand_over", schema=None) as batch_op:
        batch_op.create_index("ix_hand_over_rota_id", ["rota_id", "offered_at"], unique=False)

    op.create_table(
        "household_contact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("relation", sa.String(length=60), nullable=False),
        sa.Column("locale", sa.String(length=16), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("agreed_at", UtcDateTime(), nullable=True),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["household.id"],
            name=op.f("fk_household_contact_household_id_household"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_contact")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_household_contact_token_hash")),
    )
    with op.batch_alter_table("household_contact", schema=None) as batch_op:
        batch_op.create_index("ix_household_contact_household_id", ["household_id"], unique=False)

    op.create_table(
        "pairing_code",
        sa.Column("code_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("prefix_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_pairing_code_household_id_household")
        ),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_pairing_code")),
    )
    with op.batch_alter_table("pairing_code", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_pairing_code_household_id"), ["household_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_pairing_code_prefix_hash"), ["prefix_hash"], unique=False
        )

    op.create_table(
        "push_subscription",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("device_id", sa.Uuid(), nullable=True),
        sa.Column("endpoint_hash", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=100), nullable=False),
        sa.Column("subscription_sealed", sa.String(length=4000), nullable=False),
        sa.Column("user_agent", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("failed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_push_subscription_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscription")),
        sa.UniqueConstraint("endpoint_hash", name=op.f("uq_push_subscription_endpoint_hash")),
    )
    with op.batch_alter_table("push_subscription", schema=None) as batch_op:
        batch_op.create_index("ix_push_subscription_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_push_subscription_device_id", ["device_id"], unique=False)

    op.create_table(
        "rota_override",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rota_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", UtcDateTime(), nullable=False),
        sa.Column("until_at", UtcDateTime(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("replaces_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_rota_override_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["replaces_id"], ["account.id"], name=op.f("fk_rota_override_replaces_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["rota_id"], ["rota.id"], name=op.f("fk_rota_override_rota_id_rota")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_override")),
    )
    with op.batch_alter_table("rota_override", schema=None) as batch_op:
        batch_op.create_index("ix_rota_override_rota_id", ["rota_id", "until_at"], unique=False)

    op.create_table(
        "rota_slot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rota_id", sa.Uuid(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("starts", sa.String(length=5), nullable=False),
        sa.Column("ends", sa.String(length=5), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_rota_slot_account_id_account")
        ),
        sa.ForeignKeyConstraint(["rota_id"], ["rota.id"], name=op.f("fk_rota_slot_rota_id_rota")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rota_slot")),
    )
    with op.batch_alter_table("rota_slot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rota_slot_account_id"), ["account_id"], unique=False)
        batch_op.create_index("ix_rota_slot_rota_id", ["rota_id"], unique=False)

    op.create_table(
        "alarm_device",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=True),
        sa.Column("account_code", sa.String(length=16), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("heartbeat_s", sa.Integer(), nullable=True),
        sa.Column("last_seen_at", UtcDateTime(), nullable=True),
        sa.Column("last_counter", sa.BigInteger(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("battery_pct", sa.Integer(), nullable=True),
        sa.Column("battery_low_at", UtcDateTime(), nullable=True),
        sa.Column("tested_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_alarm_device_household_id_household")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["service_token.id"], name=op.f("fk_alarm_device_token_id_service_token")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_device")),
    )
    with op.batch_alter_table("alarm_device", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_alarm_device_household_id"), ["household_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_alarm_device_token_id"), ["token_id"], unique=False)
        batch_op.create_index(
            "uq_alarm_device_account_code",
            ["account_code"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "contact_point",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("contact_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.String(length=12), nullable=False),
        sa.Column("address_sealed", sa.String(length=1000), nullable=False),
        sa.Column("label", sa.String(length=60), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("verified_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_contact_point_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"],
            ["household_contact.id"],
            name=op.f("fk_contact_point_contact_id_household_contact"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_point")),
    )
    with op.batch_alter_table("contact_point", schema=None) as batch_op:
        batch_op.create_index("ix_contact_point_account_id", ["account_id"], unique=False)
        batch_op.create_index("ix_contact_point_contact_id", ["contact_id"], unique=False)

    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("kind", sa.String(length=8), server_default="signal", nullable=False)
        )
        batch_op.add_column(sa.Column("added_by_id", sa.Uuid(), nullable=True))
        batch_op.add_column(
            sa.Column("added_by_name", sa.String(length=200), server_default="", nullable=False)
        )
        batch_op.alter_column("signal_id", existing_type=sa.CHAR(length=32), nullable=True)

    with op.batch_alter_table("incident", schema=None, recreate="never") as batch_op:
        batch_op.add_column(sa.Column("waiting_for", sa.String(length=20), nullable=True))
        batch_op.add_column(
            sa.Column("policy", JsonValue, nullable=False, server_default=sa.text("'{}'"))
        )
        batch_op.add_column(sa.Column("level", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("round", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("ring_from", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("department_id", sa.Uuid(), nullable=True))
        batch_op.add_column(
            sa.Column("department_name", sa.String(length=200), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("assignee_id", sa.Uuid(), nullable=True))
        batch_op.add_column(
            sa.Column("assignee_name", sa.String(length=200), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("returns", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("suspended_until", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("merged_into_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("merged_from", sa.String(length=12), nullable=True))
        batch_op.add_column(sa.Column("progress", sa.String(length=12), nullable=True))
        batch_op.add_column(sa.Column("progress_at", UtcDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("progress_by_name", sa.String(length=200), nullable=False, server_default="")
        )
        batch_op.add_column(sa.Column("eta_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("archived_at", UtcDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("result_photos", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("location", JsonValue, nullable=True))
        batch_op.create_index(
            "ix_incident_household_id", ["household_id", "opened_at"], unique=False
        )
        batch_op.create_index("ix_incident_merged_into_id", ["merged_into_id"], unique=False)

    with op.batch_alter_table("service_token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("household_id", sa.Uuid(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_service_token_household_id_household"),
            "household",
            ["household_id"],
            ["id"],
        )

    with op.batch_alter_table("timer", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
        batch_op.drop_index(
            batch_op.f("ix_timer_due_at"),
            sqlite_where=sa.text("fired_at IS NULL AND cancelled_at IS NULL"),
        )
        batch_op.create_index(
            "ix_timer_pending",
            ["rank", "due_at"],
            unique=False,
            sqlite_where=sa.text("fired_at IS NULL AND cancelled_at IS NULL"),
            postgresql_where=sa.text("fired_at IS NULL AND cancelled_at IS NULL"),
        )


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("timer", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_timer_pending",
            sqlite_where=sa.text("fired_at IS NULL AND cancelled_at IS NULL"),
            postgresql_where=sa.text("fired_at IS NULL AND cancelled_at IS NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_timer_due_at"),
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("fired_at IS NULL AND cancelled_at IS NULL"),
        )
        batch_op.drop_column("rank")

    with op.batch_alter_table("service_token", schema=None) as batch_op:
        batch_op.drop_constraint(
            batch_op.f("fk_service_token_household_id_household"), type_="foreignkey"
        )
        batch_op.drop_column("household_id")

    with op.batch_alter_table("incident", schema=None, recreate="never") as batch_op:
        batch_op.drop_index("ix_incident_merged_into_id")
        batch_op.drop_index("ix_incident_household_id")
        batch_op.drop_column("location")
        batch_op.drop_column("result_photos")
        batch_op.drop_column("archived_at")
        batch_op.drop_column("eta_at")
        batch_op.drop_column("progress_by_name")
        batch_op.drop_column("progress_at")
        batch_op.drop_column("progress")
        batch_op.drop_column("merged_from")
        batch_op.drop_column("merged_into_id")
        batch_op.drop_column("suspended_until")
        batch_op.drop_column("returns")
        batch_op.drop_column("assignee_name")
        batch_op.drop_column("assignee_id")
        batch_op.drop_column("department_name")
        batch_op.drop_column("department_id")
        batch_op.drop_column("ring_from")
        batch_op.drop_column("round")
        batch_op.drop_column("level")
        batch_op.drop_column("policy")
        batch_op.drop_column("waiting_for")

    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.alter_column("signal_id", existing_type=sa.CHAR(length=32), nullable=False)
        batch_op.drop_column("added_by_name")
        batch_op.drop_column("added_by_id")
        batch_op.drop_column("kind")

    with op.batch_alter_table("contact_point", schema=None) as batch_op:
        batch_op.drop_index("ix_contact_point_contact_id")
        batch_op.drop_index("ix_contact_point_account_id")

    op.drop_table("contact_point")
    with op.batch_alter_table("alarm_device", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_alarm_device_account_code",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_alarm_device_token_id"))
        batch_op.drop_index(batch_op.f("ix_alarm_device_household_id"))

    op.drop_table("alarm_device")
    with op.batch_alter_table("rota_slot", schema=None) as batch_op:
        batch_op.drop_index("ix_rota_slot_rota_id")
        batch_op.drop_index(batch_op.f("ix_rota_slot_account_id"))

    op.drop_table("rota_slot")
    with op.batch_alter_table("rota_override", schema=None) as batch_op:
        batch_op.drop_index("ix_rota_override_rota_id")

    op.drop_table("rota_override")
    with op.batch_alter_table("push_subscription", schema=None) as batch_op:
        batch_op.drop_index("ix_push_subscription_device_id")
        batch_op.drop_index("ix_push_subscription_account_id")

    op.drop_table("push_subscription")
    with op.batch_alter_table("pairing_code", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pairing_code_prefix_hash"))
        batch_op.drop_index(batch_op.f("ix_pairing_code_household_id"))

    op.drop_table("pairing_code")
    with op.batch_alter_table("household_contact", schema=None) as batch_op:
        batch_op.drop_index("ix_household_contact_household_id")

    op.drop_table("household_contact")
    with op.batch_alter_table("hand_over", schema=None) as batch_op:
        batch_op.drop_index("ix_hand_over_rota_id")

    op.drop_table("hand_over")
    op.drop_table("gateway_callback")
    with op.batch_alter_table("department_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_department_member_account_id"))

    op.drop_table("department_member")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_delivery_waiting",
            sqlite_where=sa.text("state = 'waiting'"),
            postgresql_where=sa.text("state = 'waiting'"),
        )
        batch_op.drop_index(
            "ix_delivery_sending",
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.drop_index("ix_delivery_provider_key")
        batch_op.drop_index("ix_delivery_incident_id")
        batch_op.drop_index("ix_delivery_answer_hash")

    op.drop_table("delivery")
    op.drop_table("webhook")
    with op.batch_alter_table("rota", schema=None) as batch_op:
        batch_op.drop_index("ix_rota_area")

    op.drop_table("rota")
    with op.batch_alter_table("gateway", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_gateway_name_present",
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.drop_table("gateway")
    op.drop_table("dispatch_policy")
    with op.batch_alter_table("department", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_department_area"))

    op.drop_table("department")
    op.drop_table("beat")
    op.drop_table("area")
