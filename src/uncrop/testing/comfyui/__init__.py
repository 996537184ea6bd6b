"""The emulator of ComfyUI."""

from __future__ import annotations

from uncrop.testing.comfyui.emulator import ComfyUIEmulator

__all__ = ["ComfyUIEmulator"]
