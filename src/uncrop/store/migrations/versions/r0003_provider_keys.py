"""Keys of providers that are an organization's own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "provider_keys",
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("encryption_key", sa.String(16), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_provider_keys_organization_id")
        ),
        sa.PrimaryKeyConstraint("organization_id", "provider", name=op.f("pk_provider_keys")),
    )


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("provider_keys")
