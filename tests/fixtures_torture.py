"""How many cases a test of the trust plan runs: a few each time, all in ``scripts/torture``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what ``scripts/torture`` sets."""
    parser.addoption("--full-count", action="store_true", help="run every case of the trust plan, not a few of them")


class Cases:
    """What one test counts; its figures stand in the JUnit report, from where ``scripts/torture`` takes them."""

    def __init__(self, *, full: bool, record: Callable[[str, object], None]) -> None:
        self.full = full
        self._record = record

    def number(self, everyday: int, full: int) -> int:
        """Return how many cases are to be run."""
        return full if self.full else everyday

    def some(self, items: Sequence[T], everyday: int) -> list[T]:
        """Return all items, or ``everyday`` of them from all over."""
        if self.full or len(items) <= everyday:
            return list(items)
        return [items[len(items) * place // everyday] for place in range(everyday)]

    def ran(self, number: int) -> None:
        """Say how many cases were run."""
        assert number > 0, "not a single case was run"
        self._record("cases", number)


@pytest.fixture
def cases(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Cases:
    """The test's own count."""
    return Cases(full=request.config.getoption("--full-count"), record=record_property)
