"""Which of the database's errors say that it cannot be used now, through no fault of what was asked of it."""

from __future__ import annotations

import sqlite3

from sqlalchemy import exc

# https://sqlite.org/rescode.html: locked elsewhere, no room, no right to write, a broken disk or file.
_OF_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
_PRIMARY = 0xFF  # the rest of a code is about details

# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, resources, locks, operators, the system.
_CLASSES_OF_POSTGRESQL = {"08", "53", "55", "57", "58"}
# It is a standby; two transactions were in each other's way.
_CODES_OF_POSTGRESQL = {"25006", "40001", "40P01"}


def reason_of(error: exc.SQLAlchemyError) -> str | None:
    """Return in a word why the database cannot be used, for the log; ``None`` for any other error."""
    if isinstance(error, exc.TimeoutError):
        return "no connection became free"
    if not isinstance(error, exc.DBAPIError):
        return None
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        name: str = getattr(error.orig, "sqlite_errorname", "")
        return name if code & _PRIMARY in _OF_SQLITE else None
    state: str | None = getattr(error.orig, "sqlstate", None)
    if state is None:
        return "no connection" if isinstance(error, exc.OperationalError) else None
    return state if state[:2] in _CLASSES_OF_POSTGRESQL or state in _CODES_OF_POSTGRESQL else None
