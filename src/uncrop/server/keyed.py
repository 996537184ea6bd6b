"""``Idempotency-Key``: what a request under a key asks, as a fingerprint; its answer, as it is kept and sent again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from anyio import to_thread

from uncrop.admission.idempotency import check_key
from uncrop.model import MEDIA_TYPES, Answer
from uncrop.model.fingerprints import fingerprint
from uncrop.server.errors import error_response
from uncrop.server.pictures_wire import prefers_json, to_pictures_response
from uncrop.server.sending import PiecewiseResponse
from uncrop.service.once import Asked, Repeatable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from uncrop.errors import UncropError
    from uncrop.model import UncropRequest
    from uncrop.server.exchange import Exchange
    from uncrop.server.form import FormItem
    from uncrop.service.pictures import MadePictures

REPLAYED = "Idempotent-Replayed"
_INLINE_BYTES = 262_144  # hashing more is left to a thread


def key_of(request: Request) -> str | None:
    """Return the request's key; ``None`` where it has none.

    Raises
    ------
    IdempotencyKeyInvalid
    """
    return check_key(request.headers.getlist("idempotency-key"))


async def asked_under(
    key: str,
    form: list[FormItem],
    asked: UncropRequest,
    *,
    request: Request,
    exchange: Exchange,
    make_room: Callable[[int], None],
) -> Asked:
    """Return what is asked, with all that a request under a key needs.

    Parameters
    ----------
    key, form, asked
        The key, the fields as they were sent, and the request that they make.
    request, exchange
        The request itself, and the notes about it.
    make_room
        Told how many bytes an answer that was kept has, before it is read.
    """
    accept = ",".join(request.headers.getlist("accept"))
    facts = (request.method, request.url.path, *_answer_kinds(asked, accept))
    if sum(len(value) for _, value in form) > _INLINE_BYTES:
        fingerprint = await to_thread.run_sync(fingerprint_of, facts, form)
    else:
        fingerprint = fingerprint_of(facts, form)

    def render(made: MadePictures) -> Answer:
        return to_answer(to_pictures_response(made, accept))

    def render_error(error: UncropError) -> Answer:
        exchange.fail(error)
        return to_answer(error_response(error, trace_id=exchange.trace_id))

    repeatable = Repeatable(
        key=key, fingerprint=fingerprint, render=render, render_error=render_error, make_room=make_room
    )
    return Asked(request=asked, repeatable=repeatable)


def fingerprint_of(facts: Iterable[str], form: Iterable[FormItem]) -> bytes:
    """Return the SHA-256 of what is asked: the facts in their order, the fields in any, files by their SHA-256.

    Names of files, the boundary, and the order of the fields do not count; every byte of a field and of a file does.
    """
    fields = sorted(
        (name.encode(), b"file", hashlib.sha256(value).digest())
        if isinstance(value, bytes)
        else (name.encode(), b"text", value.encode())
        for name, value in form
    )
    return fingerprint((*(fact.encode() for fact in facts), b"", *(part for field in fields for part in field)))


def to_answer(response: Response) -> Answer:
    """Return a response as it is kept: its status, its own headers, its body."""
    headers = tuple((name, value) for name, value in response.headers.items() if name != "content-length")
    return Answer(status=response.status_code, headers=headers, body=bytes(response.body))


def from_answer(answer: Answer) -> PiecewiseResponse:
    """Return the response that an answer makes."""
    headers = dict(answer.headers)
    if answer.replayed:
        headers[REPLAYED] = "true"
    return PiecewiseResponse(answer.body, status_code=answer.status, headers=headers)


def _answer_kinds(asked: UncropRequest, accept: str) -> list[str]:
    """Return what ``Accept`` decides: of one picture, which types that it may have are replaced by JSON."""
    if (asked.variations or 1) != 1 or asked.confidence_map:
        return []
    kinds = MEDIA_TYPES.values() if asked.answer_format is None else [MEDIA_TYPES[asked.answer_format]]
    return [kind for kind in kinds if prefers_json(accept, kind)]
