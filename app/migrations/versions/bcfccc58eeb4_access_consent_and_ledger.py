"""Access, consent and the ledger.

Revision: bcfccc58eeb4
After: 967d8f28c79c
"""

import sqlalchemy as sa
from alembic import op

from access.ledger.models import guard_statements
from core.database import JsonValue, UtcDateTime

revision = "bcfccc58eeb4"
down_revision = "967d8f28c79c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household")),
    )
    with op.batch_alter_table("household", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_household_area"), ["area"], unique=False)

    op.create_table(
        "ledger_checkpoint",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_checkpoint")),
    )
    op.create_table(
        "ledger_entry",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("area", sa.String(length=255), nullable=False),
        sa.Column("actor_kind", sa.String(length=12), nullable=False),
        sa.Column("actor_id", sa.String(length=36), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_entry")),
    )
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_entry_actor_id_seq", ["actor_id", "seq"], unique=False)
        batch_op.create_index("ix_ledger_entry_kind_seq", ["kind", "seq"], unique=False)
        batch_op.create_index("ix_ledger_entry_subject_seq", ["subject", "seq"], unique=False)

    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_head")),
    )
    op.create_table(
        "rule_file",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rule_file")),
    )
    op.create_table(
        "spent_ticket",
        sa.Column("ticket_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("ticket_hash", name=op.f("pk_spent_ticket")),
    )
    with op.batch_alter_table("spent_ticket", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_spent_ticket_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "alarm_opening",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_alarm_opening_household_id_household")
        ),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_alarm_opening")),
    )
    with op.batch_alter_table("alarm_opening", schema=None) as batch_op:
        batch_op.create_index(
            "ix_alarm_opening_household_id", ["household_id", "ended_at"], unique=False
        )

    op.create_table(
        "consent_grant",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=True),
        sa.Column("hours", JsonValue, nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.Column("redacted", sa.Boolean(), nullable=False),
        sa.Column("on_detection", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        sa.Column("given_at", UtcDateTime(), nullable=False),
        sa.Column("withdrawn_at", UtcDateTime(), nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "kind = 'alarm' OR (account_id IS NOT NULL AND ends_at IS NOT NULL)",
            name=op.f("ck_consent_grant_share_is_to_somebody_until"),
        ),
        sa.CheckConstraint(
            "kind = 'share' OR account_id IS NULL",
            name=op.f("ck_consent_grant_alarm_is_to_nobody_by_name"),
        ),
        sa.CheckConstraint("kind IN ('share', 'alarm')", name=op.f("ck_consent_grant_kind")),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_consent_grant_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["given_by"], ["account.id"], name=op.f("fk_consent_grant_given_by_account")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_consent_grant_household_id_household")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_grant")),
    )
    with op.batch_alter_table("consent_grant", schema=None) as batch_op:
        batch_op.create_index("ix_consent_grant_account_id", ["account_id", "id"], unique=False)
        batch_op.create_index("ix_consent_grant_camera_id", ["camera_id", "id"], unique=False)
        batch_op.create_index("ix_consent_grant_household_id", ["household_id", "id"], unique=False)

    op.create_table(
        "export_request",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("incident_number", sa.String(length=24), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("camera_id", sa.Uuid(), nullable=True),
        sa.Column("camera_name", sa.String(length=200), nullable=False),
        sa.Column("place_kind", sa.String(length=20), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("attachment_ids", JsonValue, nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("audience", sa.String(length=12), nullable=False),
        sa.Column("expires_in_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("ready_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "audience IN ('authority', 'publication', 'subject')",
            name=op.f("ck_export_request_audience"),
        ),
        sa.CheckConstraint(
            "state IN ('requested', 'approved', 'building', 'ready', 'refused', 'withdrawn', "
            "'expired', 'failed')",
            name=op.f("ck_export_request_state"),
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["account.id"], name=op.f("fk_export_request_decided_by_account")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_export_request_incident_id_incident")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["account.id"], name=op.f("fk_export_request_requested_by_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_export_request")),
        sa.UniqueConstraint("year", "ordinal", name=op.f("uq_export_request_year_ordinal")),
    )
    with op.batch_alter_table("export_request", schema=None) as batch_op:
        batch_op.create_index("ix_export_request_area_id", ["area", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_export_request_incident_id"), ["incident_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_export_request_requested_by"), ["requested_by"], unique=False
        )
        batch_op.create_index("ix_export_request_state", ["state"], unique=False)

    op.create_table(
        "factor_challenge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("nonce", sa.String(length=100), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_factor_challenge_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factor_challenge")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_factor_challenge_token_hash")),
    )
    with op.batch_alter_table("factor_challenge", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_factor_challenge_account_id"), ["account_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_factor_challenge_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "household_digest",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("data", JsonValue, nullable=False),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["household.id"],
            name=op.f("fk_household_digest_household_id_household"),
        ),
        sa.PrimaryKeyConstraint("household_id", "month", name=op.f("pk_household_digest")),
    )
    op.create_table(
        "household_member",
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_household_member_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["household_id"],
            ["household.id"],
            name=op.f("fk_household_member_household_id_household"),
        ),
        sa.PrimaryKeyConstraint("household_id", "account_id", name=op.f("pk_household_member")),
    )
    with op.batch_alter_table("household_member", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_household_member_account_id"), ["account_id"], unique=False
        )

    op.create_table(
        "oidc_identity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_oidc_identity_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oidc_identity")),
        sa.UniqueConstraint("account_id", name=op.f("uq_oidc_identity_account_id")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_oidc_identity_issuer_subject")),
    )
    op.create_table(
        "passkey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("public_key", sa.String(length=2000), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("transports", JsonValue, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_passkey_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    with op.batch_alter_table("passkey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passkey_account_id"), ["account_id"], unique=False)

    op.create_table(
        "recovery_code",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(length=64), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_recovery_code_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_code")),
    )
    with op.batch_alter_table("recovery_code", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_recovery_code_account_id"), ["account_id"], unique=False
        )

    op.create_table(
        "seal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("incident_number", sa.String(length=24), nullable=False),
        sa.Column("area", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("approved_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("lifted", sa.Boolean(), nullable=False),
        sa.CheckConstraint("approved_by <> requested_by", name=op.f("ck_seal_second_person")),
        sa.ForeignKeyConstraint(
            ["approved_by"], ["account.id"], name=op.f("fk_seal_approved_by_account")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["account.id"], name=op.f("fk_seal_requested_by_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seal")),
    )
    with op.batch_alter_table("seal", schema=None) as batch_op:
        batch_op.create_index("ix_seal_area_id", ["area", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_seal_incident_id"), ["incident_id"], unique=False)
        batch_op.create_index("ix_seal_number", ["incident_number"], unique=False)
        batch_op.create_index(
            "uq_seal_incident_id_open",
            ["incident_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "totp_secret",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.String(length=400), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["account.id"],
            name=op.f("fk_totp_secret_account_id_account"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_totp_secret")),
    )
    op.create_table(
        "alarm_responder",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_alarm_responder_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["alarm_opening.incident_id"],
            name=op.f("fk_alarm_responder_incident_id_alarm_opening"),
        ),
        sa.PrimaryKeyConstraint("incident_id", "account_id", name=op.f("pk_alarm_responder")),
    )
    with op.batch_alter_table("alarm_responder", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_alarm_responder_account_id"), ["account_id"], unique=False
        )

    # Never made anew: other tables point at these, and SQLite would see them orphaned.
    with op.batch_alter_table("account", schema=None, recreate="never") as batch_op:
        batch_op.add_column(
            sa.Column(
                "must_change_password", sa.Boolean(), server_default=sa.false(), nullable=False
            )
        )
        batch_op.add_column(sa.Column("password_set_by", sa.String(length=80), nullable=True))
        batch_op.add_column(sa.Column("password_set_by_other_at", UtcDateTime(), nullable=True))
        batch_op.add_column(
            sa.Column("has_second_factor", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    with op.batch_alter_table("camera", schema=None, recreate="never") as batch_op:
        batch_op.add_column(sa.Column("household_id", sa.Uuid(), nullable=True))
        batch_op.add_column(
            sa.Column("place_type", sa.String(length=40), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("purpose", sa.String(length=300), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("owner", sa.String(length=120), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("contact", sa.String(length=200), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("retention_hours", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("retention_reason", sa.String(length=300), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("signage", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column(
                "residents_may_watch", sa.Boolean(), server_default=sa.false(), nullable=False
            )
        )
        batch_op.add_column(sa.Column("masks", JsonValue, server_default="[]", nullable=False))
        batch_op.add_column(
            sa.Column("masks_burnt", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.create_index(batch_op.f("ix_camera_household_id"), ["household_id"], unique=False)

    with op.batch_alter_table("incident", schema=None, recreate="never") as batch_op:
        batch_op.add_column(sa.Column("household_id", sa.Uuid(), nullable=True))

    with op.batch_alter_table("view_record", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("reference", sa.String(length=80), server_default="", nullable=False)
        )
        batch_op.add_column(sa.Column("grant_id", sa.Uuid(), nullable=True))
        batch_op.add_column(
            sa.Column("redacted", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("household_id", sa.Uuid(), nullable=True))
        batch_op.add_column(
            sa.Column("place_kind", sa.String(length=20), server_default="", nullable=False)
        )
        batch_op.add_column(
            sa.Column("role", sa.String(length=20), server_default="", nullable=False)
        )
        batch_op.create_index(
            "ix_view_records_household_id_id", ["household_id", "id"], unique=False
        )
        batch_op.create_index("ix_view_records_started_at", ["started_at"], unique=False)

    dialect = op.get_bind().dialect.name
    kinds = "'live', 'snapshot', 'incident_image', 'playback', 'thumbnail', 'export'"
    if dialect == "postgresql":
        op.drop_constraint(op.f("ck_view_record_kind"), "view_record", type_="check")
    # SQLite forgets the old condition by itself when the table is made anew for the new one.
    with op.batch_alter_table("view_record", schema=None) as batch_op:
        batch_op.create_check_constraint(op.f("ck_view_record_kind"), f"kind IN ({kinds})")
    # What first light wrote as "incident 2026-000012" is a purpose and its reference.
    op.execute(
        "UPDATE view_record SET reference = substr(purpose, 10), purpose = 'incident' "
        "WHERE kind = 'incident_image' AND purpose LIKE 'incident %'"
    )
    op.execute(
        "UPDATE view_record SET place_kind = coalesce("
        "(SELECT camera.place_kind FROM camera WHERE camera.id = view_record.camera_id), '')"
    )
    for statement in guard_statements(dialect):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("view_record", schema=None) as batch_op:
        batch_op.drop_index("ix_view_records_started_at")
        batch_op.drop_index("ix_view_records_household_id_id")
        batch_op.drop_column("role")
        batch_op.drop_column("place_kind")
        batch_op.drop_column("household_id")
        batch_op.drop_column("redacted")
        batch_op.drop_column("grant_id")
        batch_op.drop_column("reference")

    with op.batch_alter_table("incident", schema=None) as batch_op:
        batch_op.drop_column("household_id")

    with op.batch_alter_table("camera", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_camera_household_id"))
        batch_op.drop_column("masks_burnt")
        batch_op.drop_column("masks")
        batch_op.drop_column("residents_may_watch")
        batch_op.drop_column("signage")
        batch_op.drop_column("retention_reason")
        batch_op.drop_column("retention_hours")
        batch_op.drop_column("contact")
        batch_op.drop_column("owner")
        batch_op.drop_column("purpose")
        batch_op.drop_column("place_type")
        batch_op.drop_column("household_id")

    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_column("has_second_factor")
        batch_op.drop_column("password_set_by_other_at")
        batch_op.drop_column("password_set_by")
        batch_op.drop_column("must_change_password")

    with op.batch_alter_table("alarm_responder", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_alarm_responder_account_id"))

    op.drop_table("alarm_responder")
    op.drop_table("totp_secret")
    with op.batch_alter_table("seal", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_seal_incident_id_open",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_seal_number")
        batch_op.drop_index(batch_op.f("ix_seal_incident_id"))
        batch_op.drop_index("ix_seal_area_id")

    op.drop_table("seal")
    with op.batch_alter_table("recovery_code", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recovery_code_account_id"))

    op.drop_table("recovery_code")
    with op.batch_alter_table("passkey", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passkey_account_id"))

    op.drop_table("passkey")
    op.drop_table("oidc_identity")
    with op.batch_alter_table("household_member", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_household_member_account_id"))

    op.drop_table("household_member")
    op.drop_table("household_digest")
    with op.batch_alter_table("factor_challenge", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_factor_challenge_expires_at"))
        batch_op.drop_index(batch_op.f("ix_factor_challenge_account_id"))

    op.drop_table("factor_challenge")
    with op.batch_alter_table("export_request", schema=None) as batch_op:
        batch_op.drop_index("ix_export_request_state")
        batch_op.drop_index(batch_op.f("ix_export_request_requested_by"))
        batch_op.drop_index(batch_op.f("ix_export_request_incident_id"))
        batch_op.drop_index("ix_export_request_area_id")

    op.drop_table("export_request")
    with op.batch_alter_table("consent_grant", schema=None) as batch_op:
        batch_op.drop_index("ix_consent_grant_household_id")
        batch_op.drop_index("ix_consent_grant_camera_id")
        batch_op.drop_index("ix_consent_grant_account_id")

    op.drop_table("consent_grant")
    with op.batch_alter_table("alarm_opening", schema=None) as batch_op:
        batch_op.drop_index("ix_alarm_opening_household_id")

    op.drop_table("alarm_opening")
    with op.batch_alter_table("spent_ticket", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_spent_ticket_expires_at"))

    op.drop_table("spent_ticket")
    op.drop_table("rule_file")
    op.drop_table("ledger_head")
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_entry_subject_seq")
        batch_op.drop_index("ix_ledger_entry_kind_seq")
        batch_op.drop_index("ix_ledger_entry_actor_id_seq")

    op.drop_table("ledger_entry")
    op.drop_table("ledger_checkpoint")
    with op.batch_alter_table("household", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_household_area"))

    op.drop_table("household")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS ledger_refuses()")
