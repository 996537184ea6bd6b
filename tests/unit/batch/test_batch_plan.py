from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.batch.notes import is_as_wanted
from uncrop.batch.plan import Planner, Wishes
from uncrop.batch.prices import Prices
from uncrop.batch.sources import Sources, SourcesError
from uncrop.bootstrap import closed_registry
from uncrop.errors import InvalidFieldValue, ProviderNotConfigured
from uncrop.jobs.requests import to_text
from uncrop.model import Sides, UncropRequest
from uncrop.model.batches import BatchPhoto, PhotoEnding
from uncrop.model.claims import hold_id
from uncrop.settings import Settings
from uncrop.store.books import Closing, NewHold
from uncrop.store.database import open_store
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from batch_bench import Bench
    from fixtures_s3 import Bucket

PHOTO = photo_png(64, 48)
LOCAL = UncropRequest(provider="local", image=b"", sides=Sides(left=8))
CLIPDROP = UncropRequest(provider="clipdrop", image=b"", sides=Sides(left=8))
DONE = PhotoEnding(state="done", calls=0)


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **{"clipdrop_api_key": "key", "clipdrop_usd_per_credit": 0.05, **values})


def prices(**values: Any) -> Prices:
    known = settings(**values)
    return Prices(registry=closed_registry(known), auto=known.auto_names, max_output_pixels=known.max_output_pixels)


@pytest.fixture
def photos(bench: Bench) -> Path:
    folder = bench.folder / "in"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(PHOTO)
    return folder


async def plan(
    bench: Bench,
    *typed: Path | str,
    request: UncropRequest = LOCAL,
    resumed: bool | None = None,
    again: bool = True,
    at_a_time: int = 500,
    **wishes: bool,
) -> Planner:
    """Plan the next round."""
    batch, is_resumed = await bench.store.batches.begin(bench.batch.place, "org_a") if again else (bench.batch, False)
    bench.batch = batch
    planner = Planner(
        known=bench.store.batches,
        written=bench.store.batches,
        batch=batch,
        resumed=is_resumed if resumed is None else resumed,
        places=bench.places,
        prices=prices(),
        wishes=Wishes(**wishes),
        at_a_time=at_a_time,
    )
    sources = Sources(
        typed=[str(each) for each in typed],
        defaults=request,
        files_at=bench.places.files_at,
        check=planner.prices.check,
        output=batch.place,
        recursive=True,
    )
    await planner.plan(sources)
    return planner


async def rows(bench: Bench) -> dict[str, BatchPhoto]:
    return {photo.output: photo for photo in await bench.store.batches.page(bench.batch, after=0, most=100)}


async def states(bench: Bench) -> dict[str, str]:
    return {output: photo.state for output, photo in (await rows(bench)).items()}


async def end(bench: Bench, number: int, ending: PhotoEnding = DONE, *, written: bool = True) -> BatchPhoto:
    """Have a worker end a photo."""
    await bench.store.batches.open(bench.batch.id, max_usd_micro=None)
    photo = await bench.store.batch_photos.begin(bench.batch.id, number)
    assert photo is not None
    if ending.state == "done" and written:
        bench.places.files_at(bench.batch.place).write(photo.output, b"picture")
    assert await bench.store.batch_photos.end(photo, ending)
    return photo


async def test_the_photos_of_a_folder_are_planned(bench: Bench, photos: Path) -> None:
    await plan(bench, photos, at_a_time=2)
    assert await states(bench) == {"a.png": "queued", "b.png": "queued", "c.png": "queued"}
    photo = (await rows(bench))["a.png"]
    assert (photo.source, photo.request, photo.billed) == (f"{photos}/a.png", to_text(LOCAL), False)


async def test_pictures_that_are_there_are_left_unless_they_shall_be_replaced(bench: Bench, photos: Path) -> None:
    bench.out.mkdir()
    (bench.out / "b.png").write_bytes(b"theirs")
    await plan(bench, photos)
    assert await states(bench) == {"a.png": "queued", "b.png": "skipped", "c.png": "queued"}
    assert json.loads((await rows(bench))["b.png"].error or "")["code"] == "EXISTS"
    assert (await plan(bench, photos)).before == {"skipped": 1}, "what stays as it is takes no statement of its own"
    await plan(bench, photos, force=True)
    assert [(photo.state, photo.replace) for photo in (await rows(bench)).values()] == [("queued", True)] * 3
    await plan(bench, photos)
    assert (await rows(bench))["b.png"].replace, "resumed, it goes on as it was begun"


async def test_done_photos_are_not_made_again(bench: Bench, photos: Path) -> None:
    await plan(bench, photos)
    await end(bench, 1)
    planner = await plan(bench, photos)
    assert await states(bench) == {"a.png": "done", "b.png": "queued", "c.png": "queued"}
    assert planner.before == {"done": 1}
    await plan(bench, photos, force=True)
    assert (await states(bench))["a.png"] == "done", "resumed, --force makes nothing twice"
    await bench.store.batches.end(bench.batch.id)
    await plan(bench, photos, force=True)
    assert (await states(bench))["a.png"] == "queued", "begun anew, it makes all again"


async def test_a_picture_that_was_deleted_is_made_again_unless_it_was_paid_for(bench: Bench, photos: Path) -> None:
    await plan(bench, photos)
    await end(bench, 1, written=False)
    await end(bench, 2, PhotoEnding(state="done", calls=1), written=False)
    planner = await plan(bench, photos)
    assert (await states(bench), planner.gone) == ({"a.png": "queued", "b.png": "done", "c.png": "queued"}, 1)


async def test_a_picture_gets_its_name_that_its_dead_maker_could_not_give(bench: Bench, photos: Path) -> None:
    await plan(bench, photos)
    photo = await end(bench, 1, written=False)
    other = await end(bench, 2)
    bench.out.mkdir(exist_ok=True)
    for each in (photo, other):
        (bench.out / each.temporary()).write_bytes(b"made")
    await plan(bench, photos)
    assert (bench.out / "a.png").read_bytes() == b"made"
    assert (bench.out / "b.png").read_bytes() == b"picture", "what is there and may not be replaced is left"
    assert (await states(bench))["a.png"] == "done"


async def test_what_failed_is_tried_again_where_that_is_asked_for(bench: Bench, photos: Path) -> None:
    await plan(bench, photos)
    await end(bench, 1, PhotoEnding(state="failed", error='{"code": "PROVIDER_ERROR"}'))
    planner = await plan(bench, photos)
    assert ((await states(bench))["a.png"], planner.before["failed"]) == ("failed", 1)
    await plan(bench, photos, retry_failed=True)
    assert (await states(bench))["a.png"] == "queued"
    await end(bench, 1, PhotoEnding(state="failed", error='{"code": "PROVIDER_ERROR"}'))
    await plan(bench, photos, request=UncropRequest(provider="local", image=b"", sides=Sides(left=16)))
    assert (await states(bench))["a.png"] == "queued", "asked for something else, it is another picture"


async def test_what_is_in_doubt_is_never_planned_again_before_the_books_say_more(bench: Bench, photos: Path) -> None:
    await plan(bench, photos, request=CLIPDROP)
    await bench.store.batches.open(bench.batch.id, max_usd_micro=None)
    photo = await bench.store.batch_photos.begin(bench.batch.id, 1)
    assert photo is not None
    claim = "c" * 32
    await bench.store._transactions.write_script(bench.store.batch_photos.claiming(photo, claim))
    hold = NewHold(id=hold_id(claim, 0), organization_id="org_a", key_id=None, provider="x", calls=1, postings=())
    await bench.store.books.open(hold)
    await bench.store.batch_photos.mark_sent(photo)
    await plan(bench, photos, request=CLIPDROP, retry_failed=True)
    assert (await states(bench))["a.png"] == "running", "its worker may be alive"
    await bench.store.batch_photos.end(photo, PhotoEnding(state="unknown", error="{}"))
    for wishes in ({}, {"retry_failed": True}, {"force": True}):
        await bench.store.batches.end(bench.batch.id)
        await plan(bench, photos, request=CLIPDROP, **wishes)
        assert (await states(bench))["a.png"] == "unknown"
    await bench.store.books.close(hold.id, Closing(state="released", decide=lambda _hold, _so_far: ()))
    await plan(bench, photos, request=CLIPDROP)
    assert (await states(bench))["a.png"] == "unknown", "only where that is asked for"
    await plan(bench, photos, request=CLIPDROP, retry_failed=True)
    assert (await states(bench))["a.png"] == "queued"


async def test_what_is_not_named_any_more_is_left_out(bench: Bench, photos: Path) -> None:
    await plan(bench, photos)
    await plan(bench, photos / "b.png")
    assert set(await states(bench)) == {"b.png"}


# --- what contradicts -------------------------------------------------------------------------------------------------


async def refused(bench: Bench, *typed: Path | str, **how: Any) -> Sequence[str]:
    with pytest.raises(SourcesError) as error:
        await plan(bench, *typed, **how)
    return error.value.problems


@pytest.mark.parametrize("at_a_time", [1, 500])
async def test_two_photos_of_one_picture_are_both_named(bench: Bench, photos: Path, at_a_time: int) -> None:
    other = bench.folder / "other" / "b.png"
    other.parent.mkdir()
    other.write_bytes(PHOTO)
    (told,) = await refused(bench, photos, other, at_a_time=at_a_time)
    assert told == f"{photos}/b.png and {other} would both become b.png; give them different names"


@pytest.mark.parametrize("at_a_time", [1, 500])
async def test_a_photo_that_is_simply_named_twice_is_made_once(bench: Bench, photos: Path, at_a_time: int) -> None:
    await plan(bench, photos, photos / "b.png", at_a_time=at_a_time)
    assert len(await states(bench)) == 3


async def test_one_photo_in_two_ways_under_one_name(bench: Bench, photos: Path) -> None:
    table = photos / "photos.csv"
    table.write_text("source,left\na.png,8\na.png,16\n")
    (told,) = await refused(bench, table)
    assert told.startswith(f"{table}, line 3: {photos}/a.png, asked for in two ways, would both become a.png")


async def test_a_photo_is_not_replaced_by_its_own_picture(bench: Bench) -> None:
    bench.out.mkdir()
    (bench.out / "a.png").write_bytes(PHOTO)
    table = bench.folder / "photos.csv"
    table.write_text("source\nout/a.png\n")
    (told,) = await refused(bench, table, force=True)
    assert told == f"{bench.out}/a.png: is a photo; it is not replaced by its own picture"


# --- prices -----------------------------------------------------------------------------------------------------------


async def test_what_may_be_billed_is_looked_into_beforehand(bench: Bench, photos: Path) -> None:
    (photos / "b.png").write_bytes(b"no picture")
    (photos / "c.png").unlink()
    (photos / "c.png").symlink_to(photos / "none")
    (photos / "d.png").write_bytes(PHOTO)
    table = photos / "photos.csv"
    table.write_text("source,left,aspect\na.png,8,\nb.png,8,\nc.png,8,\nd.png,,4:3\n")
    await plan(bench, table, request=UncropRequest(provider="clipdrop", image=b""))
    assert await states(bench) == {"a.png": "queued", "b.png": "failed", "c.png": "failed", "d.png": "skipped"}
    photo = (await rows(bench))["a.png"]
    assert (photo.billed, photo.calls_planned, photo.price_usd_micro) == (True, 1, 50_000)


async def test_all_are_looked_into_where_the_plan_is_all_that_is_wanted(bench: Bench, photos: Path) -> None:
    (photos / "b.png").write_bytes(b"no picture")
    await plan(bench, photos, quote_all=True)
    assert await states(bench) == {"a.png": "queued", "b.png": "failed", "c.png": "queued"}


async def test_a_plan_that_is_only_looked_at_changes_nothing(bench: Bench, photos: Path, tmp_path: Path) -> None:
    await plan(bench, photos)
    photo = await end(bench, 1, written=False)
    await end(bench, 2, PhotoEnding(state="failed", error="{}"))
    bench.out.mkdir(exist_ok=True)
    (bench.out / photo.temporary()).write_bytes(b"made")
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/plan.db", pepper=bytes(32)) as other:
        await other.organizations.ensure("org_a")
        batch, _ = await other.batches.begin(bench.batch.place, "org_a")
        planner = Planner(
            known=bench.store.batches,
            written=other.batches,
            batch=batch,
            resumed=True,
            places=bench.places,
            prices=prices(),
            wishes=Wishes(),
        )
        typed = [str(photos)]
        sources = Sources(
            typed=typed, defaults=LOCAL, files_at=bench.places.files_at, check=prices().check, output=batch.place
        )
        await planner.plan(sources)
        assert (await other.batches.sums(batch)).states == {"done": 1, "failed": 1, "queued": 1}
    assert set(bench.written()) == {photo.temporary()}


def test_what_a_call_costs_at_most() -> None:
    auto = UncropRequest(provider="auto", image=b"", sides=Sides(left=8))
    assert prices().usd_micro(LOCAL) == 0
    assert prices().usd_micro(CLIPDROP) == 50_000
    assert prices(auto_providers="local,clipdrop").usd_micro(auto) == 50_000
    assert prices(clipdrop_usd_per_credit=None).usd_micro(CLIPDROP) is None
    assert (prices().is_billed(LOCAL), prices().is_billed(CLIPDROP)) == (False, True)


def test_what_can_never_be_made_is_refused() -> None:
    for request, error in (
        (UncropRequest(provider="nobody", image=b"", sides=Sides(left=8)), InvalidFieldValue),
        (UncropRequest(provider="local", image=b"", sides=Sides(left=8), prompt="sea"), InvalidFieldValue),
        (UncropRequest(provider="auto", image=b"", zoom_out=25, aspect_ratio="1:1"), InvalidFieldValue),
    ):
        with pytest.raises(error):
            prices().check(request)
    with pytest.raises(ProviderNotConfigured):
        prices(clipdrop_api_key=None).check(CLIPDROP)
    with pytest.raises(ProviderNotConfigured):
        prices(clipdrop_api_key=None).outlook(UncropRequest(provider="clipdrop", image=PHOTO, sides=Sides(left=8)))
    prices().check(UncropRequest(provider="auto", image=b"", zoom_out=25))


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"aspect_ratio": "4:3"}, True),
        ({"aspect_ratio": "16:9"}, False),
        ({"aspect_ratio": "wide"}, False),
        ({"canvas_width": 64, "canvas_height": 48}, True),
        ({"canvas_width": 64, "canvas_height": 48, "canvas_x": 1, "canvas_y": 0}, False),
        ({"canvas_width": 65, "canvas_height": 48}, False),
        ({"sides": Sides(left=8)}, False),
    ],
)
def test_whether_a_photo_is_as_wanted_already(asked: dict[str, Any], wanted: bool) -> None:
    assert is_as_wanted(UncropRequest(provider="local", image=PHOTO, **asked)) is wanted
    assert is_as_wanted(UncropRequest(provider="local", image=b"none", **asked)) is False


# --- buckets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def in_bucket(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    place = bucket.place()
    for name, value in {
        "AWS_ACCESS_KEY_ID": place.access_key_id,
        "AWS_SECRET_ACCESS_KEY": place.secret_access_key,
        "AWS_REGION": place.region,
        "AWS_ENDPOINT_URL": place.endpoint,
    }.items():
        monkeypatch.setenv(name, value or "")
    for name in ("in/a.png", "in/b.png", "out/b.png"):
        bucket.objects[name] = PHOTO, datetime.now(UTC)
    return bucket


async def test_a_bucket_is_listed_once_for_what_is_there(bench: Bench, in_bucket: Bucket) -> None:
    bench.batch, _ = await bench.store.batches.begin("s3://results/out", "org_a")
    await plan(bench, "s3://results/in", again=False)
    assert await states(bench) == {"a.png": "queued", "b.png": "skipped"}
    assert in_bucket.seen.count(("GET", "")) == 2
    assert ("HEAD", "out/a.png") not in in_bucket.seen


async def test_a_bucket_that_is_not_there_to_write_to(bench: Bench, in_bucket: Bucket, photos: Path) -> None:
    bench.batch, _ = await bench.store.batches.begin("s3://elsewhere/out", "org_a")
    assert await refused(bench, photos, again=False) == ("s3://elsewhere/out: there is no such bucket",)
