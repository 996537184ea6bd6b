"""Settings: environment variables named ``UNCROP_...``, or lines in a file ``.env`` in the working folder.

They are read once, at the start; this package is the only one that looks at the environment. All mistakes are reported
together, one line each, with the variable's name. Each provider's settings are those of its row of facts.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from uncrop.errors import SettingsError
from uncrop.providers.registry import load_rows
from uncrop.settings.core import PIXEL_MEGABYTES, PREFIX, CoreSettings
from uncrop.settings.env_file import NAME, read_env_file, remarks
from uncrop.settings.network import read_network
from uncrop.settings.of_providers import settings_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import ProviderFacts

    Settings = CoreSettings

__all__ = [
    "PIXEL_MEGABYTES",
    "PREFIX",
    "CoreSettings",
    "Settings",
    "load",
    "slip_lines",
    "unknown_variables",
]

# Those of the client, and one that the launcher alone reads.
OTHERS = frozenset({"UNCROP_PYTHON", "UNCROP_URL", "UNCROP_KEY", "UNCROP_ORGANIZATION"})


def load(rows: Mapping[str, ProviderFacts] | None = None, **overrides: object) -> Settings:
    """Read the environment and ``.env``.

    Parameters
    ----------
    rows
        The providers' rows; those of the built-ins and the installed plug-ins by default.
    overrides
        Values that come before the environment's.

    Raises
    ------
    SettingsError
        With one problem per mistake, each naming its variable.
    """
    kind = _installed() if rows is None else settings_class(rows)
    try:
        return kind(**overrides)  # type: ignore[arg-type]
    except pydantic.ValidationError as error:
        problems = [_describe(problem["loc"], problem["msg"]) for problem in error.errors()]
        raise SettingsError([*problems, *read_network().problems]) from error


def unknown_variables(settings: Settings) -> set[str]:
    """Return the names in the environment and in ``.env`` that look like settings and are none, most likely slips."""
    known = {PREFIX + name.upper() for name in type(settings).model_fields} | OTHERS
    written = {*os.environ, *(name.upper() for name in read_env_file(Path(NAME)))}
    return {name for name in written if name.startswith(PREFIX)} - known


def slip_lines(settings: Settings) -> list[str]:
    """Return a line for all that was passed over: what is odd in ``.env``, and unknown names with what was meant."""
    names = [PREFIX + name.upper() for name in type(settings).model_fields]
    lines = remarks(Path(NAME))
    for name in sorted(unknown_variables(settings)):
        close = get_close_matches(name, names, n=1, cutoff=0.8)
        lines.append(f"{name} is no setting" + (f"; did you mean {close[0]}?" if close else ""))
    return lines


@cache
def _installed() -> type[Settings]:
    return settings_class(load_rows())


def _describe(location: tuple[int | str, ...], message: str) -> str:
    # The value itself is left out: it may be a secret.
    name = PREFIX + str(location[0]).upper() if location else "settings"
    return f"{name}: {message.removeprefix('Value error, ')}"


def __getattr__(name: str) -> Any:
    # Made on first use, since that is when the installed plug-ins are looked for.
    if name == "Settings":
        return _installed()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
