"""Tested fakes as public API: provider emulators, sample pictures."""

from __future__ import annotations

from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.emulator import Emulator, ReceivedCall
from uncrop.testing.openai import OpenAIEmulator
from uncrop.testing.outcomes import Outcome

__all__ = ["ClipdropEmulator", "Emulator", "OpenAIEmulator", "Outcome", "ReceivedCall"]
