"""Folders that cannot be written to, by root neither; for processes that a test starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def read_only(folder: Path, command: list[str]) -> list[str]:
    """Return a command that runs another one while ``folder`` is read-only for it, or skip the test."""
    if os.geteuid():
        folder.chmod(0o555)
        return command
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    wrapped = ["unshare", "--mount", "sh", "-c", script, str(folder)]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*wrapped, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("root can write everywhere, and this machine lets nobody mount anything")
    return [*wrapped, *command]
