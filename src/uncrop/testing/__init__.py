"""Tested fakes as public API: provider emulators, a scripted transport, a double of the engine, sample pictures.

``pictures`` and ``workbench`` are modules of functions and are imported by name.
"""

from __future__ import annotations

from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.emulator import Emulator, ReceivedCall
from uncrop.testing.engine import EdgeEngine
from uncrop.testing.openai import OpenAIEmulator
from uncrop.testing.outcomes import Outcome
from uncrop.testing.transport import ScriptedSend

__all__ = [
    "ClipdropEmulator",
    "EdgeEngine",
    "Emulator",
    "OpenAIEmulator",
    "Outcome",
    "ReceivedCall",
    "ScriptedSend",
]
