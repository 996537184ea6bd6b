"""Books in memory, and a ledger on them."""

from __future__ import annotations

import pytest

from fake_books import FakeBooks


@pytest.fixture
def books() -> FakeBooks:
    return FakeBooks()
