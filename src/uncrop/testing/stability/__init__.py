"""The emulator of Stability AI's outpaint."""

from __future__ import annotations

from uncrop.testing.stability.emulator import StabilityEmulator

__all__ = ["StabilityEmulator"]
