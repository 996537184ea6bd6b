"""What is read of any provider's answer, without trust: JSON, ids, credits, pictures in base64."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from pydantic_core import from_json

from uncrop.errors import ProviderInvalidResponse
from uncrop.imaging.text import decode_base64
from uncrop.providers.base import new_request_id

if TYPE_CHECKING:
    from uncrop.providers.conversation import Answer

# No picture costs more; a larger number is a mistake of the provider's and is told to nobody.
MAX_CREDITS = 1_000_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def read_object(body: bytes) -> Mapping[str, object] | None:
    """Parse a JSON object; ``None`` when the body is anything else."""
    try:
        parsed = from_json(
            body.removeprefix(BYTE_ORDER_MARK)
        )  # five times as fast as the standard library's for an answer that holds a picture
    except ValueError:  # no JSON, no text at all, or nested without end
        return None
    return parsed if isinstance(parsed, dict) else None


def is_page(answer: Answer) -> bool:
    """Tell whether an answer is a web page, so that something else than an API answers at the address."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "text/html" or answer.body.lstrip()[:1] == b"<"


def read_text(body: Mapping[str, object], *way: str, missing: str | None = None) -> str:
    """Return a text that must be in an answer.

    Parameters
    ----------
    body
        The answer's JSON.
    way
        The names that lead to the text: of the object in it, of the object in that, and of the text.
    missing
        What is said of an answer that holds no such text: "names no picture".

    Raises
    ------
    ProviderInvalidResponse
        There is no such text.
    """
    value: object = body
    for name in way:
        value = value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, str):
        raise unusable(missing or f"holds no {'.'.join(way)}")
    return value


def read_base64(text: object) -> bytes:
    """Return the file of a picture that stands in JSON as base64, in any of its spellings.

    Raises
    ------
    ProviderInvalidResponse
        It is no text, or no base64.
    """
    if not isinstance(text, str):
        raise unusable("holds no picture")
    picture = decode_base64(text)
    if picture is None:
        raise unusable("holds a picture that is not base64")
    return picture


def read_credits(value: object) -> Decimal | None:
    """Read what a call cost, or what is left, as a header's text or a number; ``None`` when it tells neither."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= MAX_CREDITS else None


def request_id(headers: Mapping[str, str]) -> str:
    """Return the provider's own id for the call when a header names a sane one, else one of ours."""
    return sane_id(headers.get("x-request-id", ""))


def sane_id(named: str) -> str:
    """Return an id that a provider named if it is a sane one, else one of ours."""
    return named if _SANE_ID.fullmatch(named) else new_request_id()


def unusable(what: str) -> ProviderInvalidResponse:
    """Return the error of an answer that is not what is documented; ``what`` ends "The provider's answer …"."""
    return ProviderInvalidResponse(system_message=f"The provider's answer {what}")
