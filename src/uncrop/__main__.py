"""`python -m uncrop`, and the command `uncrop`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from uncrop.extras import advice

INTERRUPTED = 130


def main() -> None:
    """Run the command line; say in one line what is not installed, and end without more ado on Ctrl-C."""
    try:
        from uncrop.cli import main as run

        run()
    except ModuleNotFoundError as error:
        sys.exit(f"uncrop: {advice(error)}")
    except KeyboardInterrupt:
        _end()


def _end() -> None:
    """End here and now: taking down all that is loaded takes longer than anyone waits after Ctrl-C."""
    with suppress(OSError, ValueError):  # whoever reads it may be gone
        sys.stdout.flush()
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
