"""The emulator of OpenAI's image edits."""

from __future__ import annotations

from uncrop.testing.openai.emulator import OpenAIEmulator

__all__ = ["OpenAIEmulator"]
