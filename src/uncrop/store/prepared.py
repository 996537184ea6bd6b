"""Statements that are compiled once for each database, and then go to the driver as text.

SQLAlchemy's way from a statement to its rows takes half a millisecond; a picture needs thirteen of them. Tables and
statements stay SQLAlchemy's, and so do the conversions of values; only the way is shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.engine import Dialect

T = TypeVar("T")
Script: TypeAlias = Generator["Ask", "Ran", T]
"""The statements of one transaction, one after another: it yields each and is sent what came of it.

What ``last`` and ``later`` say saves round trips; a statement that fails undoes the transaction all the same.
"""
Row: TypeAlias = "Mapping[str, Any] | sa.RowMapping"
"""A row by its columns' names, of a script or of SQLAlchemy."""
_Convert: TypeAlias = Callable[[Any], Any] | None


class Ask(NamedTuple):
    """A statement, and its values by name.

    Attributes
    ----------
    last
        Whether the transaction is committed whatever comes of it, so that there is no need to wait in between.
    later
        Whether the script looks at what comes of it only after the next one for which this is not so: both may be
        sent together. Its rows are in the answer by then; how many it changed may not be.
    """

    statement: Prepared
    values: Mapping[str, Any]
    last: bool = False
    later: bool = False


class Ran(NamedTuple):
    """What came of a statement: its rows, each by its columns' names, and how many rows it changed."""

    rows: list[dict[str, Any]]
    changed: int

    def one_or_none(self) -> dict[str, Any] | None:
        """Return the only row; ``None`` where there is none."""
        return self.rows[0] if self.rows else None


@dataclass(frozen=True, slots=True)
class Text:
    """A statement as one driver takes it.

    Attributes
    ----------
    text
        With the driver's own marks for values.
    order
        The values' names in the order of the marks, for a driver that counts them; ``None`` for one that names them.
    binds
        The values' names, what each is by default, and what turns it into the driver's.
    results
        By column: what turns the driver's value into ours.
    """

    text: str
    order: tuple[str, ...] | None
    binds: tuple[tuple[str, Any, _Convert], ...]
    results: Mapping[str, Callable[[Any], Any]]

    def parameters(self, values: Mapping[str, Any]) -> Sequence[Any] | Mapping[str, Any]:
        """Return values as the driver takes them."""
        found = {}
        for name, default, convert in self.binds:
            value = values.get(name, default)
            found[name] = value if convert is None else convert(value)
        return found if self.order is None else [found[name] for name in self.order]

    def ran(self, rows: Sequence[Sequence[Any]], names: Sequence[str], changed: int) -> Ran:
        """Return a driver's rows as ours."""
        made = [dict(zip(names, row, strict=True)) for row in rows]
        for name, convert in self.results.items():
            for row in made:
                row[name] = convert(row[name])
        return Ran(made, changed)


def one_or_none(statement: Prepared, values: Mapping[str, Any]) -> Script[dict[str, Any] | None]:
    """Return the only row of a statement, as a script or a part of one."""
    return (yield Ask(statement, values)).one_or_none()


class Prepared:
    """A statement, with what each database's driver takes for it."""

    def __init__(self, statement: sa.ClauseElement) -> None:
        self.statement = statement
        self._texts: dict[str, Text] = {}

    def text_for(self, dialect: Dialect) -> Text:
        """Return the statement for a database; it is compiled at the first time."""
        found = self._texts.get(dialect.name)
        if found is None:
            found = self._texts[dialect.name] = _compiled(self.statement, dialect)
        return found


def _compiled(statement: Any, dialect: Dialect) -> Text:
    compiled = statement.compile(dialect=dialect)
    if any(bound.expanding for bound in compiled.bind_names):
        # Of a statement with lists, which are written out: all of its values are in it.
        whole = compiled.construct_expanded_state()
        text, order = whole.statement, whole.positiontup
        binds = tuple((name, value, whole.processors.get(name)) for name, value in whole.parameters.items())
    else:
        text, order = str(compiled), compiled.positiontup
        binds = tuple(
            (name, bound.value, bound.type.dialect_impl(dialect).bind_processor(dialect))
            for bound, name in compiled.bind_names.items()
        )
    results = {}
    for column in getattr(statement, "selected_columns", ()):
        convert = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if convert is not None:
            results[column.name] = convert
    return Text(text=text, order=tuple(order) if compiled.positional else None, binds=binds, results=results)
