"""From the providers' rows to a class of settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, Field, SecretStr

from uncrop.errors import SettingsError
from uncrop.settings.core import PREFIX, CoreSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import ProviderFacts, SettingFacts

MAX_FILE_CHARACTERS = 1_000_000
_CARRIED_BY_HEADERS = re.compile(r"[!-~]*")


def settings_class(rows: Mapping[str, ProviderFacts]) -> type[CoreSettings]:
    """Return the core settings together with those of every row.

    Raises
    ------
    SettingsError
        A provider's setting has the name of a core one.
    """
    fields: dict[str, Any] = {}
    for row in rows.values():
        for setting in row.settings:
            name = f"{row.name}_{setting.name}"
            if name in CoreSettings.model_fields:
                raise SettingsError([f"provider {row.name}: settings.{setting.name}: {PREFIX}{name.upper()} is taken"])
            fields[name] = (_type_of(setting), Field(default=setting.default, description=setting.help))
    made = pydantic.create_model("Settings", __base__=CoreSettings, __module__="uncrop.settings", **fields)
    made.rows = dict(rows)
    return made


def _type_of(setting: SettingFacts) -> Any:
    bounds = Field(ge=setting.minimum, le=setting.maximum)
    kinds: dict[str, Any] = {
        "secret": Annotated[SecretStr, AfterValidator(_fits_a_header)],
        "address": Annotated[str, AfterValidator(_is_web_address)],
        "text": Literal[setting.choices] if setting.choices else Annotated[str, Field(min_length=1)],
        "integer": Annotated[int, bounds],
        "number": Annotated[float, bounds],
        "file": Annotated[str, AfterValidator(_read), AfterValidator(lambda text: _checked(text, setting))],
    }
    kind = kinds[setting.kind]
    return kind if setting.default is not None else kind | None


def _is_web_address(value: str) -> str:
    try:
        url = pydantic.HttpUrl(value)
    except pydantic.ValidationError as error:
        raise ValueError("must be an http:// or https:// address") from error
    if url.username is not None or url.password is not None:
        raise ValueError("must not hold a user name or password")
    if url.query or url.fragment:
        raise ValueError("must be an address without query or fragment")
    return value.rstrip("/")


def _read(path: str) -> str:
    """Read a file of settings; its path begins where the server was started, or at the home folder, ``~``."""
    try:
        with Path(path).expanduser().open(encoding="utf-8-sig") as file:
            text = file.read(MAX_FILE_CHARACTERS + 1)
    except UnicodeDecodeError as error:
        raise ValueError("must name a file of text in UTF-8") from error
    except (OSError, RuntimeError) as error:  # the latter: there is no home folder
        reason = getattr(error, "strerror", None) or "no such path"
        raise ValueError(f"names a file that cannot be read: {reason.lower()}") from error
    if len(text) > MAX_FILE_CHARACTERS:
        raise ValueError(f"names a file of more than {MAX_FILE_CHARACTERS:,} characters")
    return text


def _checked(text: str, setting: SettingFacts) -> str:
    wrong = None if setting.check is None else setting.check(text)
    if wrong is not None:
        raise ValueError(wrong)
    return text


def _fits_a_header(value: SecretStr) -> SecretStr:
    # A space or a line's end that came along when the key was copied is told, not cut off: what is meant to be the key
    # is for the operator to say.
    if not _CARRIED_BY_HEADERS.fullmatch(value.get_secret_value()):
        raise ValueError("must consist of visible ASCII characters, without spaces, or no HTTP header can carry it")
    return value
