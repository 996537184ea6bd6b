"""What Clipdrop says of an error beyond what all makers do, as its documentation words it."""

from __future__ import annotations

from uncrop.errors import ContentRejected, ProviderRejectedRequest
from uncrop.providers.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    words={
        "missing image file|input image format|image resolution|malformed or incomplete": ProviderRejectedRequest,
        "does not comply": ContentRejected,
    },
    # Where nothing is said: the content does not comply with the application's rules.
    statuses={422: ContentRejected},
)
