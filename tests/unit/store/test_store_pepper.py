from __future__ import annotations

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from uncrop.errors import SettingsError
from uncrop.store import pepper as pepper_module
from uncrop.store.pepper import fingerprint, load_pepper


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "uncrop"

    made = load_pepper(folder)

    assert len(made) == 32
    assert load_pepper(folder) == made
    assert [path.name for path in folder.iterdir()] == ["pepper"]
    assert stat.S_IMODE((folder / "pepper").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_every_data_folder_has_its_own(tmp_path: Path) -> None:
    assert load_pepper(tmp_path / "a") != load_pepper(tmp_path / "b")


def test_processes_that_start_together_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        peppers = set(threads.map(load_pepper, [tmp_path] * 64))

    assert len(peppers) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pepper"]


def test_whoever_comes_second_takes_the_first_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pepper").write_bytes(b"f" * 32)
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as it was a moment before

    assert load_pepper(tmp_path) == b"f" * 32
    assert [path.name for path in tmp_path.iterdir()] == ["pepper"]


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_file_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "pepper").write_bytes(bytes(size))

    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path)
    assert caught.value.problems == [f"UNCROP_DATA_DIR: the file pepper must hold 32 bytes, not {size}"]


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "pepper").mkdir()

    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper cannot be used: Is a directory"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path / "file" / "data")
    assert caught.value.problems == ["UNCROP_DATA_DIR: the data folder cannot be made: Not a directory"]


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    load_pepper(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", forbidden)
    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper cannot be used: Permission denied"]


@pytest.fixture(params=["EPERM", "EACCES", "ENOSYS", "ENOTSUP", "EMLINK"])
def without_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_from: object, _to: object) -> None:
        raise OSError(getattr(errno, request.param), "no links here")

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("without_links")
def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = load_pepper(tmp_path)
    assert len(made) == 32
    assert load_pepper(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "pepper").stat().st_mode) == 0o600
    monkeypatch.setattr(Path, "exists", lambda _: False)  # as it was a moment before
    assert load_pepper(tmp_path) == made
    assert [path.name for path in tmp_path.iterdir()] == ["pepper"]


@pytest.mark.usefixtures("without_links")
def test_a_disk_that_fills_up_there_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper cannot be used: No space left on device"]
    assert list(tmp_path.iterdir()) == []


def test_another_failure_of_a_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_from: object, _to: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper cannot be used: Input/output error"]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(SettingsError) as caught:
        load_pepper(tmp_path)
    assert caught.value.problems == ["UNCROP_DATA_DIR: the file pepper cannot be used: No space left on device"]
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_tells_peppers_apart_and_not_what_they_are() -> None:
    assert len(fingerprint(bytes(32))) == 32
    assert fingerprint(bytes(32)) == fingerprint(bytes(32))
    assert fingerprint(bytes(32)) != fingerprint(bytes(31) + b"\1")
    assert pepper_module.PEPPER_BYTES == 32
