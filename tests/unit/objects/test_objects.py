"""Objects in a folder and in a bucket: whole or not there, the bytes that were put, and never somebody else's."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from uncrop.errors import ServerBusy
from uncrop.objects import objects as module
from uncrop.objects.objects import Objects, digest_of, owner_of
from uncrop.objects.place import FolderPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures_s3 import Bucket

DATA = b"a picture" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
NAME = f"{DIGEST[:2]}/{DIGEST}.0a"


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "folder":
        return Objects(FolderPlace(folder=tmp_path / "objects"))
    return Objects(request.getfixturevalue("bucket").place(prefix="here/answers"))


@pytest.fixture
def damage(request: pytest.FixtureRequest, objects: Objects, tmp_path: Path) -> Callable[[bytes], None]:
    """Replace what is stored by other bytes."""

    def to(data: bytes) -> None:
        if objects._folder is not None:
            (tmp_path / "objects" / NAME).write_bytes(data)
        else:
            stored = request.getfixturevalue("bucket").objects
            stored["here/answers/" + NAME] = data, datetime.now(UTC)

    return to


async def test_what_is_put_is_there_under_its_digest_and_owner(objects: Objects) -> None:
    name = await objects.put("0a", DATA)
    assert name == NAME
    assert (digest_of(name), owner_of(name)) == (DIGEST, "0a")
    assert await objects.get(name) == DATA
    assert await objects.put("0a", DATA) == name
    assert await objects.get(name) == DATA


async def test_what_is_not_there_is_none(objects: Objects) -> None:
    assert await objects.get(NAME) is None
    await objects.delete(NAME)


@pytest.mark.parametrize("stored", [b"", DATA[:-1], DATA + b"\0", DATA.replace(b"a", b"b", 1)])
async def test_what_is_not_what_was_put_is_none(
    objects: Objects, damage: Callable[[bytes], None], stored: bytes
) -> None:
    await objects.put("0a", DATA)
    damage(stored)
    assert await objects.get(NAME) is None


async def test_the_same_bytes_of_two_owners_are_two_objects(objects: Objects) -> None:
    first, second = await objects.put("0a", DATA), await objects.put("0b", DATA)
    assert digest_of(first) == digest_of(second)
    await objects.delete(first)
    assert await objects.get(first) is None
    assert await objects.get(second) == DATA


async def test_old_ones_are_listed(objects: Objects) -> None:
    name = await objects.put("0a", DATA)
    now = datetime.now(UTC)
    assert await objects.older_than(now + timedelta(hours=1)) == [name]
    assert await objects.older_than(now - timedelta(hours=1)) == []
    await objects.check()
    assert await objects.older_than(now + timedelta(hours=1)) == [name]


def test_a_name_that_is_none_has_no_digest() -> None:
    assert digest_of("somebody/else's") == ""


# --- a folder --------------------------------------------------------------------------------------------------------


async def test_a_file_is_on_the_disk_before_anybody_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronized: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synchronized.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    await Objects(FolderPlace(folder=tmp_path)).put("0a", DATA)
    assert synchronized == [NAME, NAME.partition("/")[0], "."]
    await Objects(FolderPlace(folder=tmp_path)).put("0b", DATA)
    assert synchronized[3:] == [NAME.replace(".0a", ".0b"), NAME.partition("/")[0]]


async def test_what_was_cut_off_while_it_was_written_is_not_listed(tmp_path: Path) -> None:
    objects = Objects(FolderPlace(folder=tmp_path))
    name = await objects.put("0a", DATA)
    (tmp_path / f"{NAME}#1").write_bytes(DATA[:10])
    (tmp_path / "somebody's").write_bytes(DATA)
    assert await objects.older_than(datetime.now(UTC) + timedelta(hours=1)) == [name]


async def test_the_folder_is_nobody_elses(tmp_path: Path) -> None:
    await Objects(FolderPlace(folder=tmp_path / "a" / "b")).put("0a", DATA)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


async def test_a_folder_that_cannot_be_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    objects = Objects(FolderPlace(folder=tmp_path / "file"))
    for work in (objects.put("0a", DATA), objects.get(NAME), objects.older_than(datetime.now(UTC))):
        with pytest.raises(ServerBusy) as caught:
            await work
        assert str(tmp_path) not in f"{caught.value.message}{caught.value.system_message}"
    (tmp_path / "file").unlink()
    assert await objects.get(await objects.put("0a", DATA)) == DATA


async def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_store: object, _name: str, _data: bytes, **_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.obstore, "put", full)
    with pytest.raises(ServerBusy):
        await Objects(FolderPlace(folder=tmp_path)).put("0a", DATA)


# --- a bucket --------------------------------------------------------------------------------------------------------


async def test_requests_are_signed_and_go_to_the_prefix(bucket: Bucket) -> None:
    await Objects(bucket.place(prefix="here/answers")).put("0a", DATA)
    assert bucket.seen == [("PUT", f"here/answers/{NAME}")]
    assert bucket.faults == []
    assert bucket.objects[f"here/answers/{NAME}"][0] == DATA


async def test_another_secret_is_refused(bucket: Bucket) -> None:
    with pytest.raises(ServerBusy):
        await Objects(bucket.place(secret="another")).put("0a", DATA)
    assert bucket.faults == ["the signature is another"]
    assert not bucket.objects


async def test_a_large_object_comes_by_one_request(bucket: Bucket) -> None:
    data = os.urandom(20_000_000)
    objects = Objects(bucket.place())
    assert await objects.get(await objects.put("0a", data)) == data
    assert [method for method, _ in bucket.seen] == ["PUT", "GET"]


@pytest.mark.parametrize("failing", [(503, "SlowDown"), (500, "InternalError"), (403, "AccessDenied")])
async def test_a_bucket_that_fails_and_is_back(bucket: Bucket, failing: tuple[int, str]) -> None:
    objects = Objects(bucket.place())
    name = await objects.put("0a", DATA)
    bucket.failing = failing
    for work in (objects.put("0b", DATA), objects.get(name), objects.older_than(datetime.now(UTC))):
        with pytest.raises(ServerBusy, match="try again later"):
            await work
    bucket.failing = None
    assert await objects.get(name) == DATA


async def test_a_bucket_that_is_gone(bucket: Bucket) -> None:
    objects = Objects(bucket.place())
    bucket.exists = False
    with pytest.raises(ServerBusy):
        await objects.put("0a", DATA)
    bucket.exists = True
    assert await objects.get(await objects.put("0a", DATA)) == DATA


async def test_nobody_there() -> None:
    import socket

    from fixtures_s3 import Bucket as Absent

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ServerBusy):
        await Objects(Absent(port=port).place()).put("0a", DATA)


async def test_what_is_written_under_a_name_is_read_by_it_and_goes_with_its_folder(objects: Objects) -> None:
    assert await objects.read("job_1", "image") is None
    await objects.write("job_1", "image", b"first")
    await objects.write("job_1", "image", DATA)
    await objects.write("job_1", "result-1", b"made")
    await objects.write("job_12", "image", b"another's")
    assert await objects.read("job_1", "image") == DATA
    soon, long_ago = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(hours=1)
    assert await objects.folders_older_than(soon) == {"job_1", "job_12"}
    assert await objects.folders_older_than(long_ago) == frozenset()
    for _ in range(2):
        await objects.delete_folder("job_1")
    assert await objects.read("job_1", "image") is None
    assert await objects.folders_older_than(soon) == {"job_12"}
