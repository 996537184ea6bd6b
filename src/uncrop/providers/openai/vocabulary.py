"""What OpenAI, and servers compatible with it, say of an error beyond what all makers do."""

from __future__ import annotations

from uncrop.errors import ProviderRejectedRequest
from uncrop.providers.vocabulary import Vocabulary

# The type stands over refusals of every kind, those for safety among them.
VOCABULARY = Vocabulary(vague={"image_generation_user_error": ProviderRejectedRequest})
