from __future__ import annotations

from pathlib import Path

import pytest

from uncrop.errors import SettingsError
from uncrop.store.batch_lock import hold_batch, is_alone

ONE, OTHER = "ab" * 16, "cd" * 16


async def test_a_batch_is_held_once(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir(exist_ok=True)  # where the database of SQLite will be
    async with hold_batch(database_url, ONE) as held, hold_batch(database_url, OTHER) as other:
        assert (held, other) == (True, True)
        async with hold_batch(database_url, ONE) as again:
            assert again is False
    async with hold_batch(database_url, ONE) as later:
        assert later is True


def test_whether_anybody_elsewhere_may_work_on_it() -> None:
    assert is_alone("sqlite+aiosqlite:////tmp/uncrop.db")
    assert not is_alone("postgresql+psycopg://uncrop@db/uncrop")


async def test_a_database_that_cannot_be_used_for_it(tmp_path: Path) -> None:
    for url, told in (
        ("sqlite+aiosqlite:///:memory:", "batches need a database in a file"),
        (f"sqlite+aiosqlite:///{tmp_path}/none/uncrop.db", "a file beside it cannot be made"),
        ("postgresql+psycopg://nobody@/none?host=/nowhere", "the database cannot be opened"),
    ):
        with pytest.raises(SettingsError, match=told):
            async with hold_batch(url, ONE):
                pass
