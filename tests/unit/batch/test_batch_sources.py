from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.batch.places import Places
from uncrop.batch.sources import MOST_PROBLEMS, Sources, SourcesError, _suffix
from uncrop.errors import InvalidFieldValue, ServerBusy, SettingsError
from uncrop.intake.fields import check_fields
from uncrop.model import Sides, UncropRequest
from uncrop.providers.local.facts import FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_s3 import Bucket
    from uncrop.objects.trees import Files

LEFT = UncropRequest(provider="local", image=b"", sides=Sides(left=8))


def sources(*typed: str | Path, **changes: Any) -> Sources:
    values: dict[str, Any] = {
        "typed": [str(each) for each in typed],
        "defaults": LEFT,
        "files_at": Places().files_at,
        "check": lambda request: check_fields(request, FACTS),
        "output": "/nowhere",
    }
    return Sources(**{**values, **changes})


def read(*typed: str | Path, **changes: Any) -> dict[str, str]:
    """Return the outputs by their sources, these without the folder of the first."""
    return {photo.output: photo.source for photo in sources(*typed, **changes).read()}


def problems(*typed: str | Path, **changes: Any) -> tuple[str, ...]:
    with pytest.raises(SourcesError) as refused:
        list(sources(*typed, **changes).read())
    return refused.value.problems


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/c.webp", "deep/er/d.jpeg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo")
    return folder


def table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "photos.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_folder_gives_its_photos_in_order_and_counts_what_is_none(folder: Path) -> None:
    found = sources(folder)
    assert [photo.output for photo in found.read()] == ["a.PNG", "b.jpg"]
    assert found.ignored == {"hidden": 1, "no photos by their names": 1}
    assert {photo.source for photo in found.read()} == {f"{folder}/a.PNG", f"{folder}/b.jpg"}
    assert {photo.request for photo in found.read()} == {LEFT}
    assert found.ignored.total() == 2, "what was counted by another look is not counted again"


def test_folders_in_folders_are_an_option(folder: Path) -> None:
    found = read(folder, recursive=True)
    assert found["deep/er/d.jpeg"] == f"{folder}/deep/er/d.jpeg"
    assert set(found) == {"a.PNG", "b.jpg", "deep/c.webp", "deep/er/d.jpeg"}


def test_a_folder_that_leads_in_a_circle_ends(folder: Path) -> None:
    (folder / "circle").symlink_to(folder)
    (folder / "lost.jpg").symlink_to(folder / "lost.jpg")
    assert set(read(folder, recursive=True)) == {"a.PNG", "b.jpg", "deep/c.webp", "deep/er/d.jpeg"}


def test_patterns_and_single_photos(folder: Path) -> None:
    assert set(read(f"{folder}/**/*.[jw]*", folder / "a.PNG")) == {"b.jpg", "c.webp", "d.jpeg", "a.PNG"}


def test_a_format_changes_endings(folder: Path) -> None:
    webp = UncropRequest(provider="local", image=b"", sides=Sides(left=8), answer_format="WEBP")
    assert set(read(folder, recursive=True, defaults=webp)) == {"a.webp", "b.webp", "deep/c.webp", "deep/er/d.webp"}


def test_own_pictures_are_no_photos(folder: Path) -> None:
    own = sources(folder, recursive=True, output=str(folder / "deep"))
    assert {photo.output for photo in own.read()} == {"a.PNG", "b.jpg"}
    assert own.ignored["in the output folder"] == 2


def test_names_with_ends_of_lines_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    for name in (b"two\nlines.jpg", b"caf\xe9.jpg", "caf\u00e9.jpg".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(b"photo")
    found = read(tmp_path)
    assert {os.fsencode(output) for output in found} == {b"two\nlines.jpg", b"caf\xe9.jpg", "caf\u00e9.jpg".encode()}
    assert all(Places().read(source) == b"photo" for source in found.values())


def test_what_is_not_there_is_told_line_by_line(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "lost").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    told = problems("no such", "*.nothing", tmp_path / "lost", tmp_path / "pipe", "s3://", folder)
    assert [line.rpartition(": ")[2] for line in told] == [
        "no such file or folder",
        "nothing has a name like this",
        "cannot be read (no such file or directory)",
        "is neither a file nor a folder",
        "names no bucket",
    ]


def test_a_folder_that_cannot_be_listed_is_told(folder: Path) -> None:
    class Unreadable:
        url = ""

        def names(self, *, recursive: bool) -> Iterator[str]:
            raise PermissionError(13, "Permission denied", "/in/deep")
            yield ""

    def files_at(_url: str) -> Files:
        return Unreadable()  # type: ignore[return-value]

    assert problems(folder, files_at=files_at) == ("/in/deep: cannot be listed (permission denied)",)


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_table_says_what_is_asked_for_each_photo(tmp_path: Path) -> None:
    text = (
        "source,output,left,Aspect,zoom_out,seed,prompt,output-format,canvas\n"
        'a.jpg,,,16:9,,7,"sea, and\nsky",,\n'
        "/photos/b.png,wide/b.webp,,,25,,,webp,\n"
        "\n"
        "s3://bucket/c d.jpg,,,,,,,,2000x1500-10+0\n"
        "d.jpg,,,,,,,,\n"
    )
    found = list(sources(table(tmp_path, text), check=lambda _request: None).read())
    assert [(photo.source, photo.output) for photo in found] == [
        (f"{tmp_path}/a.jpg", "a.jpg"),
        ("/photos/b.png", "wide/b.webp"),
        ("s3://bucket/c d.jpg", "c d.jpg"),
        (f"{tmp_path}/d.jpg", "d.jpg"),
    ]
    first, second, third, last = (photo.request for photo in found)
    assert (first.sides, first.aspect_ratio, first.seed, first.prompt) == (Sides(), "16:9", 7, "sea, and\nsky")
    assert (second.sides, second.zoom_out, second.answer_format) == (Sides(), 25, "WEBP")
    assert (third.canvas_width, third.canvas_height, third.canvas_x, third.canvas_y) == (2000, 1500, -10, 0)
    assert last == LEFT, "where a row says nothing, the command's own options count"
    assert [photo.said_in.rpartition(" ")[2] for photo in found] == ["2", "4", "6", "7"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_mark_of_byte_order(tmp_path: Path, separator: str) -> None:
    text = f"\ufeffsource{separator}left\na,b.jpg{separator}16\n"
    (photo,) = sources(table(tmp_path, text)).read()
    assert (photo.output, photo.request.sides) == ("a,b.jpg", Sides(left=16))


def test_a_name_of_bytes_in_a_table(tmp_path: Path) -> None:
    (photo,) = sources(table(tmp_path, b"source\ncaf\xe9.jpg\n")).read()
    assert os.fsencode(photo.source).endswith(b"/caf\xe9.jpg")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source,lft\na.jpg,1\n", "line 1: column 'lft' is unknown"),
        ("source,left,left\na.jpg,1,2\n", "line 1: column 'left' is there twice"),
        ("left\n1\n", "line 1: column 'source' is missing"),
        ("", "line 1: column 'source' is missing"),
        ("source,left\na.jpg,wide\n", "line 2, column left (wide): must be a whole number"),
        ("source,left\na.jpg,1,2\n", "line 2: has 3 values for 2 columns"),
        ("source\n\na.jpg\nnotes.txt\n", "line 4, column source (notes.txt): must end in .jpg"),
        ("source,left\n,4\n", "line 2, column source (): names no photo"),
        ("source,output\na.jpg,../b.jpg\n", "line 2, column output (../b.jpg): must be a name below the output folder"),
        ("source,output\na.jpg,/b.jpg\n", "line 2, column output (/b.jpg): must be a name below"),
        ("source,output\na.jpg,b\n", "line 2, column output (b): must end in .jpg"),
        ("source,output\na.jpg,.b.jpg\n", "line 2, column output (.b.jpg): must not begin with a dot"),
        (
            "source,output,output-format\na.jpg,b.jpg,png\n",
            "line 2, column output (b.jpg): its ending and output-format",
        ),
        ("source,output-format\na.jpg,gif\n", "line 2, column output-format (gif): must be jpeg, png or webp"),
        ("source,canvas\na.jpg,huge\n", "line 2, column canvas (huge): must be like 2000x1500"),
        ("source,quality\na.jpg,superb\n", "line 2, column quality (superb): quality must be one of"),
        (
            "source,left,aspect\na.jpg,4,16:9\n",
            "line 2, column left (4) and aspect (16:9): extend_left and aspect_ratio",
        ),
        ("source,left\na.jpg,99999\n", "line 2, column left (99999): Extend parameters exceed"),
        ("source\na.jpg\0.jpg\n", "is no name of a file"),
        ('source\n"a.jpg\n', "is no table of comma-separated values in UTF-8"),
        ("source,prompt\na.jpg," + "x" * 70_000 + "\n", "is no table of comma-separated values"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_by_line_and_column(tmp_path: Path, text: str, told: str) -> None:
    (line,) = problems(table(tmp_path, text))
    assert told in line
    assert line.startswith(f"{tmp_path}/photos.csv")


def test_all_that_is_wrong_is_told_at_once_up_to_a_number(tmp_path: Path) -> None:
    rows = "".join(f"{number}.jpg,x\n" for number in range(MOST_PROBLEMS + 5))
    told = problems(table(tmp_path, f"source,left\ngood.jpg,4\n{rows}"))
    assert len(told) == MOST_PROBLEMS
    assert [line.partition("line ")[2].partition(",")[0] for line in told[:2]] == ["3", "4"]


def test_a_table_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.symlink_to("/proc/self/mem")
    assert "cannot be read (input/output error)" in problems(path)[0]


def test_an_error_without_a_column_is_told_all_the_same(tmp_path: Path) -> None:
    def check(_request: UncropRequest) -> None:
        raise InvalidFieldValue("No", details={"field": "mask_file"})

    assert problems(table(tmp_path, "source\na.jpg\n"), check=check)[0].endswith("line 2: No")


# --- buckets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos_in_bucket(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    from datetime import UTC, datetime

    place = bucket.place()
    for name, value in {
        "AWS_ACCESS_KEY_ID": place.access_key_id,
        "AWS_SECRET_ACCESS_KEY": place.secret_access_key,
        "AWS_REGION": place.region,
        "AWS_ENDPOINT_URL": place.endpoint,
    }.items():
        monkeypatch.setenv(name, value or "")
    for name in ("shop/a.jpg", "shop/deep/b.png", "shop/readme.md", "shop/out/c.jpg", "other/d.jpg"):
        bucket.objects[name] = b"photo", datetime.now(UTC)
    return bucket


def test_a_prefix_of_a_bucket(photos_in_bucket: Bucket) -> None:
    found = sources("s3://results/shop/", "s3://results/other/d.jpg", output="s3://results/shop/out")
    assert {photo.output: photo.source for photo in found.read()} == {
        "a.jpg": "s3://results/shop/a.jpg",
        "deep/b.png": "s3://results/shop/deep/b.png",
        "d.jpg": "s3://results/other/d.jpg",
    }
    assert found.ignored == {"no photos by their names": 1, "in the output folder": 1}
    assert Places().read("s3://results/shop/deep/b.png") == b"photo"
    assert photos_in_bucket.faults == []


def test_a_bucket_that_is_empty_or_not_there(photos_in_bucket: Bucket) -> None:
    assert problems("s3://results/none") == ("s3://results/none: nothing is there",)
    assert problems("s3://elsewhere/photos") == ("s3://elsewhere/photos: there is no such bucket",)


def test_a_bucket_that_is_away(photos_in_bucket: Bucket) -> None:
    photos_in_bucket.failing = (403, "AccessDenied")
    with pytest.raises(ServerBusy, match="bucket"):
        list(sources("s3://results/shop").read())


def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="in characters that need no escaping"):
        Places().files_at("s3://UPPER/x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    with pytest.raises(SettingsError, match="one is set, the other is missing"):
        Places().files_at("s3://results")


@pytest.mark.parametrize(
    "name", ["a.jpg", "b/a.tar.PNG", ".jpg", "a.", "a", "", "b.d/a", "b.d/.a.jpg", "..jpg", "a..png"]
)
def test_the_ending_of_a_name_is_the_one_that_a_path_has(name: str) -> None:
    assert _suffix(name) == Path(name).suffix
