"""What a provider needs to be tried on its own: makers on fakes, and tasks to work on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.answer import decode_answer
from uncrop.imaging.mask import decode_mask
from uncrop.intake.parse import parse
from uncrop.model import Task
from uncrop.providers.base import ProviderSettings
from uncrop.providers.conversation import Unpack, Unpacked
from uncrop.providers.maker import MakerContext
from uncrop.providers.registry import Registry, load_rows
from uncrop.testing.engine import EdgeEngine
from uncrop.testing.transport import ScriptedSend

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from uncrop.model import Fill, ProviderFacts, UncropRequest
    from uncrop.providers.base import Provider
    from uncrop.providers.conversation import Step
    from uncrop.providers.transport.sender import Send
    from uncrop.workers.engine_runner import EngineRunner

T = TypeVar("T")
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
    named = {setting.name for setting in row.settings}
    known |= {name: value for name, value in (("api_key", KEY), ("base_url", NOWHERE)) if name in named}
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


def unpack_here(step: Unpack) -> Unpacked | InvalidRequest:
    """Decode a provider's picture in this process, as a maker has it decoded elsewhere."""
    try:
        colours, alpha = decode_answer(step.file, step.photo)
    except InvalidRequest as error:
        return error
    return Unpacked(colours=colours, alpha=alpha)


def run_alone(part: Generator[Step, object, T]) -> T:
    """Run a part of a conversation that has nothing done but pictures decoded, and return what it returns.

    Raises
    ------
    LookupError
        It wants something else.
    UncropError
        The part's own.
    """
    reply: object = None
    while True:
        try:
            step = part.send(reply)
        except StopIteration as end:
            made: T = end.value
            return made
        if not isinstance(step, Unpack):
            raise LookupError(f"there is no reply to {step!r}")  # noqa: TRY004 - a step, of a kind that was not expected
        reply = unpack_here(step)


def talk(provider: Provider, task: Task, *replies: object) -> tuple[list[Step], Fill]:
    """Hold a provider's conversation with prepared replies, without any transport.

    Returns
    -------
    tuple
        The steps that it took, but for pictures to decode, which are decoded here; and its pixels.

    Raises
    ------
    LookupError
        The provider wants more replies than there are.
    UncropError
        The provider's own.
    """
    conversation = provider.converse(task)
    steps: list[Step] = []
    queue: list[object] = [None, *replies]
    while queue:
        try:
            step = conversation.send(queue.pop(0))
            while isinstance(step, Unpack):
                step = conversation.send(unpack_here(step))
            steps.append(step)
        except StopIteration as end:
            fill: Fill = end.value
            return steps, fill
    raise LookupError(f"no reply is left to {steps[-1]!r}")
