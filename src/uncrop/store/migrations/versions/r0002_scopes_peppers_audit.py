"""Scopes of keys, the pepper that each was hashed with, rotation, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID_BYTES = 8
_APPEND_ONLY = "the audit log can only be added to"


def upgrade() -> None:
    """Add the columns, note the pepper of the keys that are there, and make the log."""
    op.add_column(
        "organizations", sa.Column("may_use_server_keys", sa.Boolean, nullable=False, server_default=sa.true())
    )
    op.add_column("api_keys", sa.Column("pepper", sa.String(16), nullable=False, server_default="unknown"))
    op.add_column(
        "api_keys", sa.Column("scopes", sa.String(200), nullable=False, server_default="images:write usage:read")
    )
    op.add_column("api_keys", sa.Column("replaced_by", sa.String(10), nullable=True))
    noted = op.get_bind().execute(sa.text("SELECT fingerprint FROM pepper_fingerprint")).scalar_one_or_none()
    if noted is not None:
        pepper = bytes(noted)[:_ID_BYTES].hex()
        op.get_bind().execute(sa.text("UPDATE api_keys SET pepper = :pepper"), {"pepper": pepper})
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False, autoincrement=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(40), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=True),
        sa.Column("target", sa.String(120), nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_organization_id_id"), "audit_log", ["organization_id", "id"])
    _only_add()


def _only_add() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_no_{event.lower()} BEFORE {event} ON audit_log "
                f"BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_log_only_add() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_add()"
    )


def downgrade() -> None:
    """Take all of it away again."""
    op.drop_table("audit_log")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_log_only_add()")
    for column in ("replaced_by", "scopes", "pepper"):
        op.drop_column("api_keys", column)
    op.drop_column("organizations", "may_use_server_keys")
