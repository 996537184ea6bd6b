"""The plan itself: every test and every fault that it names is there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import seeded_faults

ROOT = Path(__file__).resolve().parents[2]
PLAN = tomllib.loads(Path(__file__).with_name("plan.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PLAN)
def test_what_a_row_names_is_there(name: str) -> None:
    row = PLAN[name]
    assert row["planned"] > 0
    for test in [*row.get("tests", ()), *([row["control"]] if "control" in row else [])]:
        file, _, function = test.partition("::")
        assert (ROOT / file).exists(), file
        assert not function or f"def {function}(" in (ROOT / file).read_text(encoding="utf-8"), test
    # Who claims that something holds shows that the claim can fail; who claims nothing says why.
    assert ("tests" in row) == (("fault" in row) != ("control" in row))
    assert "tests" in row or row["open"]
    assert row.get("fault") is None or row["fault"] in seeded_faults.FAULTS


@pytest.mark.parametrize("name", seeded_faults.FAULTS)
def test_a_fault_replaces_what_is_there(name: str) -> None:
    holder, attribute = seeded_faults.place_of(seeded_faults.FAULTS[name])
    # ``Started.yes`` is an attribute of its instances alone.
    assert hasattr(holder, attribute) or attribute in holder.__init__.__code__.co_names


def test_every_fault_is_some_rows() -> None:
    assert {row["fault"] for row in PLAN.values() if "fault" in row} == set(seeded_faults.FAULTS)
