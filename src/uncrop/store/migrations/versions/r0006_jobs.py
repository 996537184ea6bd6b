"""Pictures that are made in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("key_id", sa.String(10), nullable=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("accept", sa.String(200), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("calls_sent", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(9), nullable=True),
        sa.Column("per_mille", sa.Integer, nullable=True),
        sa.Column("result_bytes", sa.BigInteger, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.Column("idempotency_key", sa.String(255), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=True),
        sa.Column("sent_at", _MOMENT, nullable=True),
        sa.Column("cancel_requested_at", _MOMENT, nullable=True),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.Column("expires_at", _MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'unknown')", name=op.f("ck_jobs_state")
        ),
        sa.CheckConstraint("(state IN ('queued', 'running')) = (ended_at IS NULL)", name=op.f("ck_jobs_ended")),
        sa.CheckConstraint("calls_sent >= 0", name=op.f("ck_jobs_calls")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_jobs_organization_id")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_jobs_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    op.create_index(
        op.f("ix_jobs_organization_id_idempotency_key"), "jobs", ["organization_id", "idempotency_key"], unique=True
    )
    op.create_index(op.f("ix_jobs_key_id"), "jobs", ["key_id"])
    op.create_index(op.f("ix_jobs_organization_id_id"), "jobs", ["organization_id", "id"])
    op.create_index(op.f("ix_jobs_organization_id_state"), "jobs", ["organization_id", "state"])
    op.create_index(op.f("ix_jobs_expires_at"), "jobs", ["expires_at"])


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("jobs")
