"""The file ``.env``: settings in the working folder, one ``NAME=value`` a line."""

from __future__ import annotations

import codecs
import io
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic_settings import PydanticBaseSettingsSource

from uncrop.errors import SettingsError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

NAME = ".env"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ASSIGNMENT = re.compile(rb"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=")


class EnvFile(PydanticBaseSettingsSource):
    """Gives the settings their values from a file; capital and small letters in the names are the same."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path | None) -> None:
        super().__init__(settings_cls)
        prefix = str(settings_cls.model_config.get("env_prefix", ""))
        written = {} if path is None else read_env_file(path)
        upper = {name.upper(): value for name, value in written.items() if value}
        self._values = {name.removeprefix(prefix): value for name, value in upper.items() if name.startswith(prefix)}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Return a field's value, its name, and that the value is plain text."""
        return self._values.get(field_name.upper()), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all fields that the file names; an empty value is none."""
        names = self.settings_cls.model_fields
        return {name: self._values[name.upper()] for name in names if name.upper() in self._values}


def read_env_file(path: Path) -> dict[str, str | None]:
    """Read a file of settings, in UTF-8 or, with a byte order mark, in UTF-16; none where there is no such file.

    Raises
    ------
    SettingsError
        The file cannot be read, or is in another encoding. No value is repeated: it may be a secret.
    """
    # What is passed over is told by ``remarks``.
    logging.getLogger("dotenv").setLevel(logging.ERROR)
    return dotenv_values(stream=io.StringIO(_text_of(path)))


def remarks(path: Path) -> list[str]:
    """Return a line for all that is passed over in a file of settings, which is no reason to stop.

    Raises
    ------
    SettingsError
        As ``read_env_file``.
    """
    if os.path.isdir(path):  # noqa: PTH112 - unlike Path's, it raises nothing
        return [f"{path} is a folder, so that no settings are read from it"]
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114 - likewise
        return [f"{path} is a link to a file that is not there, so that no settings are read from it"]
    bindings = parse_stream(io.StringIO(_text_of(path)))
    return [f"{path}: line {each.original.line} is no NAME=value and is passed over" for each in bindings if each.error]


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        if not _is_listed(path):
            return ""
        raise SettingsError([f"{path}: cannot be read ({(error.strerror or 'unknown reason').lower()})"]) from error
    return _decoded(path, data)


def _is_listed(path: Path) -> bool:
    """Tell whether the folder can be asked for the file; one that may not even be entered is as good as empty."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _decoded(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        where = _line_of(data, error.start) if not data.startswith(_UTF_16) else "the file"
        raise SettingsError([f"{path}: {where} is not UTF-8; save the file as UTF-8"]) from error
    if "\0" in text:
        raise SettingsError([f"{path}: the file holds NUL characters; save it as UTF-8"])
    return text


def _line_of(data: bytes, position: int) -> str:
    number = data.count(b"\n", 0, position) + 1
    assigned = _ASSIGNMENT.match(data.split(b"\n")[number - 1])
    return f"line {number}" + (f" ({assigned[1].decode()})" if assigned else "")
