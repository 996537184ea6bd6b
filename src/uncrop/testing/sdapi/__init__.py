"""The emulator of AUTOMATIC1111's web UI, Forge and SD.Next."""

from __future__ import annotations

from uncrop.testing.sdapi.emulator import StableDiffusionEmulator

__all__ = ["StableDiffusionEmulator"]
