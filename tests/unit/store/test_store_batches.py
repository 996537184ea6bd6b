from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.model.batches import Batch, BatchPhoto, PhotoEnding, PlannedPhoto
from uncrop.model.claims import hold_id
from uncrop.store.batches import batch_id_of
from uncrop.store.books import Closing, NewHold

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.database import Store
    from uncrop.store.jobs import Also

PLACE = "/photos/wide \udce9\n"
DONE = PhotoEnding(state="done", provider="clipdrop", width=9, height=8, seed=3, calls=1, usd_micro=40_000, bytes=5)


class Queue(list[tuple[int, bool]]):
    """Notes what is put into it."""

    def adding(self, chunk: int, billed: bool = False) -> Also:
        async def also(_connection: AsyncConnection) -> None:
            self.append((chunk, billed))

        return also


def planned(number: int, **changes: Any) -> PlannedPhoto:
    values = {"source": f"/in/{number}.jpg", "output": f"{number}.jpg", "request": "{}", "billed": False}
    return PlannedPhoto(**{**values, **changes})


async def begun(store: Store, photos: int = 3, **changes: Any) -> Batch:
    """Begin a batch of so many photos, and let it be worked on."""
    await store.organizations.ensure("org_a")
    batch, _ = await store.batches.begin(PLACE, "org_a")
    new = [(None, planned(number, **changes)) for number in range(1, photos + 1)]
    await store.batches.plan(batch, kept=(), new=new)
    await store.batches.open(batch.id, max_usd_micro=None)
    return batch


async def running(store: Store, batch: Batch, number: int = 1) -> BatchPhoto:
    photo = await store.batch_photos.begin(batch.id, number)
    assert photo is not None
    return photo


async def states(store: Store, batch: Batch) -> dict[str, int]:
    return dict((await store.batches.sums(batch)).states)


async def test_a_batch_goes_through_its_rounds(store: Store) -> None:
    await store.organizations.ensure("org_a")
    assert await store.batches.find(batch_id_of(PLACE)) is None
    first, resumed = await store.batches.begin(PLACE, "org_a")
    assert (first.place, first.state, first.round, resumed) == (PLACE, "planning", 1, False)
    await store.batches.open(first.id, max_usd_micro=5)
    (unfinished,) = await store.batches.unfinished()
    assert (unfinished.state, unfinished.max_usd_micro) == ("open", 5)
    await store.batches.stop(first.id)
    assert await store.batches.unfinished() == ()
    second, resumed = await store.batches.begin(PLACE, "org_a")
    assert (second.round, resumed) == (2, True)
    await store.batches.end(first.id)
    await store.batches.stop(first.id)
    ended = await store.batches.find(first.id)
    assert ended is not None
    assert ended.state == "ended", "what has ended cannot be stopped"
    assert (await store.batches.begin(PLACE, "org_a"))[1] is False


async def test_photos_are_planned_and_known_by_the_names_of_their_pictures(store: Store) -> None:
    batch = await begun(store, 2)
    odd = planned(9, source="/in/\udce9\n.jpg", output="a/\udce9\n.jpg", state="skipped", error='{"code": "EXISTS"}')
    await store.batches.plan(batch, kept=(), new=[(None, odd)])
    known = await store.batches.named(batch.id, ["2.jpg", "a/\udce9\n.jpg", "none.jpg"])
    assert {output: (row.number, row.source, row.state) for output, row in known.items()} == {
        "2.jpg": (2, "/in/2.jpg", "queued"),
        "a/\udce9\n.jpg": (3, "/in/\udce9\n.jpg", "skipped"),
    }
    assert await states(store, batch) == {"queued": 2, "skipped": 1}
    assert [photo.number for photo in await store.batches.page(batch, after=1, most=5)] == [2, 3]
    assert known["a/\udce9\n.jpg"].temporary(4) == f"a/.uncrop-{batch.id[:8]}-3-4.part"


async def test_what_a_round_does_not_name_is_nobodys_work(store: Store) -> None:
    await begun(store, 3)
    batch, _ = await store.batches.begin(PLACE, "org_a")
    await store.batches.plan(batch, kept=[1], new=[(2, planned(2, request='{"other": 1}'))])
    queue = Queue()
    assert await store.batches.put_into_chunks(batch, size=100, adding=queue.adding) == 2
    assert await store.batch_photos.open_numbers(batch.id, 1) == (), "it is not open yet"
    await store.batches.open(batch.id, max_usd_micro=None)
    assert await store.batch_photos.open_numbers(batch.id, 1) == (1, 2)
    assert await store.batch_photos.begin(batch.id, 3) is None
    assert await states(store, batch) == {"queued": 2}


async def test_chunks_of_many_and_of_one(store: Store) -> None:
    batch = await begun(store, 5)
    billed = [(None, planned(number, billed=True, usd_micro=7, calls_planned=2)) for number in (6, 7)]
    await store.batches.plan(batch, kept=(), new=[*billed, (None, planned(8, billed=True, calls_planned=1))])
    queue = Queue()
    counts = []
    while count := await store.batches.put_into_chunks(batch, size=4, adding=queue.adding):
        counts.append(count)
    assert (counts, queue) == ([4, 4], [(1, False), (2, False), (3, True), (4, True), (5, True)])
    sums = await store.batches.sums(batch)
    assert (sums.photos, sums.calls_planned, sums.usd_micro_planned, sums.without_price) == (8, 5, 28, 1)


async def test_photos_of_lost_chunks_are_put_into_others(store: Store) -> None:
    batch = await begun(store, 3)
    queue = Queue()
    while await store.batches.put_into_chunks(batch, size=1, adding=queue.adding):
        pass
    await store.batch_photos.end(await running(store, batch, 2), DONE)
    await store.batches.forget_chunks(batch, frozenset({1}))
    assert await store.batches.put_into_chunks(batch, size=9, adding=queue.adding) == 1
    assert await store.batch_photos.open_numbers(batch.id, 4) == (3,)
    assert await store.batch_photos.open_numbers(batch.id, 1) == (1,)


async def test_a_photo_is_begun_ended_and_told(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    assert (photo.state, photo.attempt, photo.deaths) == ("running", 1, 1)
    again = await running(store, batch)
    assert (again.attempt, again.deaths) == (2, 2)
    assert await store.batch_photos.end(photo, DONE) is False, "a late result is refused"
    assert await store.batch_photos.end(again, DONE) is True
    assert await store.batch_photos.end(again, DONE) is False
    row = await store.batch_photos.look_up(batch.id, 1)
    assert row is not None
    assert (row.state, row.provider, row.width, row.seed, row.usd_micro, row.is_open) == (
        *("done", "clipdrop", 9, 3, 40_000),
        False,
    )
    assert await store.batch_photos.begin(batch.id, 1) is None
    assert await store.batch_photos.look_up(batch.id, 99) is None


async def test_a_photo_is_put_back(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    await store.batch_photos.put_back(photo)
    again = await running(store, batch)
    assert (again.attempt, again.deaths) == (2, 1), "its worker did not die of it"


async def test_nothing_is_begun_or_sent_once_a_batch_is_stopped(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    await store.batches.stop(batch.id)
    assert await store.batch_photos.begin(batch.id, 2) is None
    assert await store.batch_photos.mark_sent(photo) == "taken"
    assert await store.batch_photos.hand_back(batch.id, 1, Queue().adding) is False


async def test_a_picture_that_has_taken_a_call_is_seen_through(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    assert await store.batch_photos.mark_sent(photo) is None
    await store.batches.stop(batch.id)
    assert await store.batch_photos.mark_sent(photo) is None


async def test_what_may_have_been_sent_is_not_begun_again(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    await store.batch_photos.mark_sent(photo)
    assert await store.batch_photos.begin(batch.id, 1) is None
    await store.batch_photos.put_back(photo)
    row = await store.batch_photos.look_up(batch.id, 1)
    assert row is not None
    assert (row.state, row.calls_sent) == ("running", 1)
    await store.batch_photos.take_back(photo)
    assert (await running(store, batch)).attempt == 2


async def test_one_that_wakes_sends_nothing(store: Store) -> None:
    batch = await begun(store)
    asleep = await running(store, batch)
    await running(store, batch)
    assert await store.batch_photos.mark_sent(asleep) == "taken"
    await store.batch_photos.take_back(asleep)
    await store.batch_photos.refuse(asleep, "{}")
    row = await store.batch_photos.look_up(batch.id, 1)
    assert row is not None
    assert (row.state, row.calls_sent) == ("running", 0)


async def test_no_more_money_is_spent_than_may_be_however_many_ask_at_once(store: Store) -> None:
    batch = await begun(store, 8, billed=True, usd_micro=30)
    await store.batches.open(batch.id, max_usd_micro=100)
    photos = [await running(store, batch, number) for number in range(1, 9)]
    told = await asyncio.gather(*(store.batch_photos.mark_sent(photo) for photo in photos))
    assert sorted(told, key=str) == [None] * 3 + ["money"] * 5
    sent = [photo for photo, obstacle in zip(photos, told, strict=True) if obstacle is None]
    refused = [photo for photo, obstacle in zip(photos, told, strict=True) if obstacle is not None]
    row = await store.batch_photos.look_up(batch.id, refused[0].number)
    assert row is not None
    assert row.calls_sent == 0, "the mark is taken back with the money"
    # One was refused unbilled, one cost less than it might, one is in doubt.
    await store.batch_photos.take_back(sent[0])
    await store.batch_photos.end(sent[1], PhotoEnding(state="done", usd_micro=20))
    await store.batch_photos.end(sent[2], PhotoEnding(state="unknown"))
    found = await store.batches.find(batch.id)
    assert found is not None
    assert found.usd_micro == 50
    await store.batches.end(batch.id)
    assert (await store.batches.begin(PLACE, "org_a"))[0].usd_micro == 0, "another batch's money is its own"


async def test_a_chunk_is_handed_back_while_anything_is_left_of_it(store: Store) -> None:
    batch = await begun(store, 1)
    queue = Queue()
    await store.batches.put_into_chunks(batch, size=9, adding=queue.adding)
    assert await store.batch_photos.hand_back(batch.id, 1, queue.adding) is True
    assert await store.batch_photos.hand_back(batch.id, 1, queue.adding) is True
    assert queue[1:] == [(1, False), (2, False)], "each time under another number"
    await store.batch_photos.end(await running(store, batch), DONE)
    assert await store.batch_photos.hand_back(batch.id, 1, queue.adding) is False


async def test_ending_in_a_transaction_and_taking_it_back(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    await store._transactions.write_script(store.batch_photos.ending(photo, DONE))
    assert await states(store, batch) == {"done": 1, "queued": 2}
    await store.batch_photos.refuse(photo, '{"code": "VALIDATION_ERROR"}')
    assert await store.batches.errors(batch) == ('{"code": "VALIDATION_ERROR"}',)


async def test_photos_in_doubt_are_settled_by_the_books(store: Store) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    claim = "c" * 32
    await store._transactions.write_script(store.batch_photos.claiming(photo, claim))
    row = await store.batch_photos.look_up(batch.id, 1)
    assert row is not None
    new = NewHold(id=hold_id(claim, 0), organization_id="org_a", key_id=None, provider="x", calls=1, postings=())
    await store.books.open(new)
    assert await store.batches.is_settled(row) is False
    await store.books.close(new.id, Closing(state="released", decide=lambda _hold, _so_far: ()))
    assert await store.batches.is_settled(row) is True
    assert await store.batches.is_settled(photo) is True, "nothing was ever held for it"


@pytest.mark.parametrize("state", ["done", "failed"])
async def test_planned_anew_nothing_of_before_is_left(store: Store, state: Any) -> None:
    batch = await begun(store)
    photo = await running(store, batch)
    await store.batch_photos.mark_sent(photo)
    await store.batch_photos.end(photo, PhotoEnding(state=state, sha256="ab", error="{}"))
    await store.batches.plan(batch, kept=(), new=[(1, planned(1))])
    row = await store.batch_photos.look_up(batch.id, 1)
    assert row is not None
    assert (row.state, row.calls_sent, row.sha256, row.error, row.attempt) == ("queued", 0, None, None, 1)
