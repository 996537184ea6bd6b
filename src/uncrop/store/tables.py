"""The tables. Their history is in ``migrations``; a test shows that the two agree.

Money is counted in thousandths of a credit, as integers. Every moment is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

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

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", sa.String(MAX_ORGANIZATION_ID), primary_key=True),
    sa.Column("name", sa.String(200), nullable=True),
    # NULL: the server's default; 0: no limit; else pictures a UTC day.
    sa.Column("daily_limit", sa.Integer, nullable=True),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.CheckConstraint("daily_limit IS NULL OR daily_limit >= 0", name="daily_limit"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(10), primary_key=True),
    sa.Column(
        "organization_id",
        sa.String(MAX_ORGANIZATION_ID),
        sa.ForeignKey("organizations.id"),
        nullable=False,
        index=True,
    ),
    sa.Column("name", sa.String(200), nullable=True),
    # HMAC-SHA256 of the whole key under the pepper, which is not in this database.
    sa.Column("digest", sa.LargeBinary(32), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=True),
    sa.Column("paused_at", UtcTime, nullable=True),
    sa.Column("revoked_at", UtcTime, nullable=True),
    sa.Column("last_used_at", UtcTime, nullable=True),
)

usage = sa.Table(
    "usage",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("organization_id", sa.String(MAX_ORGANIZATION_ID), sa.ForeignKey("organizations.id"), nullable=False),
    sa.Column("key_id", sa.String(10), sa.ForeignKey("api_keys.id"), nullable=True, index=True),
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("model", sa.String(200), nullable=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("millicredits", sa.BigInteger, nullable=False, default=0),
    sa.Column("input_tokens", sa.BigInteger, nullable=False, default=0),
    sa.Column("output_tokens", sa.BigInteger, nullable=False, default=0),
    # The UTC day of created_at, by which limits are counted and reports are grouped.
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("settled_at", UtcTime, nullable=True),
    sa.CheckConstraint("state IN ('reserved', 'captured', 'released')", name="state"),
    sa.CheckConstraint("(state = 'reserved') = (settled_at IS NULL)", name="settled"),
    sa.CheckConstraint("millicredits >= 0 AND input_tokens >= 0 AND output_tokens >= 0", name="amounts"),
    sa.Index(None, "organization_id", "day", "state"),
    sa.Index(None, "day", "provider"),
    sa.Index(None, "state", "created_at"),
)

# One row: a fingerprint of the pepper that the keys were hashed with, to notice when another one is used.
pepper_fingerprint = sa.Table(
    "pepper_fingerprint",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fingerprint", sa.LargeBinary(32), nullable=False),
    sa.CheckConstraint("id = 1", name="one_row"),
)
