"""The ledger in place of the table of usage, and policies of organizations and keys."""

import sqlalchemy as sa
from alembic import op

from uncrop.store.migrations.versions.r0001_organizations_keys_usage import create_usage

revision = "0004"
down_revision = "0003"

_MOMENT = sa.DateTime(timezone=True)
_LIMITS = {
    "pictures_per_day": "INTEGER",
    "requests_per_minute": "INTEGER",
    "requests_at_once": "INTEGER",
    "usd_micro_per_month": "BIGINT",
}
# From usage to holds: what was reserved when this version began may have been sent or not, so it is in doubt.
_HOLDS = """
INSERT INTO holds (id, organization_id, key_id, provider, model, state, calls_planned, calls_sent, calls_settled,
                   day, created_at, sent_at, settled_at)
SELECT id, organization_id, key_id, provider, model, CASE state WHEN 'reserved' THEN 'unknown' ELSE state END,
       1, 1, CASE state WHEN 'reserved' THEN 0 ELSE 1 END, day, created_at, created_at, settled_at
FROM usage
"""
_ENTRIES = """
INSERT INTO entries (hold_id, organization_id, key_id, provider, kind, unit, period, source, target, amount, call,
                     day, created_at)
SELECT id, organization_id, coalesce(key_id, ''), provider, '{kind}', {unit}, {period}, '{source}', '{target}',
       {amount}, {call}, day, coalesce({moment}, created_at)
FROM usage WHERE {where} ORDER BY created_at, id
"""
_BALANCES = """
INSERT INTO balances (organization_id, key_id, unit, period, held, spent)
SELECT organization_id, {key}, unit, period,
       sum(CASE WHEN target = 'held' THEN amount WHEN source = 'held' THEN -amount ELSE 0 END),
       sum(CASE WHEN target = 'spent' THEN amount WHEN source = 'spent' THEN -amount ELSE 0 END)
FROM entries {where} GROUP BY organization_id, {group} unit, period
"""


def upgrade() -> None:
    """Make the ledger, write into it what was used, and drop the table of usage."""
    _create_holds()
    _create_entries()
    _create_balances()
    _add_policies()
    _move_usage()
    op.drop_table("usage")
    _refuse_changes()


def _create_holds() -> None:
    op.create_table(
        "holds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("key_id", sa.String(10), nullable=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("model", sa.String(200), nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("calls_planned", sa.Integer, nullable=False),
        sa.Column("calls_sent", sa.Integer, nullable=False),
        sa.Column("calls_settled", sa.Integer, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("sent_at", _MOMENT, nullable=True),
        sa.Column("settled_at", _MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('held', 'unknown', 'captured', 'released', 'expired')", name=op.f("ck_holds_state")
        ),
        sa.CheckConstraint("(state IN ('held', 'unknown')) = (settled_at IS NULL)", name=op.f("ck_holds_settled")),
        sa.CheckConstraint("calls_settled >= 0 AND calls_settled <= calls_sent", name=op.f("ck_holds_calls")),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_holds_key_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_holds_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_key_id"), "holds", ["key_id"])
    op.create_index(op.f("ix_holds_state_created_at"), "holds", ["state", "created_at"])
    op.create_index(op.f("ix_holds_organization_id_created_at"), "holds", ["organization_id", "created_at"])


def _create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False, autoincrement=True),
        sa.Column("hold_id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("key_id", sa.String(10), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("source", sa.String(9), nullable=False),
        sa.Column("target", sa.String(9), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("call", sa.Integer, nullable=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_entries_amount")),
        sa.CheckConstraint(
            "source <> target AND source IN ('available', 'held', 'spent') "
            "AND target IN ('available', 'held', 'spent')",
            name=op.f("ck_entries_accounts"),
        ),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("fk_entries_hold_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_hold_id"), "entries", ["hold_id"])


def _create_balances() -> None:
    keys = ("organization_id", "key_id", "unit", "period")
    op.create_table(
        "balances",
        sa.Column("organization_id", sa.String(68), nullable=False),
        sa.Column("key_id", sa.String(10), nullable=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("spent", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*keys, name=op.f("pk_balances")),
    )


def _add_policies() -> None:
    # Statement by statement: SQLite would have to make a table anew that others point to.
    op.execute("ALTER TABLE organizations RENAME COLUMN daily_limit TO pictures_per_day")
    for table in ("organizations", "api_keys"):
        for name, kind in _LIMITS.items():
            if (table, name) != ("organizations", "pictures_per_day"):
                rule = f"CONSTRAINT ck_{table}_{name} CHECK ({name} IS NULL OR {name} >= 0)"
                op.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind} {rule}")
        op.add_column(table, sa.Column("providers", sa.String(1000), nullable=True))


def _move_usage() -> None:
    day = "strftime('%Y-%m-%d', day)" if _is_sqlite() else "to_char(day, 'YYYY-MM-DD')"
    month = f"substr({day}, 1, 7)"
    picture = {"unit": "'picture'", "period": day, "amount": "1", "call": "NULL", "moment": "settled_at"}
    first = {**picture, "kind": "hold", "source": "available", "target": "held", "moment": "created_at"}
    made = {**picture, "kind": "capture", "source": "held", "target": "spent", "where": "state = 'captured'"}
    back = {**picture, "kind": "release", "source": "held", "target": "available", "where": "state = 'released'"}
    op.execute(_HOLDS)
    for values in ({**first, "where": "1 = 1"}, made, back):
        op.execute(_ENTRIES.format(**values))
    costs = {"credit_milli": "millicredits", "input_token": "input_tokens", "output_token": "output_tokens"}
    for unit, amount in costs.items():
        cost = {**made, "unit": f"'{unit}:' || provider", "period": month, "amount": amount, "call": "0"}
        # Nothing was held for what calls cost before this version.
        op.execute(_ENTRIES.format(**{**cost, "source": "available", "where": f"{amount} > 0"}))
    op.execute(_BALANCES.format(key="''", where="", group=""))
    op.execute(_BALANCES.format(key="key_id", where="WHERE key_id <> ''", group="key_id,"))


def _refuse_changes() -> None:
    """Have the database refuse to change or delete an entry, whoever asks."""
    if _is_sqlite():
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER entries_refuse_{act.lower()} BEFORE {act} ON entries "
                "BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'entries are never changed'; END $$"
    )
    op.execute(
        "CREATE TRIGGER entries_refuse_change BEFORE UPDATE OR DELETE ON entries "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER entries_refuse_truncate BEFORE TRUNCATE ON entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _is_sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")


def downgrade() -> None:
    """Drop the ledger with all that it says, and make an empty table of usage."""
    for table in ("balances", "entries", "holds"):
        op.drop_table(table)
    if not _is_sqlite():
        op.execute("DROP FUNCTION refuse_change()")
    for table in ("organizations", "api_keys"):
        for name in (*_LIMITS, "providers"):
            if (table, name) != ("organizations", "pictures_per_day"):
                op.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
    op.execute("ALTER TABLE organizations RENAME COLUMN pictures_per_day TO daily_limit")
    create_usage()
