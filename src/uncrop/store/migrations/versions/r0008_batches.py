"""Batches of photos."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make their tables."""
    op.create_table(
        "batches",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("photos", sa.Integer, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("hand_backs", sa.Integer, nullable=False),
        sa.Column("max_usd_micro", sa.BigInteger, nullable=True),
        sa.Column("usd_micro", sa.BigInteger, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT, nullable=True),
        sa.CheckConstraint("state IN ('planning', 'open', 'stopped', 'ended')", name=op.f("ck_batches_state")),
        sa.CheckConstraint("usd_micro >= 0", name=op.f("ck_batches_usd_micro")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_batches_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    _photos()


def _photos() -> None:
    op.create_table(
        "batch_photos",
        sa.Column("batch_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("output_digest", sa.String(32), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("billed", sa.Boolean, nullable=False),
        sa.Column("price_usd_micro", sa.BigInteger, nullable=True),
        sa.Column("calls_planned", sa.Integer, nullable=False),
        sa.Column("replace", sa.Boolean, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("chunk", sa.Integer, nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("calls_sent", sa.Integer, nullable=False),
        sa.Column("claim_id", sa.String(32), nullable=True),
        sa.Column("provider", sa.String(40), nullable=True),
        sa.Column("width", sa.Integer, nullable=True),
        sa.Column("height", sa.Integer, nullable=True),
        sa.Column("seed", sa.BigInteger, nullable=True),
        sa.Column("confidence", sa.Float, nullable=True),
        sa.Column("calls", sa.Integer, nullable=True),
        sa.Column("usd_micro", sa.BigInteger, nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("bytes", sa.BigInteger, nullable=True),
        sa.Column("milliseconds", sa.Integer, nullable=True),
        sa.Column("error", sa.Text, nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'skipped', 'failed', 'unknown')", name=op.f("ck_batch_photos_state")
        ),
        sa.CheckConstraint("calls_sent >= 0", name=op.f("ck_batch_photos_calls")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_photos_batch_id")),
        sa.PrimaryKeyConstraint("batch_id", "number", name=op.f("pk_batch_photos")),
    )
    op.create_index(
        op.f("ix_batch_photos_batch_id_output_digest"), "batch_photos", ["batch_id", "output_digest"], unique=True
    )
    op.create_index(op.f("ix_batch_photos_batch_id_state_chunk"), "batch_photos", ["batch_id", "state", "chunk"])


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("batch_photos")
    op.drop_table("batches")
