"""The pepper is replaced while keys go on working."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from uncrop.errors import ServerBusy, SettingsError
from uncrop.store.api_key import PepperUse
from uncrop.store.database import Store, open_store
from uncrop.store.pepper import Peppers, load_pepper, load_peppers, pepper_id, replace_pepper
from uncrop.store.tables import api_keys
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW, NEWEST = b"o" * 32, b"n" * 32, b"N" * 32


async def digests_of(store: Store) -> dict[str, tuple[bytes, str]]:
    async with begin(store.keys._transactions._engine, writes=False) as connection:
        return {row.id: (row.digest, row.pepper) for row in (await connection.execute(sa.select(api_keys))).all()}


async def test_a_key_is_hashed_anew_when_it_is_used(database_url: str, clock) -> None:
    async with open_store(database_url, pepper=OLD, clock=clock) as store:
        used, unused = await store.keys.create("org_a"), await store.keys.create("org_a")
        key = await store.keys.verify(used.key)
        assert key is not None
        await store.keys.note_use(key)
    async with open_store(database_url, pepper=Peppers(NEW, [OLD]), clock=clock) as store:
        before = await digests_of(store)
        assert {pepper for _, pepper in before.values()} == {pepper_id(OLD)}
        assert await store.keys.pepper_uses() == (
            PepperUse(pepper_id=pepper_id(OLD), present=False, keys=2, last_used_at=NOON),
        )
        for _ in range(2):
            assert await store.keys.verify(used.key) is not None
        after = await digests_of(store)
        assert after[used.id] == (Peppers(NEW).digest(used.key), pepper_id(NEW))
        assert after[unused.id] == before[unused.id]
        made = await store.keys.create("org_a")
        assert (await digests_of(store))[made.id][1] == pepper_id(NEW)
        uses = await store.keys.pepper_uses()
        assert [(use.present, use.keys) for use in uses] == [(True, 2), (False, 1)]
        await store.keys.revoke(unused.id)
    async with open_store(database_url, pepper=NEW, clock=clock) as store:
        assert store.keys.earlier_peppers == frozenset()
        assert await store.keys.verify(used.key) is not None
        assert await store.keys.verify(unused.key) is None


async def test_a_wrong_secret_is_not_hashed_anew(database_url: str) -> None:
    async with open_store(database_url, pepper=OLD) as store:
        new = await store.keys.create("org_a")
    async with open_store(database_url, pepper=Peppers(NEW, [OLD])) as store:
        before = await digests_of(store)
        assert await store.keys.verify(new.key[:-43] + "A" * 43) is None
        assert await digests_of(store) == before


async def test_of_three_peppers_each_key_is_known_by_its_own(database_url: str) -> None:
    keys = []
    for peppers in (Peppers(OLD), Peppers(NEW, [OLD]), Peppers(NEWEST, [NEW, OLD])):
        async with open_store(database_url, pepper=peppers) as store:
            keys.append((await store.keys.create("org_a")).key)
    async with open_store(database_url, pepper=Peppers(NEWEST, [OLD, NEW])) as store:
        assert len({pepper for _, pepper in (await digests_of(store)).values()}) == 3
        assert [await store.keys.verify(key) is not None for key in keys] == [True] * 3
        assert {pepper for _, pepper in (await digests_of(store)).values()} == {pepper_id(NEWEST)}


async def test_a_pepper_that_a_key_still_needs_cannot_be_left_out(database_url: str) -> None:
    async with open_store(database_url, pepper=OLD) as store:
        await store.keys.create("org_a")
    async with open_store(database_url, pepper=Peppers(NEW, [OLD])) as store:
        await store.keys.create("org_a")

    with pytest.raises(SettingsError, match="name the earlier one in UNCROP_KEY_PEPPER_PREVIOUS"):
        async with open_store(database_url, pepper=NEW):
            pytest.fail("opened")


async def test_where_nothing_can_be_written_the_key_works_all_the_same(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_store(database_url, pepper=OLD) as store:
        new = await store.keys.create("org_a")
    async with open_store(database_url, pepper=Peppers(NEW, [OLD])) as store:
        before = await digests_of(store)

        async def refuse(_work: object) -> None:
            raise ServerBusy

        with monkeypatch.context() as patched:
            patched.setattr(store.keys._transactions, "write", refuse)
            assert await store.keys.verify(new.key) is not None
        assert await digests_of(store) == before


async def test_two_servers_hash_anew_with_different_peppers(database_url: str) -> None:
    """As it is while a new pepper is rolled out: both know both, so the key works with either, whoever wrote last."""
    async with (
        open_store(database_url, pepper=Peppers(OLD, [NEW])) as one,
        open_store(database_url, pepper=Peppers(NEW, [OLD])) as two,
    ):
        new = await one.keys.create("org_a")
        for store in (two, one, two, two, one):
            assert await store.keys.verify(new.key) is not None


# --- where peppers come from -----------------------------------------------------------------------------------------


def test_the_file_is_replaced_and_kept(tmp_path: Path) -> None:
    first = load_pepper(tmp_path)
    assert load_peppers(tmp_path).ids == {pepper_id(first)}

    second = replace_pepper(tmp_path)

    peppers = load_peppers(tmp_path)
    assert peppers.present_id == second == pepper_id(load_pepper(tmp_path))
    assert peppers.ids == {second, pepper_id(first)}
    assert (tmp_path / f"pepper-previous-{pepper_id(first)}").read_bytes() == first
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    third = replace_pepper(tmp_path)
    assert load_peppers(tmp_path).ids == {pepper_id(first), second, third}
    assert len(list(tmp_path.iterdir())) == 3


def test_cut_off_in_the_middle_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_pepper(tmp_path)

    def unlink(path: Path) -> None:
        if path.name == "pepper":
            raise PermissionError(13, "Permission denied")
        os.unlink(path)  # noqa: PTH108 - the other way is replaced here

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        with pytest.raises(SettingsError) as caught:
            replace_pepper(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper cannot be replaced: Permission denied"]
    assert load_pepper(tmp_path) == first
    assert load_peppers(tmp_path).ids == {pepper_id(first)}
    replace_pepper(tmp_path)  # what was begun is taken up
    assert pepper_id(first) in load_peppers(tmp_path).ids


def test_a_pepper_in_the_settings_comes_first_and_the_files_are_known_still(tmp_path: Path) -> None:
    first = load_pepper(tmp_path)
    second = replace_pepper(tmp_path)

    peppers = load_peppers(tmp_path, "s" * 32)

    assert peppers.present == b"s" * 32
    assert peppers.ids == {pepper_id(b"s" * 32), pepper_id(first), second}


def test_with_a_pepper_in_the_settings_no_file_is_needed_or_made(tmp_path: Path) -> None:
    assert load_peppers(tmp_path / "none", "s" * 32).ids == {pepper_id(b"s" * 32)}
    (tmp_path / "pepper").mkdir()
    (tmp_path / "pepper-previous-1").write_bytes(b"short")
    assert load_peppers(tmp_path, "s" * 32).ids == {pepper_id(b"s" * 32)}
    assert not (tmp_path / "none").exists()


def test_without_one_a_broken_file_stops_the_start(tmp_path: Path) -> None:
    load_pepper(tmp_path)
    (tmp_path / "pepper-previous-1").write_bytes(b"short")

    with pytest.raises(SettingsError) as caught:
        load_peppers(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper-previous-1 must hold 32 bytes, not 5"]


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("a" * 32, {"a" * 32}),
        ("a" * 32 + "," + "b" * 32, {"a" * 32, "b" * 32}),
        (" " + "a" * 32 + " , " + "b" * 32 + ",", {"a" * 32, "b" * 32}),
        ("with,a,comma", {"with,a,comma"}),
        ("", set()),
    ],
)
def test_earlier_ones_stand_in_the_settings(tmp_path: Path, text: str, known: set[str]) -> None:
    peppers = load_peppers(tmp_path, "s" * 32, text)

    assert {pepper_id(each.encode()) for each in known} <= peppers.ids
    assert peppers.present == b"s" * 32


def test_an_id_does_not_tell_the_pepper() -> None:
    assert len(pepper_id(OLD)) == 16
    assert pepper_id(OLD) != pepper_id(NEW)
    assert OLD.hex()[:16] != pepper_id(OLD)
