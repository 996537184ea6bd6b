"""A provider's plug-in as if it were installed: ``tests/plugins`` on the path, with the metadata that names it."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from uncrop import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uncrop.model import ProviderFacts

PLUGINS = Path(__file__).parent / "plugins"


def sketch_row() -> ProviderFacts:
    """Import ``sketch`` without installing it, so that its row can be loaded, and return that."""
    sys.path.insert(0, str(PLUGINS))
    try:
        for module in ("provider", "emulator"):
            import_module(f"sketch.{module}")
        row: ProviderFacts = import_module("sketch.facts").FACTS
    finally:
        sys.path.remove(str(PLUGINS))
    return row


@pytest.fixture
def sketch_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install ``sketch`` in this process and, by the environment, in those that it starts."""
    monkeypatch.syspath_prepend(PLUGINS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")])))
    settings._installed.cache_clear()
    yield
    settings._installed.cache_clear()
