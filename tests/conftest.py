"""What all tests share."""

from __future__ import annotations

import importlib
import ipaddress
import os
import sys
from functools import cache
from pathlib import Path

import httpcore2
import hypothesis
import pytest
import structlog

import uncrop
from uncrop import engine
from uncrop.settings import Settings

pytest_plugins = [
    "seeded_faults",
    "fixtures_postgres",
    "fixtures_redis",
    "fixtures_server",
    "fixtures_kernels",
    "fixtures_http",
    "fixtures_wire",
    "fixtures_socks",
    "fixtures_jobs",
    "fixtures_plugin",
    "fixtures_s3",
    "fixtures_corpus",
    "fixtures_torture",
    "fixtures_tenants",
    "fixtures_tables",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch that accepts what golden tests find."""
    parser.addoption("--accept-golden", action="store_true", default=False, help="write golden files anew")


def pytest_configure(config: pytest.Config) -> None:
    """Try a property on more generated inputs where there is time."""
    everyday = config.getoption("markexpr") == "not slow" and not config.getoption("--full-count")
    hypothesis.settings.load_profile("everyday" if everyday else "full")


# No deadline: how long an input takes says how busy the machine is.
hypothesis.settings.register_profile("everyday", max_examples=50, deadline=None)
hypothesis.settings.register_profile("full", max_examples=300, deadline=None)


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host)).is_loopback
    except ValueError:
        return False


def _refuse_the_internet(event: str, arguments: tuple[object, ...]) -> None:
    """Let tests reach this machine alone, whichever library opens the connection."""
    if event == "socket.connect":
        address = arguments[1]
        allowed = not isinstance(address, tuple) or _is_local(address[0])
    elif event == "socket.getaddrinfo":
        allowed = _is_local(arguments[0])
    else:
        return
    if not allowed:
        raise PermissionError(f"a test tried to reach {arguments!r}")


sys.addaudithook(_refuse_the_internet)

# What a developer has set for the server at hand must not reach the servers of the tests.
for _name in [name for name in os.environ if name.startswith("UNCROP_")]:
    del os.environ[_name]


def _take_kernels_from(folder: Path) -> None:
    """Let all compiled code come from where set-up has put it, whichever data folder a test chooses.

    A kernel chooses its folder when its module is imported. Left to the tests, each would be compiled once more.
    """
    engine.use_cache(folder)
    package = Path(uncrop.__file__).parent
    for source in sorted(package.rglob("*.py")):
        if "from uncrop.kernels import" in source.read_text():
            importlib.import_module(".".join(source.relative_to(package.parent).with_suffix("").parts))


_take_kernels_from(Settings(_env_file=None).kernel_cache)

# Tests open thousands of clients, each of which would read the system's certificates anew: 20 ms of CPU time.
httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)

# The log goes to the standard library's, where pytest keeps it with the test that it belongs to.
structlog.configure(
    processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer(default=str)],
    wrapper_class=structlog.stdlib.BoundLogger,
    logger_factory=structlog.stdlib.LoggerFactory(),
)
