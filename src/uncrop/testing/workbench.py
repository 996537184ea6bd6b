"""What a provider needs to be tried on its own: makers on fakes, and tasks to work on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.imaging import codec
from uncrop.imaging.mask import decode_mask
from uncrop.intake.parse import parse
from uncrop.model import Task
from uncrop.providers.base import ProviderSettings
from uncrop.providers.maker import MakerContext
from uncrop.providers.registry import Registry, load_rows
from uncrop.testing.engine import EdgeEngine
from uncrop.testing.transport import ScriptedSend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import Fill, ProviderFacts, UncropRequest
    from uncrop.providers.base import Provider
    from uncrop.providers.conversation import Step
    from uncrop.providers.transport.sender import Send
    from uncrop.workers.engine_runner import EngineRunner

KEY = "sk-test-0123456789"
MAX_OUTPUT_PIXELS = 40_000_000
SEED = 7
NOWHERE = "http://127.0.0.1:9"


def make_context(
    *, send: Send | None = None, engine: EngineRunner | None = None, timeout_s: float = 60
) -> MakerContext:
    """Make a context of fakes, but for what is passed in."""
    return MakerContext(send=send or ScriptedSend(), engine=engine or EdgeEngine(), timeout_s=timeout_s)


def make_settings(row: ProviderFacts, **values: str | float | None) -> ProviderSettings:
    """Return settings with a key and an address where nobody listens, but for what is passed in; ``None`` unsets."""
    known: dict[str, str | float | None] = {
        setting.name: setting.default for setting in row.settings if setting.default is not None
    }
    if not row.computes_here:
        known |= {"api_key": KEY, "base_url": NOWHERE}
    known |= values
    return ProviderSettings(values={name: value for name, value in known.items() if value is not None})


def make_registry(
    context: MakerContext | None = None,
    *,
    rows: Mapping[str, ProviderFacts] | None = None,
    urls: Mapping[str, str] | None = None,
    settings: Mapping[str, ProviderSettings] | None = None,
) -> Registry:
    """Make a registry of the built-ins, or of ``rows``, with keys, at the addresses ``urls``.

    ``settings`` replace those of a provider whole.
    """
    rows = load_rows(()) if rows is None else rows
    made = {
        name: make_settings(row, **({"base_url": urls[name]} if urls and name in urls else {}))
        for name, row in rows.items()
    }
    return Registry(rows, {**made, **(settings or {})}, context or make_context())


def make_task(request: UncropRequest, facts: ProviderFacts, *, seed: int = SEED) -> Task:
    """Take a request through intake and decoding, as the service does; a seed that was not sent is ``seed``.

    Raises
    ------
    InvalidRequest
    """
    request = replace(request, provider=facts.name)
    job = parse(request, facts, max_output_pixels=MAX_OUTPUT_PIXELS, draw_seed=lambda _maximum: seed)
    mask = None if job.mask_file is None else decode_mask(job.mask_file)
    return Task(job=job, photo=codec.decode(job.photo_file), mask=mask)


def talk(provider: Provider, task: Task, *replies: object) -> tuple[list[Step], Fill]:
    """Hold a provider's conversation with prepared replies, without any transport.

    Returns
    -------
    tuple
        The steps that it took, and its pixels.

    Raises
    ------
    LookupError
        The provider wants more replies than there are.
    UncropError
        The provider's own.
    """
    conversation, steps = provider.converse(task), []
    queue: list[object] = [None, *replies]
    while queue:
        try:
            steps.append(conversation.send(queue.pop(0)))
        except StopIteration as end:
            fill: Fill = end.value
            return steps, fill
    raise LookupError(f"no reply is left to {steps[-1]!r}")
