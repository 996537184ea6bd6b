"""What AUTOMATIC1111, Forge and SD.Next say of an error beyond what all makers do.

Four shapes of bodies are known: ``{"error", "detail", "body", "errors"}``, in which ``error`` is the name of a Python
exception and to which SD.Next adds ``code``; FastAPI's ``{"detail": "text"}`` and ``{"detail": [...]}``, the only ones
that Forge has; and no JSON at all. So the dialect need not be known. What is refused is never the caller's fault,
unless nothing else is known of it: the caller chooses a seed and a prompt, and any are taken.
"""

from __future__ import annotations

from http import HTTPStatus

from uncrop.errors import ProviderError
from uncrop.providers.vocabulary import Vocabulary

MEMORY, NANS = "OutOfMemoryError", "NansException"
UNKNOWN_NAME = r"(?m:^(?:sampler|model) not found$)"
UNKNOWN_FIELD = r"(?:unknown|unrecognized|unexpected|unsupported) (?:parameter|field|argument)|extra (?:fields|inputs)"
NO_API = "the web UI must be started with --api, and base_url be its address"
FIELDS = "the web UI does not take the fields that it was sent; it may be too old or too new"
VOCABULARY = Vocabulary(
    codes={MEMORY: ProviderError, NANS: ProviderError},
    words={UNKNOWN_NAME: ProviderError, UNKNOWN_FIELD: ProviderError},
    statuses={HTTPStatus.UNPROCESSABLE_ENTITY: ProviderError},
    # By the exception's name, or by words where another exception, or a log's line, carries them.
    failures={"out of memory|outofmemory": MEMORY, "all nans|nansexception": NANS},
    hints={
        MEMORY: "the GPU's memory is used up; a lower max_pixels needs less",
        NANS: "the model made no numbers; the web UI's --no-half-vae or --no-half help",
        UNKNOWN_NAME: "the web UI does not know the checkpoint or the sampler that is set",
        UNKNOWN_FIELD: FIELDS,
        HTTPStatus.UNAUTHORIZED: "api_auth must be a user and a password that the web UI has in --api-auth",
        HTTPStatus.NOT_FOUND: NO_API,
        HTTPStatus.METHOD_NOT_ALLOWED: NO_API,
        HTTPStatus.UNPROCESSABLE_ENTITY: FIELDS,
    },
    page="something else than the web UI's API answers at this address",
)
