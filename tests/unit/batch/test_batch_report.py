from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from uncrop.batch import report as reports
from uncrop.batch.report import Report, usd
from uncrop.model.batches import PhotoEnding, PlannedPhoto
from uncrop.objects.trees import BucketFiles

if TYPE_CHECKING:
    from batch_bench import Bench
    from fixtures_s3 import Bucket


async def ended(bench: Bench) -> None:
    """End three photos of four."""
    await bench.plan(3)
    odd = PlannedPhoto(
        source="/in/caf\udce9\n.jpg", output="caf\udce9\n.jpg", request="{}", billed=False, state="skipped"
    )
    await bench.store.batches.plan(bench.batch, kept=(), new=[(None, odd)])
    endings = (
        PhotoEnding(
            state="done",
            provider="clipdrop",
            width=9,
            height=8,
            seed=3,
            confidence=0.51234,
            calls=2,
            usd_micro=1_250_000,
            sha256="ab",
            bytes=5,
            milliseconds=7,
        ),
        PhotoEnding(state="failed", calls=1, usd_micro=40_000, error='{"code": "TIMEOUT", "message": "Too, slow"}'),
    )
    for number, ending in enumerate(endings, 1):
        photo = await bench.store.batch_photos.begin(bench.batch.id, number)
        assert photo is not None
        await bench.store.batch_photos.end(photo, ending)


async def test_the_report_has_a_row_a_photo_and_their_sums(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "AT_A_TIME", 3)
    await ended(bench)
    files = bench.places.files_at(bench.batch.place)
    sums = await Report(batches=bench.store.batches, files=files).write(bench.batch)
    assert (sums.photos, sums.calls, sums.usd_micro) == (4, 3, 1_290_000)
    assert set(bench.written()) == {"report.csv", "report.json"}
    told = json.loads(bench.written()["report.json"])
    assert told["sums"] == {"photos": 4, "done": 1, "failed": 1, "queued": 1, "skipped": 1, "calls": 3, "usd": "1.29"}
    first, second, _, last = told["photos"]
    assert first == {
        "source": f"{bench.folder}/1.jpg",
        "output": "1.jpg",
        "status": "done",
        "code": None,
        "message": None,
        "provider": "clipdrop",
        "size": "9x8",
        "seed": 3,
        "confidence": 0.5123,
        "calls": 2,
        "usd": "1.25",
        "sha256": "ab",
        "bytes": 5,
        "ms": 7,
    }
    assert (second["code"], second["message"], second["usd"]) == ("TIMEOUT", "Too, slow", "0.04")
    assert last["source"] == "/in/caf\udce9\n.jpg"
    text = bench.written()["report.csv"].decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(text.splitlines(keepends=True)))
    assert [{name: value or "" for name, value in row.items()} for row in rows] == [
        {name: "" if value is None else str(value) for name, value in photo.items()} for photo in told["photos"]
    ]


async def test_another_report_takes_the_place_of_the_last(bench: Bench) -> None:
    await ended(bench)
    report = Report(batches=bench.store.batches, files=bench.places.files_at(bench.batch.place))
    await report.write(bench.batch)
    batch, _ = await bench.store.batches.begin(bench.batch.place, "org_a")
    assert (await report.write(batch)).photos == 0
    assert json.loads(bench.written()["report.json"])["photos"] == []


async def test_a_report_in_a_bucket(bench: Bench, bucket: Bucket) -> None:
    bench.batch, _ = await bench.store.batches.begin("s3://results/out", "org_a")
    await Report(batches=bench.store.batches, files=BucketFiles(bucket.place(prefix="out"))).write(bench.batch)
    assert json.loads(bucket.objects["out/report.json"][0])["sums"]["photos"] == 0
    assert bucket.objects["out/report.csv"][0].startswith(b"source,output,status,")


@pytest.mark.parametrize(("micro", "text"), [(None, None), (0, "0"), (40_000, "0.04"), (1, "0.000001")])
def test_dollars(micro: int | None, text: str | None) -> None:
    assert usd(micro) == text
