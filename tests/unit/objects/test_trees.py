"""One suite for both kinds of places, and what only one of them has."""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from uncrop.errors import ServerBusy
from uncrop.objects.trees import BucketFiles, FolderFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_s3 import Bucket
    from uncrop.objects.trees import Files


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        return FolderFiles(tmp_path / "files")
    bucket: Bucket = request.getfixturevalue("bucket")
    return BucketFiles(bucket.place(prefix="batch"))


def test_a_file_is_written_read_renamed_and_deleted(files: Files) -> None:
    assert not files.exists("a/b.jpg")
    files.write("a/.part", b"picture")
    files.rename("a/.part", "a/b.jpg", replace=False)
    assert (files.exists("a/b.jpg"), files.exists("a/.part")) == (True, False)
    assert files.read("a/b.jpg") == b"picture"
    assert list(files.names(recursive=True)) == ["a/b.jpg"]
    assert list(files.names(recursive=False)) == []
    files.delete("a/b.jpg")
    files.delete("a/b.jpg")
    assert not files.exists("a/b.jpg")


def test_nothing_is_replaced_but_where_it_is_meant(files: Files) -> None:
    files.write("a.jpg", b"old")
    files.write(".part", b"new")
    with pytest.raises(FileExistsError):
        files.rename(".part", "a.jpg", replace=False)
    assert files.read("a.jpg") == b"old"
    files.rename(".part", "a.jpg", replace=True)
    assert files.read("a.jpg") == b"new"


def test_a_file_is_written_from_another(files: Files) -> None:
    files.write("report.csv", io.BytesIO(b"row" * 1000))
    assert files.read("report.csv") == b"row" * 1000


def test_a_file_that_is_not_there(files: Files) -> None:
    with pytest.raises(FileNotFoundError):
        files.read("none")


def test_a_bucket_that_is_away_is_told_without_its_address(bucket: Bucket) -> None:
    files = BucketFiles(bucket.place(prefix="batch"))
    assert files.url == "s3://results/batch"
    bucket.failing = (403, "AccessDenied")
    for action in (
        lambda: files.exists("a"),
        lambda: files.read("a"),
        lambda: files.write("a", b""),
        lambda: list(files.names(recursive=True)),
    ):
        with pytest.raises(ServerBusy) as refused:
            action()
        assert "127.0.0.1" not in refused.value.system_message


def test_a_bucket_that_was_never_made(bucket: Bucket) -> None:
    bucket.exists = False
    with pytest.raises(FileNotFoundError):
        list(BucketFiles(bucket.place()).names(recursive=True))


@pytest.fixture
def full() -> Iterator[None]:
    """Let no file of this process grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, usual)


@pytest.mark.usefixtures("full")
def test_nothing_half_written_is_left_on_a_full_disk(tmp_path: Path) -> None:
    files = FolderFiles(tmp_path / "files")
    with pytest.raises(OSError, match="too large") as failed:
        files.write("a.part", b"x" * 100)
    assert failed.value.errno == errno.EFBIG
    assert list(files.names(recursive=True)) == []


def test_a_folder_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    files = FolderFiles(tmp_path)
    files.write(".part", b"new")
    files.rename(".part", "a.jpg", replace=False)
    files.write(".part", b"newer")
    with pytest.raises(FileExistsError):
        files.rename(".part", "a.jpg", replace=False)
    assert files.read("a.jpg") == b"new"
