"""What Bria says of an error beyond what all makers do: how a job ends that makes no picture.

Two shapes of bodies are known, ``{"error": {"code", "message", "details"}}`` and ``{"detail": ...}``. A code is a
number here and a text there. That something was moderated is told by no code of its own, only in words.
"""

from __future__ import annotations

from uncrop.errors import ProviderRejectedRequest
from uncrop.providers.vocabulary import Vocabulary

# FAILED is an older word for ERROR.
ENDS = frozenset({"ERROR", "FAILED", "UNKNOWN"})
VOCABULARY = Vocabulary(vague={"VALIDATION_ERROR": ProviderRejectedRequest})
