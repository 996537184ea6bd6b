"""What a picture would take: which providers can make it, in how many calls, for what price. Nobody is called."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from uncrop import engine
from uncrop.errors import InvalidFieldValue, InvalidRequest, UncropError
from uncrop.geometry.notations import sides_of
from uncrop.imaging.header import check_size, open_file
from uncrop.imaging.mask import open_mask
from uncrop.intake.fields import check_fields, check_without_provider
from uncrop.intake.limits import check_bytes
from uncrop.intake.parse import Shape, measure, shape_for
from uncrop.ledger.refusals import refusal_for
from uncrop.model import SERVERS, ImageHeader, Metadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model import Caller, Placement, ProviderFacts, ProviderKeys, UncropRequest
    from uncrop.providers.maker import Maker
    from uncrop.providers.registry import Registry
    from uncrop.service.durations import Durations

Json: TypeAlias = dict[str, Any]
ALL = "all"
"""The name under which every provider is asked for a quote."""
AUTO = "auto"
"""The name under which the first provider that can makes the picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuoteRequest:
    """What a quote is asked for.

    Attributes
    ----------
    request
        As for the picture itself; its image is empty where the extent is given in its place.
    extent
        The upright photo's width and height; the photo then counts as a JPEG of 8 bits a channel.
    """

    request: UncropRequest
    extent: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """What one provider would take for a picture.

    Attributes
    ----------
    placement, output_size
        The canvas with the photo on it, and the finished picture's width and height.
    refusal
        With what the provider, or this server, would refuse to make it now; ``None``: it can be made.
    calls
        How many calls it takes; ``None`` where it cannot be made.
    expected_seconds
        The median of this provider's last pictures on this server; ``None`` where it has made none.
    memory_bytes
        The most that a process takes which makes it on this machine; ``None`` for one that is made elsewhere.
    calls_of_one
        How many calls one of several pictures takes, also where it cannot be made now but may be later.
    """

    facts: ProviderFacts
    placement: Placement
    output_size: tuple[int, int]
    refusal: UncropError | None = field(default=None, compare=False)
    calls: int | None = None
    expected_seconds: float | None = None
    memory_bytes: int | None = None
    calls_of_one: int | None = field(default=None, compare=False)

    @property
    def possible(self) -> bool:
        """Whether it can be made."""
        return self.refusal is None

    def to_json(self) -> Json:
        """Return it as the API tells it."""
        return {
            "provider": self.facts.name,
            "possible": self.possible,
            "refusal": None if self.refusal is None else refusal_json(self.refusal),
            "canvas": self.placement.to_text(),
            "output_size": f"{self.output_size[0]}x{self.output_size[1]}",
            "calls": self.calls,
            "bills": self.facts.bills,
            "price": self._price(),
            "expected_seconds": None if self.expected_seconds is None else round(self.expected_seconds, 3),
            "memory_bytes": self.memory_bytes,
        }

    def _price(self) -> Json | None:
        """Return the price with what all calls cost; ``None`` where no price is known."""
        price = self.facts.price
        if price is None:
            return None
        total = None if self.calls is None or price.per != "picture" else f"{price.amount * self.calls:f}"
        return {
            "amount": f"{price.amount:f}",
            "unit": price.unit,
            "per": price.per,
            "total": total,
            "date": price.date,
            "source": price.source,
        }


def refusal_json(error: UncropError) -> Json:
    """Return what is told about a refusal inside an answer: the code and texts that the error's own answer has."""
    said: Json = {"code": error.code, "message": error.message, "status": error.status}
    return {**said, "details": error.details} if error.details else said


def makers_for(
    provider: str, registry: Registry, auto: Sequence[str], keys: ProviderKeys = SERVERS
) -> tuple[Maker, ...]:
    """Return the makers that a quote is asked of: the one of this name, all of them, or those of ``auto`` in turn.

    Parameters
    ----------
    provider, registry, auto
        The name, where makers are found by it, and the names behind ``auto``.
    keys
        With whose keys they would call.

    Raises
    ------
    InvalidFieldValue
        There is none.
    """
    names = {ALL: registry.names(), AUTO: auto}.get(provider, (provider,))
    return tuple(registry.get(name, keys) for name in names)


def quote(
    wanted: QuoteRequest,
    makers: Sequence[Maker],
    *,
    durations: Durations,
    max_output_pixels: int,
    caller: Caller | None = None,
) -> tuple[Quote, ...]:
    """Ask what a picture would take, of each maker.

    Parameters
    ----------
    wanted
        The picture.
    makers
        At least one.
    durations
        How long pictures took here.
    max_output_pixels
        Largest canvas of providers that state no limit of their own.
    caller
        Whose policies say which providers may be asked; ``None``: all may.

    Raises
    ------
    InvalidRequest
        Nobody could make it, since what is asked contradicts itself, or the file is no photo; the same error with
        which a single provider would refuse the picture's own request.
    """
    request = wanted.request
    header = _header(wanted)
    try:
        check_without_provider(request)
        placement, finished = measure(request, header.width, header.height)
        if request.mask is not None:
            open_mask(request.mask, header.width, header.height)
    except InvalidRequest:
        if len(makers) == 1:
            # The picture's own request looks at the provider's rules first.
            check_fields(request, makers[0].facts)
        raise
    made: list[Quote] = []
    for maker in makers:
        try:
            shape = _possible_shape(wanted, header, maker, max_output_pixels)
            _check_policies(caller, maker.facts)
        except UncropError as error:
            made.append(Quote(facts=maker.facts, placement=placement, output_size=finished, refusal=error))
            continue
        try:
            maker.check_well()
        except UncropError as error:
            later = Quote(facts=maker.facts, placement=placement, output_size=finished, refusal=error)
            made.append(replace(later, calls_of_one=calls_of(shape)))
        else:
            made.append(_of_shape(shape, header, maker.facts, durations, max(1, request.variations or 1)))
    return tuple(made)


def _header(wanted: QuoteRequest) -> ImageHeader:
    """Return what the photo's file says about itself, or what is assumed of one of this extent."""
    if wanted.extent is None:
        return open_file(wanted.request.image).header
    width, height = wanted.extent
    for name, value in (("image_width", width), ("image_height", height)):
        if value < 1:
            raise InvalidFieldValue(f"{name} must be at least 1", details={"field": name, "value": value})
    check_size("JPEG", width, height)
    return ImageHeader(
        format="JPEG",
        width=width,
        height=height,
        channels=3,
        bits=8,
        mode="RGB",
        orientation=1,
        jpeg=None,
        metadata=Metadata(),
    )


def _possible_shape(wanted: QuoteRequest, header: ImageHeader, maker: Maker, max_output_pixels: int) -> Shape:
    """Return the shape of the picture once it is known that the maker can make it, if it is well.

    Raises
    ------
    UncropError
        With what the picture's own request would be refused.
    """
    check_fields(wanted.request, maker.facts)
    check_bytes(wanted.request.image, maker.facts)
    shape = shape_for(wanted.request, header, maker.facts, max_output_pixels=max_output_pixels)
    maker.check_configured()
    return shape


def _check_policies(caller: Caller | None, facts: ProviderFacts) -> None:
    """Refuse a provider that the caller may not ask, or whose price is not known where it has to be."""
    if caller is not None and (refusal := refusal_for(caller, facts)) is not None:
        raise refusal


def _of_shape(shape: Shape, header: ImageHeader, facts: ProviderFacts, durations: Durations, pictures: int) -> Quote:
    calls = calls_of(shape)
    return Quote(
        facts=facts,
        placement=shape.placement,
        output_size=shape.output_size,
        calls=pictures * calls,
        calls_of_one=calls,
        expected_seconds=durations.expected(facts.name),
        memory_bytes=_memory_bytes(shape.placement, header, facts),
    )


def calls_of(shape: Shape) -> int:
    """Return how many calls make one picture; one that is made by a mask takes one."""
    return 1 if shape.plan is None else len(shape.plan.calls)


def _memory_bytes(placement: Placement, header: ImageHeader, facts: ProviderFacts) -> int | None:
    if facts.working_bytes is None:
        return None
    sides = sides_of(placement, header.width, header.height)
    # What a process of the engine's workers takes for any picture is part of what this one takes.
    return engine.PROCESS_BYTES + facts.working_bytes(header, sides)
