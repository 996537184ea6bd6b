"""The command around batches; pictures are made in tests/integration/test_batch_chaos.py."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop import settings
from uncrop.bootstrap import open_store_from
from uncrop.cli import app
from uncrop.cli.batch_progress import BatchProgress, outcome
from uncrop.model.batches import PhotoEnding
from uncrop.store.batch_lock import hold_batch
from uncrop.store.batches import Sums, batch_id_of
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from uncrop.model.batches import Batch
    from uncrop.store.database import Store


def run(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line))


@pytest.fixture(autouse=True)
def photos(database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNCROP_CLIPDROP_API_KEY", "key")
    monkeypatch.setenv("UNCROP_CLIPDROP_USD_PER_CREDIT", "0.5")
    folder = Path("in")
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(photo_png(64, 48))
    (folder / "notes.txt").write_text("no photo")
    return folder


def with_store(work: object) -> None:
    async def do() -> None:
        async with open_store_from(settings.load()) as store:
            await work(store)  # type: ignore[operator]

    asyncio.run(do())


def test_a_dry_run_tells_the_plan_and_its_price_and_leaves_nothing() -> None:
    result = run("batch in --output-dir out --left 16 --provider clipdrop --dry-run")
    assert result.exit_code == 0, result.output
    assert result.stdout == "2 photos: 2 to make (2 calls, 1 USD), 0 done\n"
    assert result.stderr == "uncrop: 1 files were passed over: no photos by their names\n"
    assert not Path("out").exists()
    told = json.loads(run("batch in --output-dir out --left 16 --dry-run --json").stdout)
    assert told == {
        "photos": 2,
        "queued": 2,
        "calls": 0,
        "usd": "0",
        "calls_planned": 0,
        "usd_planned": "0",
        "without_price": 0,
    }


def test_a_plan_that_is_dearer_than_it_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for more in ("", " --dry-run"):
        result = run(f"batch in --output-dir out --left 16 --provider clipdrop --max-usd 0.75{more}")
        assert result.exit_code == 3
        assert "--max-usd 0.75: the plan takes 1 dollars; nothing was begun" in result.stderr
    assert run("batch in --output-dir out --left 16 --provider clipdrop --max-usd 1 --dry-run").exit_code == 0
    monkeypatch.delenv("UNCROP_CLIPDROP_USD_PER_CREDIT")
    result = run("batch in --output-dir out --left 16 --provider clipdrop --max-usd 5")
    assert result.exit_code == 3
    assert "what 2 photos cost is not known here" in result.stderr
    told = run("batch in --output-dir out --left 16 --provider clipdrop --dry-run").stdout
    assert "2 calls, 0 USD and 2 photos of unknown price" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("batch none --output-dir out --left 8", "none: no such file or folder"),
        ("batch in/notes.txt --output-dir out --left 8", "in/notes.txt: there is no photo"),
        ("batch in --output-dir in/a.png --left 8", "--output-dir in/a.png: is a file, not a folder"),
        ("batch in --output-dir out --canvas huge", "--canvas huge: must be like 2000x1500"),
        ("batch in --output-dir out --left 8 --quality superb", "--quality"),
        ("batch in --output-dir out --left 8 --provider nobody", "--provider nobody: unknown provider"),
        ("batch in --output-dir s3://x --left 8", "s3://x: must be s3://bucket"),
        ("work --queue other", "--queue other: must be jobs or bulk"),
        ("work --jobs 3", "--jobs goes with --queue bulk"),
    ],
)
def test_wrong_use_is_told_in_a_line(line: str, told: str) -> None:
    result = run(line)
    assert result.exit_code == 2, result.output
    assert told in result.stderr


def test_what_nobody_can_make_is_refused_as_it_is_for_one_photo() -> None:
    result = run("batch in --output-dir out")
    assert (result.exit_code, "nothing says what to add" in result.stderr) == (3, True)


def test_a_table_that_is_wrong_makes_nothing() -> None:
    Path("photos.csv").write_text("source,left\nin/a.png,8\nin/b.png,wide\n")
    result = run("batch photos.csv --output-dir out")
    assert result.exit_code == 2
    assert result.stderr == "uncrop: photos.csv, line 3, column left (wide): must be a whole number\n"
    assert list(Path("out").iterdir()) == []


def test_two_photos_of_one_picture_make_nothing() -> None:
    Path("other").mkdir()
    Path("other/a.png").write_bytes(photo_png(64, 48))
    result = run("batch in other --output-dir out --left 8")
    assert result.exit_code == 2
    assert f"{Path.cwd()}/in/a.png and {Path.cwd()}/other/a.png would both become a.png" in result.stderr


def test_where_all_is_there_nothing_is_opened() -> None:
    Path("out").mkdir()
    for name in ("a.png", "b.png"):
        Path("out", name).touch()
    result = run("batch in --output-dir out --left 8")
    assert result.exit_code == 0
    assert result.stdout == f"{Path.cwd()}/out: 0 done, 2 skipped; report.csv tells of each\n"
    assert json.loads(Path("out/report.json").read_text())["sums"] == {
        "photos": 2,
        "skipped": 2,
        "calls": 0,
        "usd": "0",
    }


@pytest.fixture
def ended() -> None:
    """Leave a batch of which one photo failed and one is in doubt, and another that was killed."""
    place = f"{Path.cwd()}/out"

    async def work(store: Store) -> None:
        batch: Batch | None = await store.batches.find(batch_id_of(place))
        assert batch is not None
        await store.batches.open(batch.id, max_usd_micro=None)
        for number, ending in enumerate(
            (
                PhotoEnding(
                    state="failed",
                    error='{"code": "PROVIDER_ERROR", "message": "x", "details": {}, "system_message": ""}',
                ),
                PhotoEnding(state="unknown", error='{"code": "JOB_OUTCOME_UNKNOWN", "message": "x"}'),
            ),
            1,
        ):
            photo = await store.batch_photos.begin(batch.id, number)
            assert photo is not None
            await store.batch_photos.end(photo, ending)
        other, _ = await store.batches.begin("/elsewhere", "org_batch")
        await store.batches.open(other.id, max_usd_micro=None)

    # It is planned, and too dear to be begun.
    assert run("batch in --output-dir out --left 8 --provider clipdrop --max-usd 0").exit_code == 3
    with_store(work)


@pytest.mark.usefixtures("ended")
def test_what_failed_and_what_is_in_doubt_is_told() -> None:
    result = run("batch in --output-dir out --left 8 --provider clipdrop --json")
    assert result.exit_code == 5, result.output
    told = json.loads(result.stdout)
    assert (told["photos"], told["failed"], told["unknown"]) == (2, 1, 1)
    assert "1 photos failed before; --retry-failed tries them again" in result.stderr
    assert "the batch into /elsewhere was ended midway; its own command goes on with it" in result.stderr
    assert "photos in doubt are not sent again" in result.stderr


def test_one_command_at_a_time() -> None:
    run("batch none --output-dir out --left 8")  # makes the database

    async def hold() -> Result:
        async with hold_batch(settings.load().database, batch_id_of(f"{Path.cwd()}/out")):
            return await asyncio.to_thread(run, "batch in --output-dir out --left 8")

    result = asyncio.run(hold())
    assert result.exit_code == 2
    assert "another uncrop batch makes pictures there" in result.stderr


# --- how far it is ----------------------------------------------------------------------------------------------------


def test_lines_are_told_now_and_then_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    with BatchProgress(stream=io.StringIO(), clock=lambda: now[0]) as progress:
        progress.tell(Sums(states={"done": 10, "queued": 90}))
        now[0] = 5.0
        progress.tell(Sums(states={"done": 20, "queued": 80}))
        now[0] = 10.0
        progress.tell(Sums(states={"done": 28, "failed": 2, "running": 2, "queued": 68}))
        now[0] = 7210.0
        progress.tell(Sums(states={"done": 29, "failed": 2, "running": 2, "queued": 67}))
    assert capsys.readouterr().err.splitlines() == [
        "uncrop: 30/100  28 done, 2 failed, 2.0 a second, 0:35 left",
        "uncrop: 31/100  29 done, 2 failed, 0.2 a minute, 6:34:50 left",
    ]


def test_a_terminal_has_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with BatchProgress(stream=stream) as progress:
        progress.tell(Sums(states={"done": 3, "unknown": 1, "queued": 4}))
    assert "4/8" in stream.getvalue()
    assert "3 done, 1 in doubt" in stream.getvalue()


def test_what_a_batch_came_to() -> None:
    assert outcome(Sums(states={"done": 3, "skipped": 2, "unknown": 1, "queued": 4})) == (
        "3 done, 2 skipped, 1 in doubt, 4 left"
    )
