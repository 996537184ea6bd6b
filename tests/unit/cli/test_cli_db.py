"""`uncrop db`: what is printed, and that no address is repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from uncrop.cli import app
from uncrop.store.migration import latest_revision

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_a_new_database_is_brought_up_to_date_once(database: Path) -> None:
    latest = latest_revision()
    first, second = run("db", "upgrade"), run("db", "upgrade")
    assert (first.exit_code, first.stdout) == (0, f"the tables are those of revision {latest} now; before: none\n")
    assert (second.exit_code, second.stdout) == (0, f"the tables are those of revision {latest} already\n")


def test_a_copy_is_told_table_by_table(database: Path, tmp_path: Path) -> None:
    assert run("keys", "create", "--organization", "org_a").exit_code == 0
    target = f"sqlite+aiosqlite:///{tmp_path}/other.db"
    done = run("db", "copy", "--to", target)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["organizations", "1", "rows"] in lines
    assert ["api_keys", "1", "rows"] in lines
    assert lines[-1][1:] == ["rows", "are", "there,", "and", "the", "same;", "set", "UNCROP_DATABASE_URL", "to", "it"]
    again = run("db", "copy", "--to", target)
    assert again.exit_code == 2
    assert again.stderr.startswith("uncrop: --to: the database holds something already, in api_keys, ")


def test_what_is_left_behind_is_told(database: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    assert run("db", "upgrade").exit_code == 0
    with closing(sqlite3.connect(database / "uncrop.db")) as other:
        other.execute("CREATE TABLE guests (name TEXT)")
    done = run("db", "copy", "--to", f"sqlite+aiosqlite:///{tmp_path}/other.db")
    assert (done.exit_code, done.stderr) == (0, "uncrop: the table guests is not uncrop's and was not copied\n")


@pytest.mark.parametrize("address", ["postgresql+psycopg://u:hunter2@127.0.0.1:1/d", "mysql://u:hunter2@h/d"])
def test_an_address_is_not_repeated(database: Path, address: str) -> None:
    done = run("db", "copy", "--to", address)
    assert done.exit_code == 2
    assert done.stderr.startswith("uncrop: --to: ")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.output + done.stderr
