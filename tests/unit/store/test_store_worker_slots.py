from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from uncrop.errors import SettingsError
from uncrop.store import worker_slots
from uncrop.store.worker_slots import held_slots, hold_slot

if TYPE_CHECKING:
    from fixtures_postgres import PostgresServer


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()


def never() -> None:
    raise AssertionError


async def test_every_process_has_a_number_of_its_own_and_the_first_that_is_free(database_url: str) -> None:
    async with hold_slot(database_url, lost=never) as first:
        async with hold_slot(database_url, lost=never) as second, hold_slot(database_url, lost=never) as third:
            assert (first, second, third) == (0, 1, 2)
        async with hold_slot(database_url, lost=never) as again:
            assert again == 1
    async with hold_slot(database_url, lost=never) as after:
        assert after == 0


async def test_there_are_so_many_and_no_more(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_slots, "MOST_WORKERS", 1)
    async with hold_slot(database_url, lost=never):
        with pytest.raises(SettingsError, match="1 processes work on its jobs already"):
            async with hold_slot(database_url, lost=never):
                pass


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///:memory:", "sqlite+aiosqlite://", "sqlite+aiosqlite:///file:x"])
async def test_a_database_in_memory_has_no_workers(url: str) -> None:
    with pytest.raises(SettingsError, match="jobs need a database in a file"):
        async with hold_slot(url, lost=never):
            pass


async def test_a_file_that_cannot_be_made_beside_the_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="a file beside it cannot be made"):
        async with hold_slot(f"sqlite+aiosqlite:///{tmp_path}/none/uncrop.db", lost=never):
            pass


async def test_a_postgresql_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be opened"):
        async with hold_slot(f"postgresql+psycopg://nobody@/none?host={tmp_path}", lost=never):
            pass


async def test_a_number_is_taken_anew_when_the_session_was_cut_off(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    lost = asyncio.Event()
    async with hold_slot(postgres_url, lost=lost.set, look_every_s=0.02) as number:
        _cut_off(postgres_server)
        await _until_held(postgres_server)
        assert (number, lost.is_set()) == (0, False)


async def test_a_process_whose_number_was_taken_meanwhile_is_told_to_end(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    lost = asyncio.Event()
    async with hold_slot(postgres_url, lost=lost.set, look_every_s=0.1):
        _cut_off(postgres_server)
        async with hold_slot(postgres_url, lost=never) as other:
            assert other == 0
            await lost.wait()


_LOCKS = "FROM pg_locks WHERE locktype = 'advisory' AND classid = 1970168690"


def _holders(postgres_server: PostgresServer) -> int:
    with postgres_server.connect() as connection:
        found = connection.execute(f"SELECT count(*) {_LOCKS} AND granted").fetchone()
    assert found is not None
    return int(found[0])


def _cut_off(postgres_server: PostgresServer) -> None:
    postgres_server.execute(f"SELECT pg_terminate_backend(pid) {_LOCKS}")
    while _holders(postgres_server):
        pass


async def _until_held(postgres_server: PostgresServer) -> None:
    while not _holders(postgres_server):  # noqa: ASYNC110 - another program's
        await asyncio.sleep(0.01)


async def test_whose_numbers_are_held_can_be_asked(database_url: str) -> None:
    assert await held_slots(database_url) == frozenset()
    async with hold_slot(database_url, lost=never), hold_slot(database_url, lost=never):
        assert await held_slots(database_url) == {0, 1}
    assert await held_slots(database_url) == frozenset()


async def test_whose_numbers_are_held_is_not_known_without_the_database(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be opened"):
        await held_slots(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
