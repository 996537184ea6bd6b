"""Brings a database to the present tables, in one transaction.

Alembic is imported only where there is something to bring: it takes each command that opens a database a tenth of a
second of processor time.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from uncrop.errors import SettingsError
from uncrop.store.engine import VARIABLE

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.engine import Connection

_FOLDER, _TABLE = Path(__file__).parent / "migrations", "alembic_version"

# What migrations do belongs to developers; users learn about it when it fails. Looking for the revision says so too.
logging.getLogger("alembic").setLevel(logging.WARNING)


def upgrade(connection: Connection) -> None:
    """Apply the migrations that the database lacks, within the caller's transaction.

    Raises
    ------
    SettingsError
        The database was made by a newer uncrop.
    """
    current = revision_of(connection)
    if current == latest_revision():
        return
    from alembic import command

    config = _config()
    if current is not None and current not in _revisions():
        raise SettingsError([f"{VARIABLE}: the database was made by a newer version of uncrop"])
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database's tables; ``None`` where there are none of ours."""
    if not sa.inspect(connection).has_table(_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {_TABLE}")).scalar_one_or_none()  # noqa: S608 - no input


def latest_revision() -> str:
    """Return the revision at which a database is up to date."""
    return _revisions()[-1]


@cache
def _revisions() -> tuple[str, ...]:
    """Return all revisions, the oldest first: each file's name has its number, `r0001_….py`."""
    return tuple(sorted(path.name[1:5] for path in (_FOLDER / "versions").glob("r[0-9]*.py")))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # The value passes through configparser, to which % is special.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
