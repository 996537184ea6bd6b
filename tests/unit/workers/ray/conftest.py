"""The stand-in for Ray, in the place of Ray."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[3] / "ray_stand_in"


@pytest.fixture
def ray_stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let this process, and links that it starts, find the stand-in; nothing was called yet, and one node lives."""
    real = {name: sys.modules.pop(name) for name in [*sys.modules] if name.partition(".")[0] == "ray"}
    monkeypatch.syspath_prepend(str(FOLDER))
    module = importlib.import_module("ray")
    importlib.import_module("ray.util.scheduling_strategies")
    try:
        yield module
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "ray"]:
            del sys.modules[name]
        sys.modules.update(real)
