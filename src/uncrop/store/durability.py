"""Whether a database keeps what it has committed when its machine loses power."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

# https://www.postgresql.org/docs/current/runtime-config-wal.html: with any of them off, what was acknowledged may be
# gone after a crash of the system, or the database damaged.
_MUST_BE_ON = ("fsync", "full_page_writes", "synchronous_commit")


async def risky_settings(connection: AsyncConnection) -> tuple[str, ...]:
    """Return the settings of PostgreSQL that are off and must not be, ``fsync=off``; on SQLite ours are in force."""
    if connection.dialect.name != "postgresql":
        return ()
    query = sa.select(*(sa.func.current_setting(name).label(name) for name in _MUST_BE_ON))
    found = (await connection.execute(query)).mappings().one()
    return tuple(f"{name}=off" for name in _MUST_BE_ON if found[name] == "off")
