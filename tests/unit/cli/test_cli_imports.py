"""What commands load: each imports what it needs when it runs, and a photo needs no database."""

from __future__ import annotations

import subprocess
import sys

import pytest

DEAR = ("asyncio", "httpx2", "numpy", "pydantic", "sqlalchemy", "ssl", "uncrop.bootstrap", "uncrop.model")
OF_A_SERVER = ("alembic", "dbos", "sqlalchemy", "starlette", "uvicorn")
EXTENDING = "uncrop.cli, uncrop.cli.making, uncrop.bootstrap, uncrop.service.quote, uncrop.uncropper"


@pytest.mark.parametrize(
    ("modules", "dear"), [("uncrop.cli", DEAR), (EXTENDING, OF_A_SERVER)], ids=["--help", "extend"]
)
def test_nothing_dear_is_imported_that_is_not_needed(modules: str, dear: tuple[str, ...]) -> None:
    look = f"import sys, {modules}; print([name for name in {dear!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
