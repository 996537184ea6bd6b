"""From a request to its pictures: by the named provider, or, for ``auto``, by the first that can."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from anyio import to_thread

from uncrop.errors import (
    ProviderAuthenticationFailed,
    ProviderFault,
    ProviderNotAllowed,
    ProviderNotConfigured,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    RateLimitExceeded,
    UncropError,
)
from uncrop.intake.fields import check_variations
from uncrop.providers.commitment import Commitment
from uncrop.service.quote import AUTO, QuoteRequest, quote
from uncrop.service.report import Attempt, RunEnd
from uncrop.service.seeds import DRAWN_BELOW, seed_of
from uncrop.telemetry.spans import UNTRACED
from uncrop.uncropper import ANYBODY, OnceMade, Stopwatch

if TYPE_CHECKING:
    from uncrop.admission.idempotency import Claim
    from uncrop.ledger.job_holds import JobHolds
    from uncrop.model import Caller, Progress, UncropRequest, UncropResult
    from uncrop.providers.registry import Registry
    from uncrop.service.durations import Durations
    from uncrop.service.once import Keep
    from uncrop.store.books import Part
    from uncrop.telemetry.spans import Fact, Tracer
    from uncrop.uncropper import Uncropper

# What says of a provider that it cannot do anything now; another one may. What says something about the request, such
# as a photo that its safety system refused, ends the search.
_ABOUT_THE_PROVIDER = (
    ProviderAuthenticationFailed,
    ProviderFault,
    ProviderNotAllowed,
    ProviderNotConfigured,
    ProviderQuotaExhausted,
    ProviderRateLimited,
    RateLimitExceeded,
)

Ended: TypeAlias = Callable[[RunEnd], None]
"""Told when one run of the flow has ended."""


def _nobody_notes(_stage: str) -> None:
    """Do nothing."""


def _nobody_is_told(_end: RunEnd) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """For whom a picture is made, and who is told of it.

    Attributes
    ----------
    commitment
        For a caller that may leave: to be abandoned.
    progress_of
        Returns what is told how far one of the pictures is, by its number; ``None`` where nobody wants to know.
    begins
        Told the name of each stage when it begins.
    admit_by
        When to stop waiting for a turn, on the clock of ``anyio.current_time``.
    ended
        Told of each run of the flow.
    claim
        To the key of a request that has one.
    keep
        Told the pictures before they are booked; of several pictures, nobody is.
    holds
        Those of a job, which were opened before.
    drawn, number
        Of several pictures: the seed where the request has none, and which of them this is, from 0.
    """

    caller: Caller = ANYBODY
    commitment: Commitment = field(default_factory=Commitment)
    progress_of: Callable[[int], Progress] | None = None
    begins: Callable[[str], None] = _nobody_notes
    admit_by: float = math.inf
    ended: Ended = _nobody_is_told
    claim: Claim | None = None
    keep: Keep | None = None
    holds: JobHolds | None = None
    drawn: int | None = None
    number: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MadePicture:
    """One picture, and who was asked for it before."""

    result: UncropResult
    tried: tuple[Attempt, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class MadePictures:
    """What became of a request.

    Attributes
    ----------
    pictures
        Those that were made, at least one, in the order of their seeds.
    failures
        Why others were not made.
    """

    pictures: tuple[MadePicture, ...]
    failures: tuple[UncropError, ...] = ()

    @property
    def asked(self) -> int:
        """How many pictures were asked for."""
        return len(self.pictures) + len(self.failures)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Makes the pictures that requests ask for.

    Attributes
    ----------
    uncropper
        Makes one picture by one provider.
    registry
        The makers of pixels.
    auto
        The names of those that are asked in turn for the provider ``auto``.
    durations
        Told how long each picture took.
    max_output_pixels
        Largest canvas of providers that state no limit of their own.
    tracer
        Told of each picture.
    """

    uncropper: Uncropper
    registry: Registry
    auto: Sequence[str]
    durations: Durations
    max_output_pixels: int
    tracer: Tracer = UNTRACED

    async def make(self, request: UncropRequest, work: Work) -> MadePictures:
        """Make all pictures that are asked for, at once as far as there is room.

        Raises
        ------
        UncropError
            As the flow, where not one was made. For ``auto``, ``details.tried`` says who was asked, and why each did
            not make it.
        """
        check_variations(request.variations)
        if (request.variations or 1) == 1:
            return MadePictures(pictures=(await self._make_one(request, work),))
        drawn = secrets.randbelow(DRAWN_BELOW)
        parts = (
            self._make_one(
                request, replace(work, commitment=work.commitment.branch(), keep=None, drawn=drawn, number=number)
            )
            for number in range(request.variations or 1)
        )
        return _made(await asyncio.gather(*parts, return_exceptions=True))

    async def _make_one(self, request: UncropRequest, work: Work) -> MadePicture:
        if request.provider == AUTO:
            return await self._first_that_can(request, work)
        return MadePicture(result=await self._run(request, work))

    async def _first_that_can(self, request: UncropRequest, work: Work) -> MadePicture:
        makers = [self.registry.get(name, work.caller.provider_keys) for name in self.auto]
        ask = partial(quote, durations=self.durations, max_output_pixels=self.max_output_pixels)
        failures: list[tuple[str, UncropError]] = []
        # In a thread of its own: a hostile header takes a third of a second to read.
        for offer in await to_thread.run_sync(ask, QuoteRequest(request=request), makers):
            if offer.refusal is not None:
                failures.append((offer.facts.name, offer.refusal))
                continue
            try:
                result = await self._run(replace(request, provider=offer.facts.name), work, _attempts(failures))
            except UncropError as error:
                failures.append((offer.facts.name, error))
                if work.commitment.sent or not isinstance(error, _ABOUT_THE_PROVIDER):
                    error.details = _with_tried(error, failures)
                    raise
            else:
                return MadePicture(result=result, tried=_attempts(failures))
        told = _first_to_tell([error for _, error in failures])
        told.details = _with_tried(told, failures)
        raise told

    async def _run(self, request: UncropRequest, work: Work, tried: tuple[Attempt, ...] = ()) -> UncropResult:
        """Run the flow once, and tell how it ended."""
        stopwatch, outcome, facts = Stopwatch(begins=work.begins), "CANCELLED", None
        billed_before = work.commitment.billed_calls
        if work.drawn is not None:
            row = self.registry.get(request.provider).facts.field("seed")
            request = replace(request, seed=seed_of(row, request.seed, work.drawn, work.number))
        try:
            with self.tracer.span("picture") as span:
                result = await self.uncropper.run(
                    request,
                    work.caller,
                    commitment=work.commitment,
                    stopwatch=stopwatch,
                    progress=None if work.progress_of is None else work.progress_of(work.number),
                    admit_by=work.admit_by,
                    once=_once(work, tried),
                )
                span.note(_told_of(result))
        except UncropError as error:
            outcome = error.code
            raise
        else:
            outcome, facts = "OK", result.facts
            self.durations.add(result.facts.provider, result.stages)
            return result
        finally:
            work.ended(
                RunEnd(
                    provider=request.provider,
                    outcome=outcome,
                    stages=stopwatch.stages,
                    billed_calls=work.commitment.billed_calls - billed_before,
                    facts=facts,
                )
            )


def _once(work: Work, tried: tuple[Attempt, ...]) -> OnceMade:
    tell = work.keep
    take = None if work.holds is None else partial(work.holds.take, work.number)
    if tell is None:
        return OnceMade(work.claim, take=take)

    async def keep(result: UncropResult) -> Part | None:
        return await tell(MadePictures(pictures=(MadePicture(result=result, tried=tried),)))

    return OnceMade(work.claim, keep, take)


def _told_of(result: UncropResult) -> dict[str, Fact]:
    """Return what a span says about a picture that was made."""
    told: dict[str, Fact] = {"uncrop.provider": result.facts.provider}
    told |= {"uncrop.width": result.width, "uncrop.height": result.height}
    return told if result.facts.model is None else told | {"uncrop.model": result.facts.model}


def _made(outcomes: Sequence[MadePicture | BaseException]) -> MadePictures:
    """Put together what became of each picture."""
    pictures = tuple(outcome for outcome in outcomes if isinstance(outcome, MadePicture))
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, UncropError))
    for outcome in outcomes:
        # Those that are cancelled by themselves had sent nothing when the caller left; of the others something is paid.
        if not isinstance(outcome, MadePicture | UncropError | asyncio.CancelledError):
            raise outcome
    if not pictures:
        raise _first_to_tell(failures) if failures else asyncio.CancelledError
    return MadePictures(pictures=pictures, failures=failures)


def _first_to_tell(errors: Sequence[UncropError]) -> UncropError:
    """Return of several the first one that may pass by itself, since waiting helps; else the first."""
    return next((error for error in errors if error.retryable), errors[0])


def _attempts(failures: Sequence[tuple[str, UncropError]]) -> tuple[Attempt, ...]:
    return tuple(Attempt(provider=name, code=error.code, message=error.message) for name, error in failures)


def _with_tried(error: UncropError, failures: Sequence[tuple[str, UncropError]]) -> dict[str, Any]:
    return {**(error.details or {}), "tried": [attempt.to_json() for attempt in _attempts(failures)]}
