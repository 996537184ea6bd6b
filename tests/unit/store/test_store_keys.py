from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from uncrop.errors import InvalidFieldValue, ServerBusy
from uncrop.store import keys as keys_module
from uncrop.store.api_key import ApiKey
from uncrop.store.database import Store, ensure_first_key, open_store
from uncrop.store.keys import ApiKeys
from uncrop.store.pepper import Peppers
from uncrop.store.prepared import Text
from uncrop.store.tables import api_keys
from uncrop.store.transactions import begin

if TYPE_CHECKING:
    from conftest import Clock
    from fixtures_postgres import PostgresServer

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def no_database() -> ApiKeys:
    """Keys with no database behind them: a query would fail."""
    return ApiKeys(None, Peppers(bytes(32)), lambda: NOON)  # type: ignore[arg-type]


def contents_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_a_new_key_is_recognised_and_carries_its_id(store: Store) -> None:
    new = await store.keys.create("org_123abc", name="laptop")

    assert re.fullmatch(r"uncrop_[0-9A-Za-z]{10}_[0-9A-Za-z_-]{43}", new.key)
    assert new.key.startswith(f"uncrop_{new.id}_")
    found = await store.keys.verify(new.key)
    assert found == ApiKey(
        id=new.id,
        organization_id="org_123abc",
        name="laptop",
        created_at=NOON,
        expires_at=None,
        paused_at=None,
        revoked_at=None,
        last_used_at=None,
    )
    assert found.prefix == f"uncrop_{new.id}"
    assert new.key not in repr(new)


async def test_keys_differ(store: Store) -> None:
    made = [await store.keys.create("org_a") for _ in range(5)]

    assert len({new.id for new in made}) == 5
    assert len({new.key[18:] for new in made}) == 5


async def test_a_wrong_secret_and_an_unknown_id_are_refused(store: Store) -> None:
    new = await store.keys.create("org_a")
    wrong_secret = new.key[:-43] + "A" * 43
    unknown_id = "uncrop_" + "0" * 10 + new.key[17:]

    assert await store.keys.verify(wrong_secret) is None
    assert await store.keys.verify(unknown_id) is None


async def test_every_changed_character_is_refused(store: Store) -> None:
    new = await store.keys.create("org_a")

    for place, character in enumerate(new.key):
        changed = new.key[:place] + ("B" if character == "A" else "A") + new.key[place + 1 :]
        assert await store.keys.verify(changed) is None, place


async def test_a_key_of_another_pepper_is_refused(store: Store) -> None:
    new = await store.keys.create("org_a")
    other = ApiKeys(store.keys._transactions, Peppers(b"another pepper, 32 bytes long..."), store.keys._clock)

    assert await other.verify(new.key) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "uncrop_",
        "uncrop_0123456789_" + "a" * 42,
        "uncrop_0123456789_" + "a" * 44,
        "uncrop_012345678-_" + "a" * 43,
        "UNCROP_0123456789_" + "a" * 43,
        "uncrop_0123456789_" + "ä" * 43,
        "uncrop_012345678\u0669_" + "a" * 43,
        "uncrop_0123456789_" + "a" * 43 + "\n",
        " uncrop_0123456789_" + "a" * 43,
        "\0" * 61,
        "uncrop_0123456789_" + "a" * 1_000_000,
    ],
)
async def test_a_malformed_key_is_refused_without_a_query(no_database: ApiKeys, text: str) -> None:
    assert await no_database.verify(text) is None


@given(st.text())
def test_no_text_makes_verification_fail(text: str) -> None:
    keys = ApiKeys(None, Peppers(bytes(32)), lambda: NOON)  # type: ignore[arg-type]

    assert asyncio.run(keys.verify(text)) is None


async def test_digests_are_compared_in_constant_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    genuine = keys_module.hmac.compare_digest

    def recording(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return genuine(left, right)

    new = await store.keys.create("org_a")
    monkeypatch.setattr(keys_module.hmac, "compare_digest", recording)
    assert await store.keys.verify(new.key) is not None
    assert await store.keys.verify(new.key[:-43] + "A" * 43) is None
    assert await store.keys.verify("uncrop_" + "0" * 10 + "_" + "A" * 43) is None

    assert [len(left) for left, _ in compared] == [32, 32, 32]
    assert [left == right for left, right in compared] == [True, False, False]


async def test_the_statement_never_holds_the_secret(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    new = await store.keys.create("org_a")
    statements: list[str] = []
    parameters = Text.parameters
    monkeypatch.setattr(Text, "parameters", lambda *seen: statements.append(repr(seen)) or parameters(*seen))

    await store.keys.verify(new.key)

    assert any(new.id in statement for statement in statements)
    assert not any(new.key[-43:] in statement for statement in statements)


async def test_no_issued_key_is_readable_in_the_database_file(sqlite_url: str, pepper: bytes, tmp_path: Path) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        issued = [(await store.keys.create("org_123abc", name=f"key {number}")).key for number in range(20)]
        for key in issued:
            assert await store.keys.verify(key) is not None
        contents = contents_of(tmp_path)

    assert issued[0][:17].removeprefix("uncrop_").encode() in contents  # the id is there, so the search can find
    for key in issued:
        assert key.encode() not in contents
        assert key[-43:].encode() not in contents
    assert pepper not in contents


async def test_the_present_state_is_told(store: Store) -> None:
    new = await store.keys.create("org_a", expires_at=NOON + timedelta(hours=1))
    (key,) = await store.keys.all()

    assert key.state(NOON) == "active"
    assert key.state(NOON + timedelta(minutes=59, seconds=59)) == "active"
    assert key.state(NOON + timedelta(hours=1)) == "expired"
    paused = await store.keys.pause(new.id)
    assert paused.state(NOON) == "paused"
    assert paused.state(NOON + timedelta(hours=1)) == "expired"
    revoked = await store.keys.revoke(new.id)
    assert revoked.state(NOON) == "revoked"
    assert revoked.state(NOON + timedelta(hours=1)) == "revoked"


async def test_an_expiry_in_another_time_zone_is_the_same_moment(store: Store) -> None:
    berlin = datetime(2027, 1, 31, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    new = await store.keys.create("org_a", expires_at=berlin)

    found = await store.keys.verify(new.key)

    assert found is not None
    assert found.expires_at == berlin
    assert found.expires_at.tzinfo is UTC


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_key_cannot_be_expired_from_the_start(no_database: ApiKeys, seconds: int) -> None:
    with pytest.raises(InvalidFieldValue, match="The expiry lies in the past") as caught:
        await no_database.create("org_a", expires_at=NOON + timedelta(seconds=seconds))

    assert caught.value.details == {"expires": (NOON + timedelta(seconds=seconds)).isoformat()}


@pytest.mark.parametrize("name", ["", "a" * 201, "two\nlines", "\x1b[31mred", "nul\0"])
async def test_a_name_must_fit_on_a_line(no_database: ApiKeys, name: str) -> None:
    with pytest.raises(InvalidFieldValue, match="A name has 1 to 200 characters"):
        await no_database.create("org_a", name=name)


async def test_the_longest_name_is_kept(store: Store) -> None:
    new = await store.keys.create("org_a", name="ü" * 200)

    found = await store.keys.verify(new.key)
    assert found is not None
    assert found.name == "ü" * 200


@pytest.mark.parametrize(
    "organization_id", ["", "org_", "123", "ORG_1", "org_" + "a" * 65, "org_ä", "org_a\n", "org_a b"]
)
async def test_a_malformed_organization_gets_no_key(no_database: ApiKeys, organization_id: str) -> None:
    with pytest.raises(InvalidFieldValue, match="An organization id is org_"):
        await no_database.create(organization_id)


async def test_pausing_twice_keeps_the_first_moment(store: Store, clock) -> None:
    new = await store.keys.create("org_a")
    await store.keys.pause(new.id)
    clock.advance(hours=1)

    assert (await store.keys.pause(new.id)).paused_at == NOON
    assert (await store.keys.resume(new.id)).paused_at is None
    assert (await store.keys.resume(new.id)).paused_at is None


async def test_revoking_is_for_good(store: Store, clock) -> None:
    new = await store.keys.create("org_a")
    other = await store.keys.create("org_a")
    await store.keys.revoke(new.id)
    clock.advance(hours=1)

    assert (await store.keys.revoke(new.id)).revoked_at == NOON
    for change in (store.keys.pause, store.keys.resume):
        with pytest.raises(InvalidFieldValue, match="The key is revoked for good") as caught:
            await change(new.id)
        assert caught.value.details == {"id": new.id}
    found = await store.keys.verify(new.key)
    assert found is not None
    assert (found.revoked_at, found.paused_at) == (NOON, None)
    untouched = await store.keys.verify(other.key)
    assert untouched is not None
    assert untouched.revoked_at is None


@pytest.mark.parametrize("change", ["pause", "resume", "revoke"])
async def test_an_unknown_id_is_told(store: Store, change: str) -> None:
    with pytest.raises(InvalidFieldValue, match="There is no such key") as caught:
        await getattr(store.keys, change)("nobody" * 50)

    assert caught.value.details == {"id": ("nobody" * 50)[:100]}


async def test_keys_are_listed_by_age_and_organization(store: Store, clock) -> None:
    first = await store.keys.create("org_b")
    clock.advance(seconds=1)
    second = await store.keys.create("org_a")
    clock.advance(seconds=1)
    third = await store.keys.create("org_b")

    assert [key.id for key in await store.keys.all()] == [first.id, second.id, third.id]
    assert [key.id for key in await store.keys.all("org_b")] == [first.id, third.id]
    assert await store.keys.all("org_c") == ()


async def _last_used(store: Store, key: str) -> datetime | None:
    found = await store.keys.verify(key)
    assert found is not None
    return found.last_used_at


async def test_use_is_noted_once_a_minute(store: Store, clock) -> None:
    new = await store.keys.create("org_a")
    other = await store.keys.create("org_a")
    fresh = await store.keys.verify(new.key)
    assert fresh is not None

    await store.keys.note_use(fresh)
    assert await _last_used(store, new.key) == NOON
    clock.advance(seconds=59)
    used = await store.keys.verify(new.key)
    assert used is not None
    await store.keys.note_use(used)
    await store.keys.note_use(fresh)  # as a request does that had read the row before
    assert await _last_used(store, new.key) == NOON
    clock.advance(seconds=1)
    await store.keys.note_use(used)
    assert await _last_used(store, new.key) == NOON + timedelta(minutes=1)
    assert await _last_used(store, other.key) is None


async def test_use_within_the_minute_writes_nothing(store: Store) -> None:
    new = await store.keys.create("org_a")
    key = await store.keys.verify(new.key)
    assert key is not None
    await store.keys.note_use(key)
    used = await store.keys.verify(new.key)
    assert used is not None
    statements: list[str] = []
    engine = store.keys._transactions._engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))

    await store.keys.note_use(used)

    assert statements == []


async def test_the_first_key_is_made_on_an_empty_database_only(store: Store) -> None:
    new = await ensure_first_key(store)

    assert new is not None
    assert re.fullmatch(r"org_[0-9A-Za-z]{12}", new.organization_id)
    found = await store.keys.verify(new.key)
    assert found is not None
    assert (found.organization_id, found.name, found.state(NOON)) == (new.organization_id, "first key", "active")
    assert await ensure_first_key(store) is None
    assert [key.id for key in await store.keys.all()] == [new.id]


async def test_servers_that_start_together_make_one_first_key(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as one, open_store(database_url, pepper=pepper) as two:
        made = await asyncio.gather(*(ensure_first_key(store) for store in [one, two] * 4))

        assert sum(new is not None for new in made) == 1
        assert len(await one.keys.all()) == 1


async def test_only_the_digest_and_the_id_are_in_the_row(store: Store) -> None:
    new = await store.keys.create("org_a")
    async with begin(store.keys._transactions._engine, writes=False) as connection:
        row = (await connection.execute(sa.select(api_keys))).mappings().one()

    assert row["id"] == new.id
    assert row["digest"] == keys_module.hmac.digest(bytes(range(32)), new.key.encode(), "sha256")


async def test_a_use_that_another_process_is_noting_is_not_waited_for(
    postgres_url: str, postgres_server: PostgresServer, pepper: bytes
) -> None:
    async with open_store(postgres_url, pepper=pepper, lock_timeout_ms=100) as store:
        new = await store.keys.create("org_a")
        key = await store.keys.verify(new.key)
        assert key is not None
        with postgres_server.connect() as other, other.transaction():
            other.execute("SELECT * FROM api_keys FOR UPDATE")
            await store.keys.note_use(key)
        assert (await store.keys.all())[0].last_used_at is None


async def test_of_many_uses_at_once_one_is_written(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    key = await store.keys.verify((await store.keys.create("org_a")).key)
    assert key is not None
    written = []
    write = store.keys._transactions.write

    async def counted(work):  # type: ignore[no-untyped-def]
        written.append(work)
        return await write(work)

    monkeypatch.setattr(store.keys._transactions, "write", counted)
    await asyncio.gather(*(store.keys.note_use(key) for _ in range(50)))
    assert len(written) == 1
    assert (await store.keys.all())[0].last_used_at == clock.now
    clock.advance(minutes=2)
    await store.keys.note_use(key)
    assert (await store.keys.all())[0].last_used_at == clock.now


async def test_a_use_that_could_not_be_noted_is_noted_by_the_next(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await store.keys.verify((await store.keys.create("org_a")).key)
    assert key is not None
    monkeypatch.setattr("uncrop.store.keys.MOST_NOTED", 0)  # what is remembered is forgotten, and nothing else happens

    async def broken(_work):  # type: ignore[no-untyped-def]
        raise ServerBusy

    with monkeypatch.context() as patched:
        patched.setattr(store.keys._transactions, "write", broken)
        with pytest.raises(ServerBusy):
            await store.keys.note_use(key)
    await store.keys.note_use(key)
    assert (await store.keys.all())[0].last_used_at == clock.now
