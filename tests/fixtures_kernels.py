"""A data folder of the test's own, with the kernels that set-up compiled; newer ones are compiled here."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from uncrop import engine
from uncrop.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def kernels() -> Path:
    """Return the folder of compiled kernels that all runs of this checkout share."""
    folder = Settings(_env_file=None).kernel_cache
    if not engine.is_compiled(folder):
        # The engine was changed since set-up. A command of a test that found it so would say it in a line more.
        subprocess.run([sys.executable, "-m", "uncrop", "warm-up"], check=True, capture_output=True)
    return folder


@pytest.fixture
def data_dir(tmp_path: Path, kernels: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    (data / "kernels").symlink_to(kernels)
    return data
