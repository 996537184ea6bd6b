"""What a disk holds after a power cut: every write of a database is recorded, and those not synced are lost at will.

SQLite writes through a VFS of APSW's that notes each write, truncation and sync of each file and passes it on. The
store's own code runs on it: its statements, its transactions and its pragmas go to APSW's SQLite in the place of
Python's. So what is tried is what the store asks of SQLite, on one library of SQLite; not the system's own library, not
torn sectors, and not entries of folders, which are taken to stay.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import apsw

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VFS = "recorder"


@dataclass(frozen=True, slots=True)
class Step:
    """What was done to a file: a write of ``data`` at ``place``, a truncation to ``place``, a sync, or a deletion."""

    kind: Literal["write", "truncate", "sync", "delete"]
    file: str
    place: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Fault:
    """A call of the file system that fails: the ``number``-th from now on that changes something, or all from there."""

    number: int
    lasting: bool
    code: int

    def comes(self) -> bool:
        """Count a call, and tell whether it fails."""
        self.number -= 1
        return self.number < 0 if self.lasting else self.number == -1


@dataclass(slots=True)
class Recorder:
    """The steps of all files in their order."""

    steps: list[Step] = field(default_factory=list)
    fault: Fault | None = None

    def note(self, step: Step) -> None:
        """Note a step, unless it is to fail."""
        if self.fault is not None and self.fault.comes():
            raise apsw.exception_for(self.fault.code)
        self.steps.append(step)


class _File(apsw.VFSFile):
    def __init__(self, recorder: Recorder, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._recorder = recorder
        self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary").name

    def xWrite(self, data: bytes, offset: int) -> None:
        self._recorder.note(Step("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._recorder.note(Step("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._recorder.note(Step("sync", self._name))
        super().xSync(flags)


class _Recording(apsw.VFS):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(VFS, "")
        self._recorder = recorder

    def xOpen(self, name: Any, flags: list[int]) -> _File:
        return _File(self._recorder, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._recorder.note(Step("delete", Path(filename).name))
        super().xDelete(filename, syncdir)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Have all that APSW's SQLite writes to the VFS of this module recorded."""
    recorder = Recorder()
    vfs = _Recording(recorder)
    yield recorder
    vfs.unregister()


# --- APSW in the place of Python's driver ----------------------------------------------------------------------------


def _as_sqlite3(error: apsw.Error) -> sqlite3.Error:
    """Return an error of APSW as Python's driver would raise it."""
    kind = sqlite3.IntegrityError if isinstance(error, apsw.ConstraintError) else sqlite3.OperationalError
    made = kind(str(error))
    made.sqlite_errorcode = error.extendedresult
    made.sqlite_errorname = type(error).__name__
    return made


class Cursor:
    """As much of a cursor of ``sqlite3`` as the store uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: tuple[Any, ...] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        raw = self._connection.raw
        before = raw.total_changes()
        cursor = raw.cursor()
        # Before the first step, since a statement that has no rows is over after it.
        cursor.exec_trace = self._described
        try:
            self._rows = list(cursor.execute(statement, tuple(parameters)))
        except apsw.Error as error:
            raise _as_sqlite3(error) from error
        self.rowcount = -1 if statement.lstrip().upper().startswith("SELECT") else raw.total_changes() - before
        self.lastrowid = raw.last_insert_rowid()
        return self

    def _described(self, cursor: apsw.Cursor, _statement: str, _bindings: object) -> bool:
        columns = cursor.get_description()
        self.description = tuple((column[0], *[None] * 6) for column in columns) or None
        return True

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> Cursor:
        for row in rows:
            self.execute(statement, row)
        return self

    def fetchall(self) -> list[Any]:
        return self._rows

    def close(self) -> None:
        """Keep nothing open: all rows were fetched."""


class Connection:
    """As much of a connection of ``sqlite3`` as the store uses."""

    def __init__(self, path: str, **_options: Any) -> None:
        self.raw = apsw.Connection(path, vfs=VFS)

    @property
    def in_transaction(self) -> bool:
        return self.raw.in_transaction

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Cursor:
        return Cursor(self).execute(statement, parameters)

    def cursor(self) -> Cursor:
        return Cursor(self)

    def commit(self) -> None:
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self.raw.close()

    def create_function(self, name: str, number: int, function: Any, **_options: Any) -> None:
        self.raw.create_scalar_function(name, function, number)


# --- the cut ---------------------------------------------------------------------------------------------------------


def after_a_cut(steps: Sequence[Step], dropped: float, chance: random.Random) -> dict[str, bytes]:
    """Return the files as they may be found after a power cut behind these steps.

    What was synced is there, and what was deleted is not. Of what was not synced, each write and truncation is lost
    with the chance ``dropped``.
    """
    synced = dict.fromkeys({step.file for step in steps}, -1)
    for place, step in enumerate(steps):
        if step.kind == "sync":
            synced[step.file] = place
    files: dict[str, bytearray] = {}
    for place, step in enumerate(steps):
        if step.kind == "delete":
            files.pop(step.file, None)
            continue
        if step.kind == "sync" or (place > synced[step.file] and chance.random() < dropped):
            continue
        held = files.setdefault(step.file, bytearray())
        if step.kind == "truncate":
            del held[step.place :]
            held.extend(bytes(step.place - len(held)))
        else:
            held.extend(bytes(max(0, step.place - len(held))))
            held[step.place : step.place + len(step.data)] = step.data
    return {name: bytes(held) for name, held in files.items()}
