"""Which of the database's errors say that it cannot be used now, through no fault of what was asked of it."""

from __future__ import annotations

import sqlite3
import time

from sqlalchemy import exc

from uncrop.errors import InternalError, ServerBusy

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
# Two transactions were in each other's way; one of them was undone, so that it can be done again.
_CONFLICTS = {"40001", "40P01"}
# It is a standby.
_CODES_OF_POSTGRESQL = {"25006", *_CONFLICTS}


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


def wrapped(error: Exception) -> exc.DBAPIError:
    """Return a driver's error as SQLAlchemy would raise it, without the statement and its values."""
    known = {kind.__name__: kind for kind in exc.DBAPIError.__subclasses__() + exc.DatabaseError.__subclasses__()}
    kind = next((known[each.__name__] for each in type(error).__mro__ if each.__name__ in known), exc.DBAPIError)
    return kind(None, None, error, hide_parameters=True)


UNUSABLE = "The database could not be used"


def unavailable() -> ServerBusy:
    """Return what a caller is told."""
    return ServerBusy("The server cannot use its database at the moment; try again later", system_message=UNUSABLE)


class Outage:
    """When the database was last found unusable.

    Those that wait behind one that finds it so are not tried one after the other: the n-th would have waited n times as
    long, only to fail.
    """

    def __init__(self) -> None:
        self._at = 0.0

    def note(self, error: BaseException) -> None:
        """Note an error, if it says that the database cannot be used; before others get the connection."""
        if isinstance(error, exc.SQLAlchemyError) and reason_of(error) is not None and not is_conflict(error):
            self._at = time.monotonic()

    def overtakes(self, since: float) -> bool:
        """Tell whether it was found unusable after a moment, of ``time.monotonic``."""
        return self._at > since


def is_conflict(error: exc.SQLAlchemyError) -> bool:
    """Tell whether a transaction was undone because of another one, and may be done again from its start."""
    return isinstance(error, exc.DBAPIError) and getattr(error.orig, "sqlstate", None) in _CONFLICTS


def in_a_word(error: BaseException) -> str:
    """Return in a few words what the database did not do; safe to show.

    SQLite's own words are. Another driver's may repeat the address, and with it a password; the log has them from the
    chained error, and here its kind must do.
    """
    cause = error.__cause__ if isinstance(error, InternalError | ServerBusy) and error.__cause__ is not None else error
    found = getattr(cause, "orig", None) or cause
    return str(found) if isinstance(found, sqlite3.Error) else type(found).__name__
