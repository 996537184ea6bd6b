"""For commands that keep something: a data folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let commands use a new database in a folder of its own, which is returned."""
    monkeypatch.chdir(tmp_path)  # where no .env lies
    monkeypatch.setenv("UNCROP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("UNCROP_DATABASE_URL", raising=False)
    monkeypatch.delenv("UNCROP_KEY_PEPPER", raising=False)
    return tmp_path / "data"
