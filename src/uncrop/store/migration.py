"""Brings a database to the present tables, in one transaction."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from uncrop.errors import SettingsError
from uncrop.store.engine import VARIABLE

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

_FOLDER = Path(__file__).parent / "migrations"


def upgrade(connection: Connection) -> None:
    """Apply the migrations that the database lacks, within the caller's transaction.

    Raises
    ------
    SettingsError
        The database was made by a newer uncrop.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_heads()
    known = {revision.revision for revision in script.walk_revisions()}
    if not known.issuperset(current):
        raise SettingsError([f"{VARIABLE}: the database was made by a newer version of uncrop"])
    if set(current) == set(script.get_heads()):
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@cache
def latest_revision() -> str | None:
    """Return the revision at which a database is up to date."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    # What migrations do belongs to developers; users learn about it when it fails.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    # The value passes through configparser, to which % is special.
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
