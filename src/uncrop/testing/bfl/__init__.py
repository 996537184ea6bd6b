"""The emulator of Black Forest Labs' outpainting."""

from __future__ import annotations

from uncrop.testing.bfl.emulator import BflEmulator

__all__ = ["BflEmulator"]
