"""The page of the trust plan: docs/trust.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUPS = {
    "A": "Images",
    "B": "HTTP and forms",
    "C": "Keys and organizations",
    "E": "Requests under a key",
    "F": "The ledger",
    "G": "Jobs",
    "H": "Providers",
    "I": "Overload",
    "J": "Start and stop",
    "K": "Leaks and supply",
    "replicas": "Several servers",
    "clients": "Real clients",
}
CAUGHT = "caught"
HEAD = """# Trust: what was tried, and what came of it

<!-- scripts/torture writes this page from tests/torture/plan.toml and tests/torture/results.json. -->

Each row is tried by tests, which `scripts/torture ROW` runs with all their cases and `scripts/test` with few. A case is
a request, a file, a fault or a place where something is cut. *Fault* is the negative control: the row's tests run once
more with the product broken on purpose, as `tests/seeded_faults.py` says, or against something that is known to be
wrong; the test that then failed, as it should, is named. Misses stand here as they came out. *CPU* is the time of all
processes, those of tests and emulators included. *Open* is what is not there yet, or why fewer cases ran than planned.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the plan; see its file for what the fields mean."""

    name: str
    tries: str
    planned: int
    tests: tuple[str, ...] = ()
    fault: str | None = None
    control: str | None = None
    open: str | None = None

    @property
    def group(self) -> str:
        """The letter, or the whole name where there is no number."""
        return self.name.rstrip("0123456789")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a row; times in seconds."""

    tests: int
    cases: int
    skipped: int
    misses: tuple[str, ...]
    cpu_s: float
    control: str
    commit: str

    @property
    def is_caught(self) -> bool:
        """Whether the seeded fault was found."""
        return self.control.startswith(CAUGHT)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _tests(row: Row) -> str:
    files = dict.fromkeys(test.partition("::")[0] for test in row.tests)
    return ", ".join(f"`{file.removeprefix('tests/')}`" for file in files)


def _result(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not run"
    skipped = f", {outcome.skipped} tests skipped" if outcome.skipped else ""
    return ("**" + str(len(outcome.misses)) + " missed**" if outcome.misses else "all held") + skipped


def _line(row: Row, outcome: Outcome | None) -> str:
    control = row.fault or ("its own control" if row.control else "")
    caught = f"{control}; {outcome.control}" if outcome is not None and control else control
    open_part = f" *Open: {row.open}.*" if row.open else ""
    cells = [
        row.name,
        f"{row.tries}.{open_part} {_tests(row)}",
        f"{row.planned:,}",
        f"{outcome.cases:,}" if outcome is not None else "0",
        _result(outcome),
        caught,
        f"{outcome.cpu_s:.0f} s" if outcome is not None else "",
    ]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def page(plan: Sequence[Row], results: Mapping[str, Outcome]) -> str:
    """Return the page."""
    ran = [results[row.name] for row in plan if row.name in results]
    misses = sum(len(outcome.misses) for outcome in ran)
    caught = sum(outcome.is_caught for outcome in ran)
    cases = sum(outcome.cases for outcome in ran)
    parts = [
        HEAD,
        f"{len(ran)} of {len(plan)} rows were run: {cases:,} cases, {misses} missed; {caught} faults were caught.\n",
    ]
    for group, title in GROUPS.items():
        rows = [row for row in plan if row.group == group]
        parts += [
            f"## {title}\n",
            "| row | what is tried | planned | ran | result | fault | CPU |",
            "|---|---|---|---|---|---|---|",
        ]
        parts += [_line(row, results.get(row.name)) for row in rows]
        parts.append("")
    missed = [(row.name, miss) for row in plan if row.name in results for miss in results[row.name].misses]
    if missed:
        parts += ["## Misses\n", *(f"- {name}: `{miss}`" for name, miss in missed), ""]
    commits = sorted({outcome.commit for outcome in ran})
    parts.append(f"Run on the commits {', '.join(f'`{commit}`' for commit in commits)}.")
    return "\n".join(parts) + "\n"
