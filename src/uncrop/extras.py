"""What to install when a package is missing: `pip install uncrop` brings the client alone."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER = frozenset(
    {
        *("aiosqlite", "alembic", "cryptography", "httptools", "limits", "prometheus_client", "python_multipart"),
        *("obstore", "sqlalchemy", "starlette", "uvicorn", "uvloop"),
    }
)
_EXTRAS = {
    **dict.fromkeys(_SERVER, "server"),
    "dbos": "jobs",
    "standardwebhooks": "jobs",
    "psycopg": "postgres",
    "ray": "ray",
    "redis": "redis",
    "opentelemetry": "otel",
}


@contextmanager
def explained() -> Iterator[None]:
    """Let an import that fails for want of a package say which extra brings it.

    Raises
    ------
    ModuleNotFoundError
        As it was raised within, with another text.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(advice(error), name=error.name) from error


def advice(error: ModuleNotFoundError) -> str:
    """Return one line: what is missing, and the command that brings it."""
    package = (error.name or "").partition(".")[0]
    if package in {"", "uncrop"}:  # a fault of ours, and nothing that could be installed
        return str(error)
    extra = _EXTRAS.get(package, "engine")
    return f"{package} is not installed; it comes with: pip install 'uncrop[{extra}]'"
