"""Fails on a Python file or script over its budget of lines, or a function over its own.

Budgets: 500 lines a file, 300 in the engine; 60 lines a function, 100 for an engine kernel; in the engine, seven
parameters that may be given by position. Generated lock files and documents do not count.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES, ENGINE_FILE_LINES = 500, 300
FUNCTION_LINES, KERNEL_LINES = 60, 100
ENGINE_PARAMETERS = 7


def tracked() -> list[Path]:
    """List the files that git knows or would add, without the ignored ones."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [path for name in names if (path := ROOT / name).is_file()]


def is_code(path: Path) -> bool:
    """Tell whether a file is read by people as code."""
    return path.suffix in {".py", ".js", ".mjs", ".css", ".html", ".sh"} or path.parent.name == "scripts"


def problems(path: Path) -> list[str]:
    """Return a line for each budget that a file exceeds."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    engine = name.startswith("src/uncrop/engine/")
    allowed, found = (ENGINE_FILE_LINES if engine else FILE_LINES), []
    if (lines := text.count("\n")) > allowed:
        found.append(f"{name}: {lines} lines; at most {allowed}")
    if path.suffix == ".py":
        allowed = KERNEL_LINES if engine else FUNCTION_LINES
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > allowed:
                    found.append(f"{name}:{node.lineno}: {node.name} has {length} lines; at most {allowed}")
                # No caller gives a method's `self`, or the typing context of one of Numba's intrinsics.
                given = [each.arg for each in node.args.args if each.arg not in {"self", "_context"}]
                if engine and len(given) > ENGINE_PARAMETERS:
                    many = f"{len(given)} parameters; at most {ENGINE_PARAMETERS}"
                    found.append(f"{name}:{node.lineno}: {node.name} has {many}")
    return found


def main() -> int:
    """Print every excess; exit status 1 if there is one."""
    found = [line for path in tracked() if is_code(path) for line in problems(path)]
    print("\n".join(found), file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
