"""`python -m uncrop`, and the command `uncrop`."""

from __future__ import annotations

import sys

from uncrop.extras import advice


def main() -> None:
    """Run the command line; say in one line what is not installed."""
    try:
        from uncrop.cli import main as run

        run()
    except ModuleNotFoundError as error:
        sys.exit(f"uncrop: {advice(error)}")


if __name__ == "__main__":
    main()
