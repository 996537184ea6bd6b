"""Requests under a key, by which each is carried out once."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "keyed_requests",
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("claim_id", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("lease_until", _MOMENT, nullable=False),
        sa.Column("answered_at", _MOMENT, nullable=True),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("headers", sa.Text, nullable=True),
        sa.Column("object_name", sa.String(131), nullable=True),
        sa.Column("size", sa.BigInteger, nullable=True),
        sa.CheckConstraint(
            "(answered_at IS NULL) = (status IS NULL) AND (answered_at IS NULL) = (headers IS NULL) "
            "AND (answered_at IS NULL) = (object_name IS NULL) AND (answered_at IS NULL) = (size IS NULL)",
            name=op.f("ck_keyed_requests_answered"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_keyed_requests_organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "key", name=op.f("pk_keyed_requests")),
    )
    op.create_index(op.f("ix_keyed_requests_claim_id"), "keyed_requests", ["claim_id"], unique=True)
    op.create_index(op.f("ix_keyed_requests_answered_at"), "keyed_requests", ["answered_at"])
    op.create_index(op.f("ix_keyed_requests_object_name"), "keyed_requests", ["object_name"])


def downgrade() -> None:
    """Drop the table, and with it all answers that were kept."""
    op.drop_table("keyed_requests")
