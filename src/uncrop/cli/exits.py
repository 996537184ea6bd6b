"""Exit codes, and the one line that says why."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
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


def require_server() -> None:
    """Stop unless the packages of the extra ``server`` are there."""
    missing = [name for name in ("sqlalchemy", "starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        stop(f"this needs packages that are missing ({', '.join(missing)}); they come with the extra: uncrop[server]")


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
        # Whoever types the command runs it too, and may know what a caller of a server must not.
        message = error.system_message if isinstance(error, errors.InternalError) else error.message
        stop(f"{message}{_details(error)}", code_of(error))


def _details(error: errors.UncropError) -> str:
    """Name options as they are typed, and the variable that is missing."""
    details = dict(error.details or {})
    if isinstance(error, errors.ProviderNotConfigured):
        # A server that answered is configured, but has not all that it needs.
        variables = () if "provider_status" in details else _variables(str(details.get("provider")))
        return f"; set {' and '.join(variables)}" if variables else f"; {error.system_message}"
    return "".join(f"; {name.replace('extend_', '--')}: {value}" for name, value in details.items())


def _variables(provider: str) -> tuple[str, ...]:
    """Return the variables without which a provider is not configured."""
    from uncrop.providers.registry import load_rows

    row = load_rows().get(provider)
    if row is None:
        return ()
    return tuple(row.variable(each) for each in row.settings if each.required and each.default is None)
