"""A private Redis for the tests, on a free port of loopback in a folder of its own, with a password.

Load it from the topmost conftest: ``pytest_plugins = ["fixtures_redis"]``. Where Redis is missing, its tests are
skipped.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from processes import accepts, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "canary-redis-password"
STARTED_WITHIN_S = 60


class RedisServer:
    """A server that can be killed, stopped, let go on, and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        words = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "requirepass": PASSWORD,
        }
        arguments = [part for name, value in words.items() for part in (f"--{name}", value)]
        program = _program()
        # Debian's package of tools has the whole server under another name, and starts none by itself.
        self._process = subprocess.Popen(
            ["redis-server", *arguments], executable=program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not accepts(self.port):
            assert self._process.poll() is None, "Redis ended at its start"
            assert time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a crash does; what it held is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        """Let it answer nothing, and take what is sent."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def _program() -> str:
    for name in ("redis-server", "valkey-server", "redis-check-rdb"):
        if found := shutil.which(name):
            return found
    pytest.skip("Redis is not installed; on Debian: apt-get install redis-tools")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of the test's own, which it may harm."""
    folder = Path(tempfile.mkdtemp(prefix="uncrop-redis-"))
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        if server._process is not None:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)
