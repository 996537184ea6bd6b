"""Prints branch coverage by package and fails where a package is below its floor."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The stations that decide about money, trust and room are covered whole, by branch.
WHOLE = (
    "admission",
    "capacity",
    "errors",
    "finish",
    "geometry",
    "intake",
    "model",
    "placement",
    "providers",
    "service",
    "settings",
    "uncropper",
    "workers",
)
FLOOR = dict.fromkeys(WHOLE, 100.0)
ELSEWHERE = 85.0
# Compiled kernels do not run under the interpreter that counts lines; their tests compare them with NumPy twins. The
# entry of `python -m uncrop` is left by an exit, which looks like a branch that never was.
NOT_COUNTED = ("__main__", "engine", "kernels")


def read() -> dict[str, tuple[int, int, list[str]]]:
    """Return, by package, what was covered, what there is, and where something is missing."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        # What processes left behind after the test runner had put the rest together.
        if any(ROOT.glob(".coverage.*")):
            subprocess.run([sys.executable, "-m", "coverage", "combine", "--append", "--quiet"], cwd=ROOT, check=True)
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(report)]
        subprocess.run(command, cwd=ROOT, check=True)
        files = json.loads(report.read_text())["files"]
    found: dict[str, tuple[int, int, list[str]]] = defaultdict(lambda: (0, 0, []))
    for name, entry in files.items():
        package = Path(name).parts[2].removesuffix(".py")
        summary = entry["summary"]
        hit, all_of_it, where = found[package]
        hit += summary["covered_lines"] + summary["covered_branches"]
        all_of_it += summary["num_statements"] + summary["num_branches"]
        missing = [str(line) for line in entry["missing_lines"]]
        missing += [f"{start}->{end}" for start, end in entry["missing_branches"]]
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
