"""`python -m uncrop`."""

from uncrop.cli import main

if __name__ == "__main__":
    main()
