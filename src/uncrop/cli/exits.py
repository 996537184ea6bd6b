"""Exit codes, and the one line that says why."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from uncrop import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG_USE = 2
REFUSED = 3
BUSY = 4
PROVIDER_FAILED = 5

_WRONG_USE = (errors.InvalidFieldValue, errors.ValidationError, errors.MaskRequired, errors.SettingsError)
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


def stop(message: str, code: int = WRONG_USE) -> NoReturn:
    """Print one line to stderr and exit."""
    typer.echo(f"uncrop: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error of uncrop into its line and its exit code; settings mistakes have a line each."""
    try:
        yield
    except errors.SettingsError as error:
        for problem in error.problems:
            typer.echo(f"uncrop: {problem}", err=True)
        raise typer.Exit(WRONG_USE) from error
    except errors.UncropError as error:
        details = "".join(f"; {name}: {value}" for name, value in (error.details or {}).items())
        stop(f"{error.message}{details}", code_of(error))
