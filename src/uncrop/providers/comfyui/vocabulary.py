"""What ComfyUI says of an error beyond what all makers do: how jobs end that make no picture, and what is no API's.

That a graph is refused is no error of a call's, see ``errors``: it is looked up what ComfyUI lacks of it.
"""

from __future__ import annotations

from uncrop.errors import ProviderError
from uncrop.providers.vocabulary import Vocabulary

INTERRUPTED, FAILED, OUT_OF_MEMORY = "execution_interrupted", "execution_error", "out_of_memory"
VOCABULARY = Vocabulary(
    codes={INTERRUPTED: ProviderError, OUT_OF_MEMORY: ProviderError},
    vague={FAILED: ProviderError},
    failures={"out of memory|outofmemory": OUT_OF_MEMORY},
    hints={OUT_OF_MEMORY: "a lower max_megapixels makes the frame smaller"},
    page="the address may not be that of ComfyUI's server",
)
