"""What `uncrop --help` loads: each command imports what it needs when it runs."""

from __future__ import annotations

import subprocess
import sys

DEAR = ("asyncio", "httpx2", "numpy", "pydantic", "sqlalchemy", "ssl", "uncrop.bootstrap", "uncrop.model")


def test_the_commands_are_known_before_anything_dear_is_imported() -> None:
    look = f"import sys, uncrop.cli; print([name for name in {DEAR!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
