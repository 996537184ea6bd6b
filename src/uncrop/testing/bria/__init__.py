"""The emulator of Bria's image expansion."""

from __future__ import annotations

from uncrop.testing.bria.emulator import BriaEmulator

__all__ = ["BriaEmulator"]
