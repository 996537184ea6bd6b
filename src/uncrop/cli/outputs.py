"""Writing pictures: whole or not at all, over nothing that is not meant to be replaced, and never lost."""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from uncrop.cli.exits import stop
from uncrop.cli.files import STREAM, format_of, is_same, reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where one picture goes.

    Attributes
    ----------
    path
        As it was typed; ``-`` is standard output.
    target
        The file that is written: what a symbolic link leads to.
    force
        Whether a file that is there may be replaced.
    """

    path: Path
    target: Path
    force: bool = False

    def write(self, data: bytes) -> None:
        """Write the picture, or stop with a line that says why not, and where it is kept in that case."""
        try:
            if self.path == STREAM:
                _write_stream(data)
            elif _is_device(self.target):
                self.target.write_bytes(data)
            else:
                self._replace(data)
        except BrokenPipeError:
            raise
        except FileExistsError:
            stop(f"{self.path}: was made by somebody else meanwhile{_kept(data, self.target)}")
        except OSError as error:
            stop(f"{self.path}: cannot be written ({reason(error)}){_kept(data, self.target)}")

    def _replace(self, data: bytes) -> None:
        """Write to a temporary name in the same folder and rename it, so that nobody ever sees half of the picture."""
        temporary = _temporary_beside(self.target)
        try:
            with temporary.open("xb") as file:
                file.write(data)
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(self.target.stat().st_mode))
            _rename(temporary, self.target, force=self.force)
        finally:
            temporary.unlink(missing_ok=True)


def refuse_folder(path: Path) -> None:
    """Stop where a file's name is that of a folder."""
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path's, it raises nothing where one may not look
        stop(f"{path}: is a folder; name a file in it, or use --output-dir")


def prepare_output(path: Path, *, force: bool = False) -> Output:
    """Check, before any work, that a picture can be written to ``path``.

    Parameters
    ----------
    path
        A file's name, or ``-``.
    force
        Whether a file that is there may be replaced.
    """
    if path == STREAM:
        return Output(path=path, target=path)
    refuse_folder(path)
    target = Path(os.path.realpath(path))
    try:
        if not _is_device(target):
            if _exists(target):
                _check_existing(path, target, force=force)
            _try(target)
    except FileNotFoundError:
        stop(f"{path}: cannot be written (there is no folder {path.parent})")
    except OSError as error:
        stop(f"{path}: cannot be written ({reason(error)})")
    return Output(path=path, target=target, force=force)


def prepare_map(path: Path, *, beside: Path, force: bool = False) -> Output:
    """Check that a map can be written to ``path``, as a PNG and not over the picture ``beside``."""
    if path == STREAM or format_of(path) != "PNG":
        stop(f"--confidence-map {path}: the name must end in .png")
    if is_same(path, beside):
        stop(f"--confidence-map {path}: is where the picture goes")
    return prepare_output(path, force=force)


def make_folder(path: Path) -> None:
    """Make the folder for pictures unless it is there, or stop."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "is a file, not a folder" if path.is_file() else f"cannot be made ({reason(error)})"
        stop(f"--output-dir {path}: {why}")


def _check_existing(path: Path, target: Path, *, force: bool) -> None:
    if not force:
        stop(f"{path}: exists; --force replaces it")
    if not os.access(target, os.W_OK):
        stop(f"{path}: is write-protected")


def _exists(target: Path) -> bool:
    """Tell whether there is a file; a name that cannot be one, or a link that leads in a circle, is an error."""
    try:
        target.stat()
    except FileNotFoundError:
        return False
    return True


def _is_device(target: Path) -> bool:
    """Tell whether it is a pipe, a terminal or the like: those are written to, and not replaced."""
    try:
        return not stat.S_ISREG(target.stat().st_mode)
    except OSError:
        return False


def _try(target: Path) -> None:
    """Make a file in the folder and take it away again."""
    temporary = _temporary_beside(target)
    try:
        temporary.touch(exist_ok=False)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_beside(target: Path) -> Path:
    return target.with_name(f".uncrop-{os.getpid()}-{os.urandom(4).hex()}{target.suffix[:8]}")


def _rename(temporary: Path, target: Path, *, force: bool) -> None:
    """Give the finished file its name; without ``force``, only if no other file has it by now."""
    if force:
        temporary.replace(target)
        return
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # a file system that has no second names
        if os.path.lexists(target):
            raise FileExistsError from None
        temporary.replace(target)


def _write_stream(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _kept(data: bytes, target: Path) -> str:
    """Keep a picture that has no place in the system's folder for temporary files, and say so if that works."""
    import tempfile

    try:
        descriptor, name = tempfile.mkstemp(prefix="uncrop-", suffix=target.suffix)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError:
        return ""
    return f"; the picture is kept as {name}"
