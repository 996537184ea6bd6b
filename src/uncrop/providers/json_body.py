"""Bodies of JSON, read without trust."""

from __future__ import annotations

import json
from collections.abc import Mapping


def read_object(body: bytes) -> Mapping[str, object] | None:
    """Parse a JSON object; ``None`` when the body is anything else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, no text at all, or nested without end
        return None
    return parsed if isinstance(parsed, dict) else None
