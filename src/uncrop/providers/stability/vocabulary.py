"""What Stability AI says of an error beyond what all makers do: the field ``name`` of its errors, as specified."""

from __future__ import annotations

from uncrop.errors import ProviderRejectedRequest
from uncrop.providers.vocabulary import Vocabulary

# A filtered picture is told as CONTENT_FILTERED, which is a code of all makers'.
VOCABULARY = Vocabulary(
    codes={"invalid_language": ProviderRejectedRequest, "payload_too_large": ProviderRejectedRequest}
)
