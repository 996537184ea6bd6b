"""A lock on a file beside an SQLite database, which ends with the process that has it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from uncrop.errors import SettingsError
from uncrop.store.engine import VARIABLE

if TYPE_CHECKING:
    from sqlalchemy.engine import URL


def database_file(url: URL, what: str) -> Path:
    """Return the file of a database; two names of one file are one database.

    Parameters
    ----------
    url
        Of SQLite.
    what
        What needs a file, in the plural, for the error.

    Raises
    ------
    SettingsError
        It is in memory.
    """
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise SettingsError([f"{VARIABLE}: {what} need a database in a file, or PostgreSQL"])
    return Path(os.path.realpath(url.database))


def try_lock(path: Path) -> int | None:
    """Lock a file, which is made if need be; return its descriptor, or ``None`` where another process has the lock.

    Raises
    ------
    SettingsError
        It cannot be made.
    """
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError([f"{VARIABLE}: a file beside it cannot be made ({error.strerror})"]) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
