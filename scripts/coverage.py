"""Prints branch coverage by package and fails where a package is below its floor."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

COUNTED = Path(__file__).resolve().parent.parent / ".coverage.json"  # what slipcover writes
# The stations that decide about money, trust and room are covered whole, by branch.
WHOLE = (
    "admission",
    "batch",
    "capacity",
    "errors",
    "finish",
    "geometry",
    "intake",
    "jobs",
    "ledger",
    "model",
    "placement",
    "providers",
    "service",
    "settings",
    "uncropper",
    "webhooks",
    "workers",
)
FLOOR = dict.fromkeys(WHOLE, 100.0)
ELSEWHERE = 85.0
# Compiled kernels are not counted; their tests compare them with NumPy twins. The entry of `python -m uncrop` runs as a
# process.
NOT_COUNTED = ("__main__", "engine", "kernels")


def read() -> dict[str, tuple[int, int, list[str]]]:
    """Return, by package, what was covered, what there is, and where something is missing."""
    found: dict[str, tuple[int, int, list[str]]] = defaultdict(lambda: (0, 0, []))
    for name, entry in json.loads(COUNTED.read_text())["files"].items():
        package = Path(name).parts[2].removesuffix(".py")
        summary = entry["summary"]
        covered = summary["covered_lines"] + summary["covered_branches"]
        hit, all_of_it, where = found[package]
        hit += covered
        all_of_it += covered + summary["missing_lines"] + summary["missing_branches"]
        missing = [str(line) for line in entry["missing_lines"]]
        missing += [f"{start}->{end or 'exit'}" for start, end in entry["missing_branches"]]
        found[package] = (hit, all_of_it, where + ([f"{name}: {', '.join(missing)}"] if missing else []))
    return dict(found)


def main() -> int:
    """Print the table; exit status 1 if a floor is missed."""
    failed = False
    for package, (hit, all_of_it, where) in sorted(read().items()):
        if package in NOT_COUNTED or not all_of_it:
            continue
        share, floor = 100 * hit / all_of_it, FLOOR.get(package, ELSEWHERE)
        missed = share < floor
        failed = failed or missed
        print(f"{package:<14}{share:7.2f} %   at least {floor:.0f}{'   MISSED' if missed else ''}")
        if missed:
            print("\n".join(f"    {line}" for line in where))
    return failed


if __name__ == "__main__":
    sys.exit(main())
