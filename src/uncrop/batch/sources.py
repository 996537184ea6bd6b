"""Which photos a batch is of: folders, patterns, files, tables of them, prefixes of buckets; read one by one."""

from __future__ import annotations

import csv
import glob
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from uncrop.batch.columns import COLUMNS, OUTPUT, SOURCE, SUFFIXES, BadValueError, request_of
from uncrop.errors import UncropError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from uncrop.model import ImageFormat, UncropRequest
    from uncrop.objects.trees import Files

BUCKET = "s3://"
TABLE = ".csv"
ENDINGS: dict[ImageFormat, str] = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
MOST_PROBLEMS = 20
# A cell of a table is a name or a prompt.
MOST_IN_A_CELL = 64 * 1024
_SEPARATORS = ",;\t"


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoToMake:
    """One photo of a batch.

    Attributes
    ----------
    source
        An absolute path, or ``s3://bucket/key``; bytes that are no UTF-8 are halves of characters.
    output
        The name of its picture below the batch's place, with ``/`` between folders.
    request
        What is asked, without the photo.
    said_in
        The place that says so, where a table does: ``photos.csv, line 3``.
    """

    source: str
    output: str
    request: UncropRequest
    said_in: str = ""


class SourcesError(Exception):
    """Sources that no batch can be made of.

    Attributes
    ----------
    problems
        A line for each, the first few.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class FilesAt(Protocol):
    """Opens the place of an address: a folder, or ``s3://bucket/prefix``."""

    def __call__(self, url: str) -> Files:
        """Return its files."""


@dataclass(kw_only=True)
class Sources:
    """What was typed, and what is read of it.

    Attributes
    ----------
    typed
        Folders, patterns, files, tables, prefixes.
    defaults
        What is asked for each photo where no table says otherwise.
    files_at
        Opens places.
    check
        Told each request of a table, to refuse what can never be made; raises ``UncropError``.
    output
        The batch's own place: what lies there is no source.
    recursive
        Whether folders in folders count.
    ignored
        How many files were passed over, by why.
    """

    typed: Sequence[str]
    defaults: UncropRequest
    files_at: FilesAt
    check: Callable[[UncropRequest], None]
    output: str
    recursive: bool = False
    ignored: Counter[str] = field(default_factory=Counter)
    _problems: list[str] = field(default_factory=list)
    _own: str = field(init=False)

    def __post_init__(self) -> None:
        place = self.output if self.output.startswith(BUCKET) else os.path.realpath(self.output)
        self._own = f"{place.rstrip('/')}/"

    def read(self) -> Iterator[PhotoToMake]:
        """Yield the photos, in the order of what was typed.

        Raises
        ------
        SourcesError
            At the end, with all that is wrong: what is not there, cannot be listed, or contradicts itself.
        ServerBusy
            A bucket cannot be used at the moment.
        """
        self.ignored.clear()
        self._problems.clear()
        for text in self.typed:
            for photo in self._of(text):
                # After the first problem, what follows is looked at for more of them alone.
                if not self._problems:
                    yield photo
        if self._problems:
            raise SourcesError(self._problems)

    def _of(self, text: str) -> Iterator[PhotoToMake]:
        if text.startswith(BUCKET):
            yield from self._in_bucket(text)
            return
        found = [text] if os.path.lexists(text) else sorted(glob.glob(text, recursive=True))  # noqa: PTH207 - absolute patterns too
        if not found:
            is_pattern = glob.has_magic(text)
            self._problem(f"{text}: {'nothing has a name like this' if is_pattern else 'no such file or folder'}")
        for path in found:
            yield from self._at(path)

    def _at(self, path: str) -> Iterator[PhotoToMake]:
        try:
            mode = Path(path).stat().st_mode
        except OSError as error:
            self._problem(f"{path}: cannot be read ({reason(error)})")
            return
        if stat.S_ISDIR(mode):
            yield from self._in_folder(path)
        elif path.lower().endswith(TABLE):
            yield from self._in_table(Path(path))
        elif stat.S_ISREG(mode):
            yield from self._photo(_absolute(path), Path(path).name)
        else:
            self._problem(f"{path}: is neither a file nor a folder")

    def _in_folder(self, path: str) -> Iterator[PhotoToMake]:
        folder = os.path.realpath(path)
        names = self.files_at(folder).names(recursive=self.recursive)
        try:
            for name in names:
                yield from self._photo(f"{folder}/{name}", name)
        except OSError as error:
            self._problem(f"{error.filename or path}: cannot be listed ({reason(error)})")

    def _in_bucket(self, url: str) -> Iterator[PhotoToMake]:
        bucket, _, prefix = url.removeprefix(BUCKET).partition("/")
        if not bucket:
            self._problem(f"{url}: names no bucket")
            return
        if Path(prefix).suffix.lower() in SUFFIXES:
            yield from self._photo(url, prefix.rpartition("/")[2])
            return
        count = 0
        try:
            for name in self.files_at(url.rstrip("/")).names(recursive=True):
                count += 1
                yield from self._photo(f"{url.rstrip('/')}/{name}", name)
        except FileNotFoundError:
            self._problem(f"{url}: there is no such bucket")
            return
        if not count:
            self._problem(f"{url}: nothing is there")

    def _photo(self, source: str, name: str) -> Iterator[PhotoToMake]:
        """Yield a photo by its name, unless it is none or is one of the batch's own pictures."""
        if name.rpartition("/")[2].startswith("."):
            self.ignored["hidden"] += 1
        elif source.startswith(self._own):
            self.ignored["in the output folder"] += 1
        elif _suffix(name).lower() not in SUFFIXES:
            self.ignored["no photos by their names"] += 1
        else:
            yield PhotoToMake(source=source, output=with_ending(name, self.defaults), request=self.defaults)

    def _problem(self, line: str) -> None:
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(line)

    # --- tables -------------------------------------------------------------------------------------------------------

    def _in_table(self, path: Path) -> Iterator[PhotoToMake]:
        """Yield the photos that a table of comma-separated values names, one a line below the columns' names."""
        csv.field_size_limit(MOST_IN_A_CELL)
        try:
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                yield from self._rows(path, _lines(file))
        except OSError as error:
            self._problem(f"{path}: cannot be read ({reason(error)})")

    def _rows(self, path: Path, lines: Iterator[tuple[int, list[str]]]) -> Iterator[PhotoToMake]:
        try:
            _, first = next(lines, (0, []))
            header = [name.strip().lower().replace("_", "-") for name in first]
            if not self._is_header(path, header):
                return
            for number, cells in lines:
                where = f"{path}, line {number}"
                if len(cells) > len(header):
                    self._problem(f"{where}: has {len(cells)} values for {len(header)} columns")
                elif any(cell.strip() for cell in cells):
                    yield from self._row(path, where, dict(zip(header, cells, strict=False)))
        except csv.Error as error:
            self._problem(f"{path}: is no table of comma-separated values in UTF-8 ({error})")

    def _is_header(self, path: Path, header: Sequence[str]) -> bool:
        problems = [
            f"column {name!r} is unknown; there are {', '.join(COLUMNS)}" for name in header if name not in COLUMNS
        ]
        problems = problems[:1] + [
            f"column {name!r} is there twice" for name in sorted(set(header)) if header.count(name) > 1
        ]
        if SOURCE not in header:
            problems.append(f"column {SOURCE!r} is missing")
        for problem in problems:
            self._problem(f"{path}, line 1: {problem}")
        return not problems

    def _row(self, path: Path, where: str, values: dict[str, str]) -> Iterator[PhotoToMake]:
        try:
            source, request = self._source(path, values), request_of(values, self.defaults)
            self.check(request)
            output = _output(values, request)
        except BadValueError as error:
            self._problem(f"{where}, column {error.column} ({_short(values.get(error.column, ''))}): {error}")
        except UncropError as error:
            self._problem(f"{where}{_columns_of(error, values)}: {error.message}")
        else:
            yield PhotoToMake(source=source, output=output, request=request, said_in=where)

    def _source(self, path: Path, values: dict[str, str]) -> str:
        """Return the photo that a row names; a path is one from the table's own folder."""
        text = values.get(SOURCE, "").strip()
        if not text:
            raise BadValueError(SOURCE, "names no photo")
        if "\0" in text:
            raise BadValueError(SOURCE, "is no name of a file")
        if Path(text).suffix.lower() not in SUFFIXES:
            raise BadValueError(SOURCE, f"must end in {', '.join(SUFFIXES)}")
        return text if text.startswith(BUCKET) else _absolute(path.parent / text)


def reason(error: OSError) -> str:
    """Return the system's reason, in small letters."""
    return (error.strerror or "unknown reason").lower()


def _absolute(path: str | Path) -> str:
    """Return a name from the root, with its links left as they are."""
    return os.path.abspath(path)  # noqa: PTH100 - unlike Path's, it takes ".." away


def _suffix(name: str) -> str:
    """Return what ``Path(name).suffix`` does, in a tenth of the time: of a folder, there is one for each name."""
    last = name.rpartition("/")[2]
    at = last.rfind(".")
    return last[at:] if 0 < at < len(last) - 1 else ""


def with_ending(name: str, request: UncropRequest) -> str:
    """Return a photo's name with the ending of the format that is asked for, where that is another."""
    wanted, suffix = request.answer_format, _suffix(name)
    if wanted is None or SUFFIXES.get(suffix.lower()) == wanted:
        return name
    return f"{name.removesuffix(suffix)}{ENDINGS[wanted]}"


def _output(values: dict[str, str], request: UncropRequest) -> str:
    """Return the name of a row's picture: as it is written there, else the photo's own."""
    named = values.get(OUTPUT, "").strip()
    if not named:
        return with_ending(values[SOURCE].strip().replace("\\", "/").rpartition("/")[2], request)
    parts = named.split("/")
    if named.startswith("/") or ".." in parts or "" in parts or "\0" in named:
        raise BadValueError(OUTPUT, "must be a name below the output folder")
    if parts[-1].startswith("."):
        raise BadValueError(OUTPUT, "must not begin with a dot")
    ending = SUFFIXES.get(Path(named).suffix.lower())
    if ending is None:
        raise BadValueError(OUTPUT, f"must end in {', '.join(SUFFIXES)}")
    wanted = request.answer_format
    if wanted is not None and wanted != ending:
        raise BadValueError(OUTPUT, f"its ending and output-format {wanted.lower()} contradict each other")
    return named


def _lines(file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows with the number of the line in which each begins; the separator is that of the first line."""
    lines = iter(file)
    first = next(lines, "")
    separator = max(_SEPARATORS, key=first.count)

    def all_lines() -> Iterator[str]:
        yield first
        yield from lines

    reader = csv.reader(all_lines(), delimiter=separator, strict=True)
    begins = 1
    for cells in reader:
        yield begins, cells
        begins = reader.line_num + 1


def _columns_of(error: UncropError, values: dict[str, str]) -> str:
    """Name the columns that an error is about, with what is written there."""
    from uncrop.batch.columns import column_of

    details = error.details or {}
    named = [
        *([str(details["field"])] if "field" in details else []),
        *(str(name) for name in details.get("fields", ())),
    ]
    named += [name for name in details if name.startswith("extend_")]
    columns = dict.fromkeys(column for name in named if (column := column_of(name)) is not None)
    told = [f"{column} ({_short(values[column])})" if values.get(column) else column for column in columns]
    return f", column {' and '.join(told)}" if told else ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
