"""Between HTTP and a quote: form to what is asked, quotes to JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from uncrop.errors import InvalidFieldValue
from uncrop.server.fields import EXTENT, FIELDS, REQUIRED
from uncrop.server.wire import make_request, read_fields
from uncrop.service.quote import QuoteRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from uncrop.server.form import FormItem
    from uncrop.service.quote import Quote

_FIELDS = dict.fromkeys((*FIELDS, *EXTENT))
_WITHOUT_IMAGE = (*(name for name in REQUIRED if name != "image_file"), *EXTENT)


def to_quote(form: Iterable[FormItem]) -> QuoteRequest:
    """Read the form of a quote: that of the picture, or in place of the image its width and height.

    Raises
    ------
    ValidationError
        As for the picture; ``details.fields`` names everything at once.
    InvalidFieldValue
        The image was sent together with a width or a height.
    """
    items = list(form)
    sent = {name for name, value in items if value}
    extent = [name for name in EXTENT if name in sent]
    has_image = "image_file" in sent
    fields = read_fields(items, known=_FIELDS, required=_WITHOUT_IMAGE if extent and not has_image else REQUIRED)
    if extent and has_image:
        named = ["image_file", *extent]
        raise InvalidFieldValue(
            f"{' and '.join(named)} cannot be sent together: each says how large the photo is",
            details={"fields": named},
        )
    request = make_request(fields)
    if not extent:  # the image is there, if only as an empty file
        return QuoteRequest(request=request)
    width, height = (fields.numbers[name] for name in EXTENT)
    return QuoteRequest(request=request, extent=(width, height))


def quotes_response(quotes: Sequence[Quote], *, one: bool) -> JSONResponse:
    """Return the quote of ``one`` named provider, or the list of all."""
    told = [quote.to_json() for quote in quotes]
    return JSONResponse(told[0] if one else told)
