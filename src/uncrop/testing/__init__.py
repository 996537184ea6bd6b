"""Tested fakes as public API: provider emulators, a scripted transport, a double of the engine, sample pictures.

The emulator of a provider is a package of its provider's name; ``emulator_of`` finds it by the provider's row.
``pictures`` and ``workbench`` are modules of functions and are imported by name.
"""

from __future__ import annotations

from uncrop.testing.emulator import Emulator, ReceivedCall
from uncrop.testing.emulators import emulator_of
from uncrop.testing.engine import EdgeEngine
from uncrop.testing.outcomes import Outcome
from uncrop.testing.transport import ScriptedSend

__all__ = ["EdgeEngine", "Emulator", "Outcome", "ReceivedCall", "ScriptedSend", "emulator_of"]
