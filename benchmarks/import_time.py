"""How long `import uncrop` takes, beside an interpreter that imports nothing, in one run.

usage: scripts/bench import [--runs N]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

CASES = {
    "nothing": "pass",
    "import uncrop": "import uncrop",
    "uncrop.extend looked up": "import uncrop; uncrop.extend",
}


def milliseconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    took: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(runs):
        for name, code in CASES.items():
            took[name].append(milliseconds(code))
    nothing = statistics.median(took["nothing"])
    print(f"{'':<28}{'median ms':>10}{'added ms':>10}")
    for name, values in took.items():
        median = statistics.median(values)
        print(f"{name:<28}{median:>10.1f}{median - nothing:>10.1f}")


if __name__ == "__main__":
    main()
