"""Where pictures are written, and what is never written over."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest
import typer

from uncrop.cli import outputs
from uncrop.cli.outputs import prepare_output


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let pictures that have no place be kept in a folder of the test's own."""
    folder = tmp_path / "kept"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(capsys: pytest.CaptureFixture[str], path: Path, *, force: bool = False) -> str:
    with pytest.raises(typer.Exit) as caught:
        prepare_output(path, force=force)
    assert caught.value.exit_code == 2
    return capsys.readouterr().err


def test_a_new_file_has_the_picture_and_the_usual_mode(folder: Path) -> None:
    output = prepare_output(folder / "out.png")
    assert names(folder) == []
    output.write(b"picture")
    (folder / "plain").touch()
    assert (folder / "out.png").read_bytes() == b"picture"
    assert (folder / "out.png").stat().st_mode == (folder / "plain").stat().st_mode
    assert names(folder) == ["out.png", "plain"]


def test_an_existing_file_is_replaced_with_force_alone_and_keeps_its_mode(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = folder / "out.png"
    target.write_bytes(b"before")
    target.chmod(0o640)
    assert refused(capsys, target) == f"uncrop: {target}: exists; --force replaces it\n"
    prepare_output(target, force=True).write(b"after")
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"after", 0o640)
    assert names(folder) == ["out.png"]


def test_a_link_stays_and_the_file_that_it_leads_to_is_written(tmp_path: Path, folder: Path) -> None:
    target = tmp_path / "elsewhere.png"
    target.write_bytes(b"before")
    target.chmod(0o600)
    (folder / "link.png").symlink_to(target)
    prepare_output(folder / "link.png", force=True).write(b"after")
    assert (folder / "link.png").is_symlink()
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"after", 0o600)


def test_a_link_to_nothing_makes_the_file_that_it_names(tmp_path: Path, folder: Path) -> None:
    (folder / "link.png").symlink_to(tmp_path / "new.png")
    prepare_output(folder / "link.png").write(b"picture")
    assert (folder / "link.png").is_symlink()
    assert (tmp_path / "new.png").read_bytes() == b"picture"


def test_a_link_to_a_file_is_a_file_that_exists(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "file.png").touch()
    (folder / "link.png").symlink_to("file.png")
    assert refused(capsys, folder / "link.png").endswith("link.png: exists; --force replaces it\n")


def test_a_pipe_is_written_to_and_stays_a_pipe(folder: Path) -> None:
    pipe = folder / "pipe.png"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    prepare_output(pipe).write(b"picture")
    reader.join(60)
    assert read == [b"picture"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none/out.png", "cannot be written (there is no folder {folder}/none)"),
        ("file/out.png", "cannot be written (not a directory)"),
        ("inner", "is a folder; name a file in it, or use --output-dir"),
        ("circle.png", "cannot be written (too many levels of symbolic links)"),
        ("x" * 300 + ".png", "cannot be written (file name too long)"),
    ],
)
def test_what_cannot_be_written_is_found_before_any_work(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, why: str, force: bool
) -> None:
    (folder / "inner").mkdir()
    (folder / "file").touch()
    (folder / "circle.png").symlink_to("circle.png")
    before = names(folder)
    assert refused(capsys, folder / name, force=force) == f"uncrop: {folder / name}: {why.format(folder=folder)}\n"
    assert names(folder) == before


def test_a_file_that_was_made_meanwhile_stays_and_the_picture_is_kept(
    folder: Path, temporary_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = prepare_output(folder / "out.png")
    (folder / "out.png").write_bytes(b"somebody's")
    with pytest.raises(typer.Exit):
        output.write(b"picture")
    [kept] = temporary_folder.iterdir()
    assert capsys.readouterr().err == (
        f"uncrop: {folder}/out.png: was made by somebody else meanwhile; the picture is kept as {kept}\n"
    )
    assert (kept.read_bytes(), kept.suffix) == (b"picture", ".png")
    assert (folder / "out.png").read_bytes() == b"somebody's"
    assert names(folder) == ["out.png"]


def test_where_files_have_no_second_name_what_exists_stays_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(_self: Path, _target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    prepare_output(folder / "new.png").write(b"picture")
    assert (folder / "new.png").read_bytes() == b"picture"
    output = prepare_output(folder / "out.png")
    (folder / "out.png").write_bytes(b"somebody's")
    with pytest.raises(typer.Exit):
        output.write(b"picture")
    assert (folder / "out.png").read_bytes() == b"somebody's"
    assert names(folder) == ["new.png", "out.png"]


def test_a_full_disk_leaves_what_was_there_and_the_picture_is_kept(
    folder: Path, temporary_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out.png").write_bytes(b"before")
    output = prepare_output(folder / "out.png", force=True)

    def full(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(typer.Exit):
            output.write(b"after")
    assert "cannot be written (no space left on device); the picture is kept as " in capsys.readouterr().err
    assert [path.read_bytes() for path in temporary_folder.iterdir()] == [b"after"]
    assert (names(folder), (folder / "out.png").read_bytes()) == (["out.png"], b"before")


def test_an_interrupt_while_writing_leaves_no_half_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = prepare_output(folder / "out.png")

    def interrupted(*_: object, **__: object) -> None:
        assert len(names(folder)) == 1  # the temporary file
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs, "_rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        output.write(b"picture")
    assert names(folder) == []


def test_a_write_protected_file_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out.png").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write to any file
    assert refused(capsys, folder / "out.png", force=True).endswith("out.png: is write-protected\n")
