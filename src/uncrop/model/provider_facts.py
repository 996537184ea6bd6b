"""The row of facts about a provider: all that the rest of the program knows about it.

Settings, the HTTP API and its description, the command line's help, the page and the reference pages are made from
these rows, and a row is the only place that knows its provider's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from uncrop.model.pictures import ImageFormat, ImageHeader
    from uncrop.model.shapes import Sides

SettingKind: TypeAlias = Literal["secret", "address", "text", "integer", "number", "file"]
# How a provider is told what to make: pixels to add on each side; a canvas and where the photo lies on it; or a photo
# drawn on a frame, with a mask that says what is to be made.
GeometryKind: TypeAlias = Literal["sides", "canvas", "mask"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingFacts:
    """One setting of a provider. Its variable is ``UNCROP_<PROVIDER>_<NAME>``.

    Attributes
    ----------
    name
        In lower case, for example ``api_key``.
    kind
        Of a ``file`` the variable holds the path; it is read once, at the start, and the value is its text.
    default
        The value where the variable is not set.
    required
        Without a value, set or by default, the provider is not configured.
    minimum, maximum
        Of an integer or a number.
    choices
        The values that a text may have; any, when empty.
    check
        Tells what is wrong with a file's text, in words that follow "UNCROP_...: "; ``None`` where nothing is.
    """

    name: str
    kind: SettingKind
    help: str
    default: str | float | None = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[str], str | None] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldFacts:
    """One field of the form that a provider takes beside the photo and its geometry.

    Attributes
    ----------
    name
        ``seed``, ``mask_file``, ``prompt``, ``negative_prompt``, ``size``, ``quality`` or ``confidence_map``.
    minimum, maximum
        Of a number.
    choices
        The values that a text may have; any, when empty.
    max_characters
        Of a text.
    """

    name: str
    help: str
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None
    max_characters: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometryFacts:
    """Which geometry a provider speaks, and its limits, in pixels. ``None``: no limit is known.

    Attributes
    ----------
    speaks
        How it is told what to make.
    crops
        It takes negative sides and crops the photo by itself.
    max_side
        Most that one call adds on a side.
    grid
        The canvas's edges and the photo's place on it must be multiples of this.
    sizes
        The only canvases, (width, height), that it makes; any within the other limits, when empty.
    scales
        Where photo or canvas is beyond the limits of pixels and edges, the photo is scaled for the call, and what was
        made is scaled back. Providers that speak masks are always asked so.
    min_edge, max_edge, min_pixels, max_pixels, max_ratio
        Limits of the canvas that one call makes; the ratio is that of its longer edge to its shorter one.
    min_photo_edge, max_photo_pixels, max_photo_ratio
        Limits of the photo that is sent; the ratio is that of its longer edge to its shorter one.
    """

    speaks: GeometryKind
    crops: bool = False
    max_side: int | None = None
    grid: int = 1
    sizes: tuple[tuple[int, int], ...] = ()
    scales: bool = False
    min_edge: int = 1
    max_edge: int | None = None
    min_pixels: int = 1
    max_pixels: int | None = None
    max_ratio: float | None = None
    min_photo_edge: int = 1
    max_photo_pixels: int | None = None
    max_photo_ratio: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadFacts:
    """What may be sent as a photo: file formats, and the longest file in bytes."""

    formats: frozenset[ImageFormat]
    max_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What a provider asks for: so much of a unit, for each so-and-so, known since a date from a source."""

    amount: Decimal
    unit: str  # "USD", "credit"
    per: str  # "picture", "megapixel"
    date: str  # ISO 8601
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenPrice:
    """What a provider asks for a million tokens in US dollars, known since a date from a source.

    Attributes
    ----------
    input_text_usd
        For those of the input that are text; ``None``: as for all of it.
    """

    input_usd: Decimal
    input_text_usd: Decimal | None = None
    output_usd: Decimal
    date: str  # ISO 8601
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderFacts:
    """One provider.

    Attributes
    ----------
    name
        What callers write in the field ``provider``: lower-case letters, digits and underscores.
    title, sentence
        For people: its name, and one sentence about it.
    implementation
        ``"module:Class"`` of a ``uncrop.providers.base.Provider``; imported on first use.
    emulator
        ``"module:Class"`` of a ``uncrop.testing.emulator.Emulator``, where there is one.
    geometry, fields, upload
        What it takes.
    answer_format
        The format of the answer; ``None``: the photo's own.
    max_output_pixels
        Largest finished picture; ``None``: the server's limit.
    bills
        A call may cost money, so that it is never sent twice and not cancelled once sent.
    price
        What a picture costs, as far as it is known.
    token_price
        What tokens cost, for a provider that counts them.
    usd_per_credit, usd_per_call
        What the operator says that a credit or a call costs in US dollars; ``None`` where nothing is said.
    settings
        What can be set.
    requests_per_minute
        Limit of its own for each organization, below the organization's.
    poll_hosts
        Hosts, beside the configured address's own, that an answer may name and that get the key: ``api.example.org``,
        or ``*.example.org`` for all below it.
    download_hosts
        Hosts that an answer may name for a download, without any credential.
    computes_here
        It uses this machine's processors, in the engine's workers, and no network.
    keeps_depth
        It works on 16 bits a channel and on grey as they are.
    working_bytes
        Predicts what it takes on this machine, beside the photo, to make a picture.
    evidence
        Where the row's facts come from, and since when.
    """

    name: str
    title: str
    sentence: str
    implementation: str
    emulator: str | None = None
    geometry: GeometryFacts
    fields: tuple[FieldFacts, ...] = ()
    upload: UploadFacts
    answer_format: ImageFormat | None = None
    max_output_pixels: int | None = None
    bills: bool
    price: Price | None = None
    token_price: TokenPrice | None = None
    usd_per_credit: Decimal | None = None
    usd_per_call: Decimal | None = None
    settings: tuple[SettingFacts, ...] = ()
    requests_per_minute: int | None = None
    poll_hosts: tuple[str, ...] = ()
    download_hosts: tuple[str, ...] = ()
    computes_here: bool = False
    keeps_depth: bool = False
    working_bytes: Callable[[ImageHeader, Sides], int] | None = None
    evidence: str = ""

    def field(self, name: str) -> FieldFacts | None:
        """Return the row of a field that it takes, or ``None``."""
        return next((field for field in self.fields if field.name == name), None)

    def takes(self, name: str) -> bool:
        """Tell whether it takes a field."""
        return self.field(name) is not None

    def variable(self, setting: SettingFacts) -> str:
        """Return the name of a setting's environment variable."""
        return f"UNCROP_{self.name}_{setting.name}".upper()
