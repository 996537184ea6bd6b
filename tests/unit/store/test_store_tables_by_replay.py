"""The short way by which tests make their tables leads to the same tables as the migrations."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from fixtures_tables import Statements, upgrade_by_replay
from uncrop.store.migration import upgrade


def made(path: Path, recorded: dict[str, Statements] | None) -> list[tuple[str, str]]:
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        if recorded is None:
            upgrade(connection)
        else:
            upgrade_by_replay(recorded, connection)
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master ORDER BY name").all()
        version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").all()
    engine.dispose()
    return [*(tuple(row) for row in found), *(tuple(row) for row in version)]


def test_the_tables_are_the_same(tmp_path: Path) -> None:
    recorded: dict[str, Statements] = {}
    by_migrations = made(tmp_path / "a.db", None)
    assert made(tmp_path / "b.db", recorded) == by_migrations
    assert made(tmp_path / "c.db", recorded) == by_migrations
    assert any(sql and "CREATE TRIGGER" in sql for _, sql in by_migrations[:-1])


def test_a_database_that_holds_something_is_migrated(tmp_path: Path) -> None:
    recorded: dict[str, Statements] = {"sqlite": [("this is not sent", None)]}
    made(tmp_path / "a.db", None)
    made(tmp_path / "a.db", recorded)
