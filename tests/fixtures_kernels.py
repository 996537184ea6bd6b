"""A data folder of the test's own, with the kernels that set-up compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from uncrop.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    kernels = Settings().kernel_cache
    kernels.mkdir(parents=True, exist_ok=True)
    (data / "kernels").symlink_to(kernels)
    return data
