"""Uncrop extends photographs beyond their borders."""

from __future__ import annotations

from uncrop._version import __version__

__all__ = ["__version__"]
