"""No provider's name stands outside the provider's own rooms: whatever else needs one reads the rows."""

from __future__ import annotations

import re
from pathlib import Path

from uncrop.providers.registry import load_rows

SOURCE = Path(__file__).resolve().parents[2] / "src" / "uncrop"
# What computes here has a name that is also a common word.
NAMES = sorted(name for name, row in load_rows(()).items() if not row.computes_here)


def rooms(name: str) -> tuple[str, ...]:
    """Return where a provider's name may stand: its folder, its emulator, and the list of built-ins."""
    return (f"providers/{name}/", f"testing/{name}/", f"testing/{name}.py", "providers/registry.py")


def test_a_providers_name_stands_in_its_own_rooms_alone() -> None:
    strays = []
    for path in sorted(path for path in SOURCE.rglob("*") if path.suffix in {".py", ".js", ".html", ".css"}):
        relative = path.relative_to(SOURCE).as_posix()
        text = path.read_text(encoding="utf-8").lower()
        strays += [f"{relative}: {name}" for name in NAMES if name in text and not relative.startswith(rooms(name))]
    assert strays == []


def test_the_registry_names_them_in_one_line() -> None:
    lines = (SOURCE / "providers" / "registry.py").read_text().splitlines()
    naming = [line for line in lines if re.search("|".join(NAMES), line)]
    assert len(naming) == 1
    assert naming[0].startswith("NAMES = ")
