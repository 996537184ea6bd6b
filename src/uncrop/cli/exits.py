"""Exit codes, and the one line that says why."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

import typer

from uncrop import errors
from uncrop.cli.printable import printable
from uncrop.cli.wording import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WRONG_USE = 2
REFUSED = 3
BUSY = 4
PROVIDER_FAILED = 5
INTERRUPTED = 130

_WRONG_USE = (
    errors.InvalidFieldValue,
    errors.ValidationError,
    errors.MaskRequired,
    errors.SettingsError,
    errors.EncryptionNotConfigured,
)
_BUSY = (
    errors.ServerBusy,
    errors.RateLimitExceeded,
    errors.UsageLimitExceeded,
    errors.ProviderRateLimited,
    errors.ProviderUnavailable,
)


def code_of(error: errors.UncropError) -> int:
    """Return the exit code for an error."""
    if isinstance(error, _WRONG_USE):
        return WRONG_USE
    if isinstance(error, _BUSY):
        return BUSY
    if isinstance(error, errors.CallerError):
        return REFUSED
    return PROVIDER_FAILED


def note(text: str) -> None:
    """Print one line to stderr."""
    typer.echo(f"uncrop: {printable(text)}", err=True)


def stop(message: str, code: int = WRONG_USE) -> NoReturn:
    """Print one line to stderr and exit."""
    note(message)
    raise typer.Exit(code)


def require_server() -> None:
    """Stop unless the packages of the extra ``server`` are there."""
    missing = [name for name in ("sqlalchemy", "starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        stop(f"this needs packages that are missing ({', '.join(missing)}); they come with the extra: uncrop[server]")


@contextmanager
def explained(typed: Mapping[str, str] = MappingProxyType({}), *, about: str = "") -> Iterator[None]:
    """Turn an error of uncrop into its line and its exit code; settings mistakes have a line each.

    Parameters
    ----------
    typed
        What was typed, by the form's field, as ``sentence`` takes it.
    about
        What the sentence shall begin with, where several things are done: the photo's name.
    """
    try:
        yield
    except errors.SettingsError as error:
        for problem in error.problems:
            note(problem)
        raise typer.Exit(WRONG_USE) from error
    except errors.UncropError as error:
        said = sentence(error, typed)
        stop(said if said.startswith(about) else f"{about}: {said}", code_of(error))
