"""All tables. Their history is in ``migrations``; a test shows that the two agree.

A table that another module adds would be copied or not as that module happens to be imported.

Amounts are whole numbers of a unit's smallest part, see ``uncrop.model.ledger``. Every moment is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from uncrop.model import MAX_ORGANIZATION_ID

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC: aware in Python, whatever the database makes of time zones.

    SQLite has no type for time zones, so what it gives back is naive and is UTC by what was put in.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC; a naive one is a mistake of the caller's."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, _: Dialect) -> datetime | None:
        """Give every moment back in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# Constraints and indices carry names, so that later migrations can speak of them.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _organization(*, refers: bool = True, nullable: bool = False, **options: Any) -> sa.Column[Any]:
    """Return the column that says whose a row is; ``refers``: one that must be there."""
    there = (sa.ForeignKey("organizations.id"),) if refers else ()
    return sa.Column("organization_id", sa.String(MAX_ORGANIZATION_ID), *there, nullable=nullable, **options)


def _policy(pictures: str = "pictures_per_day") -> tuple[sa.Column[Any] | sa.CheckConstraint, ...]:
    """Return the columns of a policy. NULL: the server's default, or nothing of its own; 0: no limit.

    ``pictures`` is the name of the constraint on the pictures a day, which SQLite cannot rename.
    """
    kinds: dict[str, type[sa.Integer]] = {
        "requests_per_minute": sa.Integer,
        "requests_at_once": sa.Integer,
        "pictures_per_day": sa.Integer,
        "usd_micro_per_month": sa.BigInteger,
    }
    names = {"pictures_per_day": pictures}
    return (
        *(sa.Column(name, kind, nullable=True) for name, kind in kinds.items()),
        # Names with commas; NULL: all of them.
        sa.Column("providers", sa.String(1000), nullable=True),
        *(sa.CheckConstraint(f"{name} IS NULL OR {name} >= 0", name=names.get(name, name)) for name in kinds),
    )


organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", sa.String(MAX_ORGANIZATION_ID), primary_key=True),
    sa.Column("name", sa.String(200), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    # Whether it may use the server's own keys of providers of which it has none itself.
    sa.Column("may_use_server_keys", sa.Boolean, nullable=False, server_default=sa.true()),
    *_policy("daily_limit"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(10), primary_key=True),
    _organization(index=True),
    sa.Column("name", sa.String(200), nullable=True),
    # HMAC-SHA256 of the whole key under the pepper of that id, which is not in this database.
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("pepper", sa.String(16), nullable=False, server_default="unknown"),
    # With spaces in between.
    sa.Column("scopes", sa.String(200), nullable=False, server_default="images:write usage:read"),
    # The key that a rotation has put in its place.
    sa.Column("replaced_by", sa.String(10), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=True),
    sa.Column("paused_at", UtcTime, nullable=True),
    sa.Column("revoked_at", UtcTime, nullable=True),
    sa.Column("last_used_at", UtcTime, nullable=True),
    *_policy(),
)

# What is set aside for one picture, and how that ended: see ``uncrop.model.ledger.Hold``.
holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    _organization(),
    sa.Column("key_id", sa.String(10), sa.ForeignKey("api_keys.id"), nullable=True, index=True),
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("model", sa.String(200), nullable=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("calls_planned", sa.Integer, nullable=False),
    sa.Column("calls_sent", sa.Integer, nullable=False),
    sa.Column("calls_settled", sa.Integer, nullable=False),
    # The UTC day of created_at, by which limits are counted and reports are grouped.
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("sent_at", UtcTime, nullable=True),
    sa.Column("settled_at", UtcTime, nullable=True),
    sa.CheckConstraint("state IN ('held', 'unknown', 'captured', 'released', 'expired')", name="state"),
    sa.CheckConstraint("(state IN ('held', 'unknown')) = (settled_at IS NULL)", name="settled"),
    sa.CheckConstraint("calls_settled >= 0 AND calls_settled <= calls_sent", name="calls"),
    sa.Index(None, "state", "created_at"),
    sa.Index(None, "organization_id", "created_at"),
)

# Every movement of an amount from one account to another; triggers refuse to change or delete any.
entries = sa.Table(
    "entries",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("hold_id", sa.String(36), sa.ForeignKey("holds.id"), nullable=False, index=True),
    _organization(refers=False),
    sa.Column("key_id", sa.String(10), nullable=False),  # empty where there is none
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("unit", sa.String(64), nullable=False),
    sa.Column("period", sa.String(10), nullable=False),
    sa.Column("source", sa.String(9), nullable=False),
    sa.Column("target", sa.String(9), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("call", sa.Integer, nullable=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint(
        "source <> target AND source IN ('available', 'held', 'spent') AND target IN ('available', 'held', 'spent')",
        name="accounts",
    ),
)

# What the entries add up to, by organization and by key: kept beside them, so that a limit is one look at one row.
balances = sa.Table(
    "balances",
    metadata,
    _organization(refers=False, primary_key=True),
    sa.Column("key_id", sa.String(10), primary_key=True),  # empty: of the whole organization
    sa.Column("unit", sa.String(64), primary_key=True),
    sa.Column("period", sa.String(10), primary_key=True),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("spent", sa.BigInteger, nullable=False),
)

provider_keys = sa.Table(
    "provider_keys",
    metadata,
    _organization(primary_key=True),
    sa.Column("provider", sa.String(40), primary_key=True),
    # Nonce and ciphertext, under the encryption key of that id, which is not in this database.
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("encryption_key", sa.String(16), nullable=False),
    # What is told of the key, to recognise it by.
    sa.Column("last4", sa.String(4), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)

# What was done to organizations and keys, by whom. Rows are only ever added; triggers refuse all else. It refers to
# nothing, so that nothing is in its way.
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", UtcTime, nullable=False),
    # An API key's id, or "command line".
    sa.Column("actor", sa.String(40), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    _organization(refers=False, nullable=True),
    sa.Column("target", sa.String(120), nullable=False),
    # JSON: for each field the value before and the one after; never a secret.
    sa.Column("changes", sa.Text, nullable=False),
    sa.Index(None, "organization_id", "id"),
)

# Requests that came with a key by which they are carried out once: see ``uncrop.store.keyed_requests``.
keyed_requests = sa.Table(
    "keyed_requests",
    metadata,
    _organization(primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("claim_id", sa.String(32), nullable=False),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    # Until when whoever carries it out is taken to be alive.
    sa.Column("lease_until", UtcTime, nullable=False),
    # The answer, once there is one that is kept; its body is the object of that name.
    sa.Column("answered_at", UtcTime, nullable=True),
    sa.Column("status", sa.Integer, nullable=True),
    sa.Column("headers", sa.Text, nullable=True),
    sa.Column("object_name", sa.String(131), nullable=True),
    sa.Column("size", sa.BigInteger, nullable=True),
    sa.CheckConstraint(
        "(answered_at IS NULL) = (status IS NULL) AND (answered_at IS NULL) = (headers IS NULL) "
        "AND (answered_at IS NULL) = (object_name IS NULL) AND (answered_at IS NULL) = (size IS NULL)",
        name="answered",
    ),
    sa.Index(None, "claim_id", unique=True),
    sa.Index(None, "answered_at"),
    sa.Index(None, "object_name"),
)

# Pictures that are made in the background: what the API tells of each. The queue's own tables are no business of ours.
jobs = sa.Table(
    "jobs",
    metadata,
    # Begins with the moment of submission, so that ids are in the order of time.
    sa.Column("id", sa.String(36), primary_key=True),
    _organization(),
    sa.Column("key_id", sa.String(10), sa.ForeignKey("api_keys.id"), nullable=True, index=True),
    sa.Column("provider", sa.String(40), nullable=False),
    # The form's fields as JSON, without the files' bytes, and how the answer shall be written.
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("accept", sa.String(200), nullable=False),
    sa.Column("state", sa.String(9), nullable=False),
    # How often a worker has begun it, which also tells workers apart.
    sa.Column("attempt", sa.Integer, nullable=False),
    # How often one has begun it and not come back.
    sa.Column("deaths", sa.Integer, nullable=False),
    sa.Column("calls_sent", sa.Integer, nullable=False),
    sa.Column("stage", sa.String(9), nullable=True),
    sa.Column("per_mille", sa.Integer, nullable=True),
    sa.Column("result_bytes", sa.BigInteger, nullable=True),  # NULL: there is none, or no longer
    sa.Column("error", sa.Text, nullable=True),
    sa.Column("idempotency_key", sa.String(255), nullable=True),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("started_at", UtcTime, nullable=True),
    sa.Column("sent_at", UtcTime, nullable=True),
    sa.Column("cancel_requested_at", UtcTime, nullable=True),
    sa.Column("ended_at", UtcTime, nullable=True),
    # When the result and the files are deleted.
    sa.Column("expires_at", UtcTime, nullable=True),
    sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'unknown')", name="state"),
    sa.CheckConstraint("(state IN ('queued', 'running')) = (ended_at IS NULL)", name="ended"),
    sa.CheckConstraint("calls_sent >= 0", name="calls"),
    sa.Index(None, "organization_id", "idempotency_key", unique=True),
    sa.Index(None, "organization_id", "id"),
    sa.Index(None, "organization_id", "state"),
    sa.Index(None, "expires_at"),
)

# Organizations' own servers that are told of their jobs.
webhooks = sa.Table(
    "webhooks",
    metadata,
    # Begins with the moment at which it was made, so that ids are in the order of time.
    sa.Column("id", sa.String(24), primary_key=True),
    _organization(index=True),
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("description", sa.String(200), nullable=True),
    # With spaces in between.
    sa.Column("events", sa.String(200), nullable=False),
    # As of ``provider_keys``.
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("encryption_key", sa.String(16), nullable=False),
    # The secret before, which messages are signed with too until its end.
    sa.Column("previous_sealed", sa.LargeBinary, nullable=True),
    sa.Column("previous_encryption_key", sa.String(16), nullable=True),
    sa.Column("previous_secret_ends_at", UtcTime, nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("delivered_at", UtcTime, nullable=True),
    sa.Column("failing_since", UtcTime, nullable=True),
    sa.Column("disabled_at", UtcTime, nullable=True),
    sa.Column("disabled_reason", sa.String(7), nullable=True),
    # From then on it is not there; its row goes when no message refers to it any more.
    sa.Column("deleted_at", UtcTime, nullable=True),
    sa.CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled"),
    sa.CheckConstraint(
        "(previous_sealed IS NULL) = (previous_encryption_key IS NULL) "
        "AND (previous_sealed IS NULL) = (previous_secret_ends_at IS NULL)",
        name="previous",
    ),
)

# Messages to webhooks: written in the transaction that ends the job they tell of.
webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    # As of jobs, in the order of time.
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("webhook_id", sa.String(24), sa.ForeignKey("webhooks.id"), nullable=False),
    _organization(refers=False),
    sa.Column("job_id", sa.String(36), nullable=False),
    sa.Column("event", sa.String(20), nullable=False),
    # As it is sent, byte for byte, however often.
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("state", sa.String(9), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("failure", sa.String(10), nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("next_attempt_at", UtcTime, nullable=True),
    sa.Column("ended_at", UtcTime, nullable=True),
    # When it is deleted.
    sa.Column("expires_at", UtcTime, nullable=True),
    sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
    sa.CheckConstraint(
        "(state = 'waiting') = (ended_at IS NULL) AND (state = 'waiting') = (next_attempt_at IS NOT NULL)",
        name="ended",
    ),
    sa.Index(None, "webhook_id", "id"),
    sa.Index(None, "next_attempt_at"),
    sa.Index(None, "expires_at"),
)

# Each time that a message was sent. Nothing of what the receiver said is kept but its status.
webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("delivery_id", sa.String(36), sa.ForeignKey("webhook_deliveries.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("status", sa.Integer, nullable=True),
    sa.Column("failure", sa.String(10), nullable=True),
    sa.Column("duration_ms", sa.Integer, nullable=False),
)

# Batches of photos, by the place that their pictures go to. Names are JSON, since bytes of a name may be no text.
batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("place", sa.Text, nullable=False),
    _organization(),
    sa.Column("state", sa.String(8), nullable=False),
    # How often a command has begun or resumed it; photos that the last one did not name are of an earlier round.
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("photos", sa.Integer, nullable=False),
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("hand_backs", sa.Integer, nullable=False),
    sa.Column("max_usd_micro", sa.BigInteger, nullable=True),
    sa.Column("usd_micro", sa.BigInteger, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("ended_at", UtcTime, nullable=True),
    sa.CheckConstraint("state IN ('planning', 'open', 'stopped', 'ended')", name="state"),
    sa.CheckConstraint("usd_micro >= 0", name="usd_micro"),
)

batch_photos = sa.Table(
    "batch_photos",
    metadata,
    sa.Column("batch_id", sa.String(32), sa.ForeignKey("batches.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("output", sa.Text, nullable=False),
    # Of the output: an index on names of any length is none that every database has.
    sa.Column("output_digest", sa.String(32), nullable=False),
    sa.Column("request", sa.Text, nullable=False),
    sa.Column("billed", sa.Boolean, nullable=False),
    sa.Column("price_usd_micro", sa.BigInteger, nullable=True),
    sa.Column("calls_planned", sa.Integer, nullable=False),
    sa.Column("replace", sa.Boolean, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    # The entry of the queue that it is in.
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
    sa.CheckConstraint("state IN ('queued', 'running', 'done', 'skipped', 'failed', 'unknown')", name="state"),
    sa.CheckConstraint("calls_sent >= 0", name="calls"),
    sa.Index(None, "batch_id", "output_digest", unique=True),
    sa.Index(None, "batch_id", "state", "chunk"),
)

# One row: a fingerprint of the pepper that the keys were hashed with, to notice when another one is used.
pepper_fingerprint = sa.Table(
    "pepper_fingerprint",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)
