"""Tables of fresh databases, made by the statements that the migrations sent the first time.

Migrations look at the database at every step, which takes a tenth of a second of processor time, and most tests begin
with an empty database. A database that holds anything, and those of other processes, are brought up to date as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeAlias

import pytest
import sqlalchemy as sa

from uncrop.store import copying, database
from uncrop.store.migration import upgrade

Statements: TypeAlias = list[tuple[str, Any]]


def upgrade_by_replay(recorded: dict[str, Statements], connection: sa.Connection) -> None:
    """Bring a database up to date; ``recorded`` has what was sent to an empty one, by dialect."""
    name = connection.dialect.name
    if sa.inspect(connection).get_table_names():
        upgrade(connection)
    elif name in recorded:
        for statement, parameters in recorded[name]:
            connection.exec_driver_sql(statement, parameters)
    else:
        recorded[name] = recording(connection)


def recording(connection: sa.Connection) -> Statements:
    """Apply the migrations, and return what they changed the database with."""
    sent: Statements = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")):
            sent.append((statement, parameters or None))

    sa.event.listen(connection, "before_cursor_execute", note)
    try:
        upgrade(connection)
    finally:
        sa.event.remove(connection, "before_cursor_execute", note)
    return sent


@pytest.fixture(autouse=True, scope="session")
def _tables_by_replay() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        quick = partial(upgrade_by_replay, {})
        for module in (database, copying):
            patch.setattr(module, "upgrade", quick)
        yield
