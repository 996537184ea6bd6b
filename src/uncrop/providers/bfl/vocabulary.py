"""What Black Forest Labs says of an error beyond what all makers do: how a task ends that makes no picture.

Two shapes of error bodies are published, ``{"detail": ...}`` and ``{"error", "message", "details" or "retry_after"}``;
neither is certain, so that nothing depends on them alone.
"""

from __future__ import annotations

from uncrop.errors import ContentRejected, ProviderError
from uncrop.providers.vocabulary import Vocabulary

FAILED = "Error"
ENDS = frozenset({"Content Moderated", FAILED, "Request Moderated", "Task not found"})
VOCABULARY = Vocabulary(
    codes={
        "Content Moderated": ContentRejected,
        "Request Moderated": ContentRejected,
        "Task not found": ProviderError,
    }
)
