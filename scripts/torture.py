"""Runs the trust plan row by row and writes what came of it; ``scripts/torture`` calls it.

A row names tests. They run with all their cases, and then, with few, once more while a fault is seeded in the product:
then at least one must fail, or the row proves nothing. What came out is kept in ``tests/torture/results.json``, from
which ``docs/trust.md`` is made, misses included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from torture_page import CAUGHT, Outcome, Row, page

ROOT = Path(__file__).resolve().parent.parent
PLAN = ROOT / "tests" / "torture" / "plan.toml"
RESULTS = ROOT / "tests" / "torture" / "results.json"
PAGE = ROOT / "docs" / "trust.md"
# Seconds for one test: with all cases, and with a seeded fault, where waiting for ever may be what the fault is.
FULL_S, CONTROL_S = 1800, 90
LONGEST_MISS = 300
NOT = "NOT"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What pytest reports of some tests: numbers of tests and cases, and the first line of each failure."""

    tests: int
    cases: int
    skipped: int
    failures: tuple[str, ...]


def read_plan() -> list[Row]:
    """Read the rows in their order.

    Raises
    ------
    TypeError
        A row has a key that no row has.
    """
    rows = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    return [Row(name=name, **{**row, "tests": tuple(row.get("tests", ()))}) for name, row in rows.items()]


def read_report(path: Path) -> Report:
    """Read a JUnit report; a test counts as many cases as it says, or one."""
    tests = cases = skipped = 0
    failures = []
    for case in ET.parse(path).iter("testcase"):
        tests += 1
        if case.find("skipped") is not None:
            skipped += 1
            continue
        counted = [item.get("value", "1") for item in case.iter("property") if item.get("name") == "cases"]
        cases += int(counted[-1]) if counted else 1
        for kind in ("failure", "error"):
            if (found := case.find(kind)) is not None:
                line = " ".join((found.get("message") or "").split())
                failures.append(f"{case.get('name')}: {line[:LONGEST_MISS]}")
    return Report(tests=tests, cases=cases, skipped=skipped, failures=tuple(failures))


def pytest(tests: tuple[str, ...], *options: str, seconds: int, fault: str | None = None) -> Report:
    """Run tests one after another, in a process of their own.

    Raises
    ------
    SystemExit
        pytest could not run them at all.
    """
    environment = {**os.environ, **({"TORTURE_SEED_FAULT": fault} if fault else {})}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-n",
            "0",
            "-q",
            "-o",
            "junit_family=xunit1",
            "-p",
            "no:cacheprovider",
        ]
        limits = [f"--timeout={seconds}", f"--junitxml={report}", f"--basetemp={folder}/tests"]
        done = subprocess.run(
            [*command, *limits, *options, *tests],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        # 5: none of the tests was wanted.
        if done.returncode not in (0, 1, 5) or not report.exists():
            raise SystemExit(f"pytest could not run:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return read_report(report)


def control_of(row: Row) -> str:
    """Seed the row's fault, or run its control, and say which test caught it."""
    if row.control is not None:
        report = pytest((row.control,), seconds=CONTROL_S)
        return f"{NOT} caught" if report.failures or report.skipped else f"{CAUGHT} by {_short(row.control)}"
    if row.fault is None:
        return ""
    report = pytest(row.tests, "--exitfirst", "-m", "not slow", seconds=CONTROL_S, fault=row.fault)
    if not report.failures:  # few cases may not meet it
        report = pytest(row.tests, "--exitfirst", "--full-count", seconds=FULL_S, fault=row.fault)
    return f"{CAUGHT} by {_short(report.failures[0])}" if report.failures else f"{NOT} caught"


def _short(failure: str) -> str:
    return failure.rpartition("::")[2].partition(":")[0].partition("[")[0]


def run(row: Row) -> Outcome:
    """Run one row."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = pytest(row.tests, "--full-count", seconds=FULL_S)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Outcome(
        tests=report.tests,
        cases=report.cases,
        skipped=report.skipped,
        misses=report.failures,
        cpu_s=round(ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime, 1),
        control=control_of(row),
        commit=subprocess.check_output(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, text=True).strip(),
    )


def read_results() -> dict[str, Outcome]:
    """Read what is kept of earlier runs."""
    if not RESULTS.exists():
        return {}
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {name: Outcome(**{**values, "misses": tuple(values["misses"])}) for name, values in kept.items()}


def write(plan: list[Row], results: dict[str, Outcome]) -> None:
    """Keep the results and make the page."""
    kept = {row.name: asdict(results[row.name]) for row in plan if row.name in results}
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(plan, results), encoding="utf-8")


def main() -> int:
    """Run the wanted rows and print a line for each; the status is 1 if any of them has a miss."""
    parser = argparse.ArgumentParser(prog="scripts/torture", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW", help="a row, or the letter of a group; all when absent")
    parser.add_argument("--missing", action="store_true", help="leave out rows that have a result")
    parser.add_argument("--list", action="store_true", help="only print the rows, and make the page anew")
    arguments = parser.parse_args()
    plan, results = read_plan(), read_results()
    groups = {row.group for row in plan}
    if unknown := [name for name in arguments.rows if name not in groups and name not in {row.name for row in plan}]:
        parser.error(f"no such row: {', '.join(unknown)}")
    wanted = [row for row in plan if not arguments.rows or {row.name, row.group} & set(arguments.rows)]
    if arguments.list:
        for row in wanted:
            print(f"{row.name:<8} {row.tries}")
        write(plan, results)
        return 0
    status = 0
    for row in wanted:
        if not row.tests or (arguments.missing and row.name in results):
            continue
        print(f"{row.name:<8} ", end="", flush=True)
        outcome = results[row.name] = run(row)
        write(plan, results)
        print(f"{outcome.cases:>7} cases, {len(outcome.misses)} misses, {outcome.cpu_s:.0f} s; fault {outcome.control}")
        for miss in outcome.misses:
            print(f"         {miss}")
        status |= bool(outcome.misses) or not outcome.is_caught
    return status


if __name__ == "__main__":
    raise SystemExit(main())
