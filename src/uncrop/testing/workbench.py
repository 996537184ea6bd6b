"""What a provider needs to be tried on its own: a context to be made from, and tasks to work on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.imaging import codec
from uncrop.imaging.mask import decode_mask
from uncrop.intake.parse import parse
from uncrop.model import Task
from uncrop.providers.base import ProviderContext, ProviderSettings
from uncrop.testing.engine import EdgeEngine
from uncrop.testing.transport import ScriptedSend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import Capabilities, UncropRequest
    from uncrop.providers.base import Send
    from uncrop.providers.engine_runner import EngineRunner

KEY = "sk-test-0123456789"
MAX_OUTPUT_PIXELS = 40_000_000
SEED = 7
NOWHERE = "http://127.0.0.1:9"


def make_context(
    *,
    send: Send | None = None,
    engine: EngineRunner | None = None,
    settings: Mapping[str, ProviderSettings] | None = None,
    clipdrop_url: str = NOWHERE,
    openai_url: str = NOWHERE,
    model: str = "gpt-image-2",
) -> ProviderContext:
    """Make a context of fakes, but for what is passed in."""
    built_in = {
        "clipdrop": ProviderSettings(api_key=KEY, base_url=clipdrop_url),
        "openai": ProviderSettings(api_key=KEY, base_url=openai_url, model=model),
    }
    return ProviderContext(
        settings=built_in if settings is None else settings,
        send=send or ScriptedSend(),
        engine=engine or EdgeEngine(),
        max_output_pixels=MAX_OUTPUT_PIXELS,
    )


def make_task(request: UncropRequest, capabilities: Capabilities, *, seed: int = SEED) -> Task:
    """Take a request through intake and decoding, as the service does; a seed that was not sent is ``seed``.

    Raises
    ------
    InvalidRequest
    """
    request = replace(request, provider=capabilities.name)
    job = parse(request, capabilities, max_output_pixels=MAX_OUTPUT_PIXELS, draw_seed=lambda _maximum: seed)
    mask = None if request.mask is None else decode_mask(request.mask)
    return Task(job=job, photo=codec.decode(request.image, job.header), mask=mask)
