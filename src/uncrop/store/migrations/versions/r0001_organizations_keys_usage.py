"""Organizations, their keys, and what they use."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the first four tables."""
    op.create_table(
        "organizations",
        sa.Column("id", sa.String(68), nullable=False),
        sa.Column("name", sa.String(200), nullable=True),
        sa.Column("daily_limit", sa.Integer, nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.CheckConstraint("daily_limit IS NULL OR daily_limit >= 0", name=op.f("ck_organizations_daily_limit")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(10), nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("name", sa.String(200), nullable=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.Column("paused_at", _MOMENT, nullable=True),
        sa.Column("revoked_at", _MOMENT, nullable=True),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_api_keys_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_organization_id"), "api_keys", ["organization_id"])
    create_usage()
    op.create_table(
        "pepper_fingerprint",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_pepper_fingerprint_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pepper_fingerprint")),
    )


def create_usage() -> None:
    """Make the table of usage, as it was before the ledger."""
    op.create_table(
        "usage",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("key_id", sa.String(10), nullable=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("model", sa.String(200), nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("millicredits", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("settled_at", _MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('reserved', 'captured', 'released')", name=op.f("ck_usage_state")),
        sa.CheckConstraint("(state = 'reserved') = (settled_at IS NULL)", name=op.f("ck_usage_settled")),
        sa.CheckConstraint(
            "millicredits >= 0 AND input_tokens >= 0 AND output_tokens >= 0", name=op.f("ck_usage_amounts")
        ),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_usage_key_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_usage_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage")),
    )
    op.create_index(op.f("ix_usage_key_id"), "usage", ["key_id"])
    op.create_index(op.f("ix_usage_organization_id_day_state"), "usage", ["organization_id", "day", "state"])
    op.create_index(op.f("ix_usage_day_provider"), "usage", ["day", "provider"])
    op.create_index(op.f("ix_usage_state_created_at"), "usage", ["state", "created_at"])


def downgrade() -> None:
    """Drop them again."""
    for table in ("usage", "pepper_fingerprint", "api_keys", "organizations"):
        op.drop_table(table)
