"""Faults seeded on purpose: with one of them, the tests of its row of the trust plan must fail, or they prove nothing.

``scripts/torture`` runs each row once more with its fault, which the environment variable ``TORTURE_SEED_FAULT`` names.
This module is the first plugin that is loaded, so that whoever imports what is replaced here gets the replacement.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What is replaced: ``module:attribute``, or ``module:Class.attribute``, by what is made of the original."""

    place: str
    replacement: Callable[[Any], Any]


class Never(Exception):
    """Is raised by nobody but in the place of another."""


def nothing(*_arguments: Any, **_options: Any) -> None:
    """Check nothing."""


async def _nothing_later(*_arguments: Any, **_options: Any) -> None:
    """Do nothing, where something is awaited."""


def _always(value: Any) -> Callable[[Any], Any]:
    """Replace by a function that returns ``value``."""
    return lambda _original: lambda *_arguments, **_options: value


def _instead(value: Any) -> Callable[[Any], Any]:
    """Replace by ``value``."""
    return lambda _original: value


def _leniently(_original: Any) -> Any:
    import simplejpeg

    return lambda data, colours: simplejpeg.decode_jpeg(data, colours, strict=False)


def _breaking(error: type[Exception]) -> Callable[[Any], Any]:
    def replacement(_original: Any) -> Any:
        def broken(*_arguments: Any, **_options: Any) -> Any:
            raise error("seeded")

        return broken

    return replacement


def _all_of_it(_original: Any) -> Any:
    """Copy all that has come for every few bytes more, so that time grows with the square of the length."""

    async def copying(stream: Any, boundary: bytes) -> Any:
        held = b"\n"
        async for chunk in stream:
            for at in range(0, len(chunk), 16):
                held = held + chunk[at : at + 16]
        yield held[held.find(b"\n--" + boundary) + 1 :]

    return copying


def _end_unseen(original: Any) -> Any:
    """Take a form for whole without having seen its end."""

    async def parse(self: Any) -> Any:
        return await super(original, self).parse()

    return type(original.__name__, (original,), {"parse": parse})


def _kind_by_file_name(original: Any) -> Any:
    """Take a part for a file by its file name alone."""

    def on_headers_finished(self: Any) -> None:
        super(original, self).on_headers_finished()

    return type(original.__name__, (original,), {"on_headers_finished": on_headers_finished})


def _naked(_original: Any) -> Any:
    return lambda error, **_options: b'{"detail": "%s"}' % repr(error).encode()


def _passed_on(original: Any) -> Any:
    def refuse(answer: Any, **options: Any) -> Any:
        error = original(answer, **options)
        error.system_message += answer.body.decode(errors="replace")
        return error

    return refuse


def _in_order(original: Any) -> Any:
    """Serve who came first, whoever it is."""
    return lambda self: original(self)[:1]


def _at_once(_original: Any) -> Any:
    def handle_exit(self: Any, _sig: int, _frame: Any) -> None:
        self.should_exit = self.force_exit = True
        self._loop.call_soon_threadsafe(self._hang_up)

    return handle_exit


def _by_name(_original: Any) -> Any:
    """Connect to whatever the host's name stands for by now."""

    async def connect_tcp(self: Any, host: str, port: int, *_arguments: Any, **_options: Any) -> Any:
        import httpcore2

        await self.rules.numbers(self.place)
        found = await self.rules.resolve(host)
        return await httpcore2.AnyIOBackend().connect_tcp(str(found[0]), port)

    return connect_tcp


def _without_a_limit(_original: Any) -> Any:
    async def read(self: Any, max_bytes: int, *timeout: Any, **named: Any) -> Any:
        return await self._stream.read(max_bytes, *timeout, **named)

    return read


def _by_one_secret(original: Any) -> Any:
    return lambda message_id, at, body, secrets: original(message_id, at, body, secrets[:1])


def _left_open(_original: Any) -> Any:
    """Read an answer to its last byte and not to its end, and keep it, so that nothing gives its place back."""
    kept = []

    @contextlib.asynccontextmanager
    async def left_open(response: Any) -> Any:
        pieces = response.aiter_bytes()
        kept.append((response, pieces))

        async def up_to_the_last_byte() -> Any:
            left = int(response.headers["content-length"])
            while left > 0:
                piece = await anext(pieces)
                left -= len(piece)
                yield piece

        response.aiter_bytes = up_to_the_last_byte
        yield response

    return left_open


def _without_places(original: Any) -> Any:
    """Let as many wait as come."""

    def make(self: Any, total: int, *, kept: int = 0, max_waiting: int | None = None, retry_after: float = 5) -> None:
        original(self, total, kept=kept, max_waiting=max_waiting and 10**9, retry_after=retry_after)

    return make


def _kept_for_good(original: Any) -> Any:
    """Keep every answer that was encoded."""
    kept = []

    def encode(*arguments: Any) -> Any:
        made = original(*arguments)
        kept.append(bytearray(1_000_000))
        return made

    return encode


def _right_here(_original: Any) -> Any:
    async def work(_self: Any, function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    return work


def _never_told(_original: Any) -> Any:
    """Ask nobody, as if the counter were away."""

    async def ask(_self: Any, _question: Any) -> None:
        return None

    return ask


def _with_one_more(metadata: Any) -> Any:
    import sqlalchemy

    metadata.tables["holds"].append_column(sqlalchemy.Column("seeded", sqlalchemy.Integer))
    return metadata


def _without_unknown_fields(original: Any) -> Any:
    return lambda kind, found: original(kind, {name: found[name] for name in kind.model_fields if name in found})


def _remembered(original: Any) -> Any:
    """Look a key up once, and never again."""
    known: dict[str, Any] = {}

    async def verify(self: Any, text: str) -> Any:
        if text not in known:
            known[text] = await original(self, text)
        return known[text]

    return verify


def _never_alike(_original: Any) -> Any:
    numbers = itertools.count()
    return lambda _address: str(next(numbers))


def _seen_by_nobody(_original: Any) -> Any:
    async def look(_self: Any, *_arguments: Any) -> None:
        return None

    return look


def _as_they_came(_original: Any) -> Any:
    """Hash the fields in the order in which they were sent."""
    import hashlib

    return lambda facts, form: hashlib.sha256(repr((tuple(facts), list(form))).encode()).digest()


def _taken_over(_original: Any) -> Any:
    """Write a claim over whatever was there: whoever looked before found nothing."""

    def inserted(values: Any) -> Any:
        from uncrop.store.keyed_requests import _COLUMNS, _INSERT, _TAKE_OVER
        from uncrop.store.prepared import Ask

        if not (yield Ask(_INSERT, values)).changed:
            names = {"organization": values["organization_id"], "wanted": values["key"]}
            yield Ask(_TAKE_OVER, {**names, **{f"new_{each.name}": values.get(each.name) for each in _COLUMNS}})
        return True

    return inserted


def _unmarked(_original: Any) -> Any:
    async def mark_sent(self: Any) -> None:
        self._sent += 1

    return mark_sent


def _in_two_steps(original: Any) -> Any:
    """Look at a limit, and then write whatever has happened in between."""

    def change(organization_id: str, changes: Any, *along: Any, look: bool = True) -> Any:
        from dataclasses import replace

        from uncrop.store.balances import read_balance

        for each in changes:
            used = yield from read_balance(organization_id, each)
            if each.most is not None and used + each.held + each.spent > each.most:
                return (each,)
        unlimited = [replace(each, most=None) for each in changes]
        return (yield from original(organization_id, unlimited, *along, look=look))

    return change


def _one_by_one(_original: Any) -> Any:
    """Commit each statement by itself."""

    def together(makes: Any, dialect: Any, connection: Any) -> Any:
        from uncrop.store.scripts import _advance

        return [(_advance(make, dialect, connection), None) for make in makes]

    return together


def _blind(_original: Any) -> Any:
    async def rows(*_arguments: Any) -> list[Any]:
        return []

    return rows


HEADER, FORM, PROTOCOL = "uncrop.imaging.header", "uncrop.server.form", "uncrop.server.protocol"

FAULTS: dict[str, Fault] = {
    "the decoder's warnings are not heeded": Fault("uncrop.imaging.jpeg.pixels:_strictly", _leniently),
    "pictures of any size are decoded": Fault(f"{HEADER}:check_size", _instead(nothing)),
    "one pixel more is let through": Fault(
        "uncrop.imaging.limits:MAX_PIXELS", lambda most: {kind: pixels + 1 for kind, pixels in most.items()}
    ),
    "extents are misread by one": Fault(f"{HEADER}:_upright", _always((1, 1))),
    "pictures are not turned upright": Fault(
        "uncrop.imaging.arrays:upright", lambda _: lambda pixels, _orientation: pixels
    ),
    "photos are sent as they came": Fault("uncrop.imaging.metadata.strip:strip", lambda _: lambda file: file.data),
    "metadata's mistakes are not converted": Fault(
        "uncrop.imaging.metadata.exif:read_exif", _breaking(ZeroDivisionError)
    ),
    "who was killed is not tried again": Fault("uncrop.workers.decoding.sandboxed:TRIES", _instead(1)),
    "everything is a JPEG": Fault(f"{HEADER}:sniff", _always("JPEG")),
    "animations pass": Fault(f"{HEADER}:_check_still", _instead(nothing)),
    "masks of any size pass": Fault("uncrop.imaging.mask:_broken", _breaking(KeyError)),
    "heads are not checked": Fault("uncrop.server.heads:fault_of", _always(None)),
    "bodies are copied again and again": Fault(f"{FORM}:_without_preamble", _all_of_it),
    "a form needs no end": Fault(f"{FORM}:_FormParser", _end_unseen),
    "a file is known by its file name": Fault(f"{FORM}:_FormParser", _kind_by_file_name),
    "the parser's mistakes are not converted": Fault(f"{FORM}:MultiPartException", _instead(Never)),
    "bodies are not checked by their heads": Fault(f"{FORM}:_check_headers", _instead(nothing)),
    "heads may be of any length": Fault(f"{PROTOCOL}:BoundedProtocol.head_bytes", _instead(10**12)),
    "heads are waited for": Fault(f"{PROTOCOL}:BoundedProtocol._start_head_timer", _instead(nothing)),
    "errors are of another type": Fault("uncrop.server.errors:MEDIA_TYPE", _instead("text/plain")),
    "answers lack the headers for safety": Fault("uncrop.server.middleware:SAFE_HEADERS", _instead({})),
    "errors inside 200 are not read": Fault("uncrop.providers.error_reader:error_in", _always(None)),
    "submits are repeated": Fault(
        "uncrop.providers.transport.sender:Started.yes", _instead(property(lambda _self: False, nothing))
    ),
    "the breaker never opens": Fault("uncrop.providers.transport.breaker:Breaker._count", _instead(nothing)),
    "pictures are worked out on the event loop": Fault("uncrop.providers.maker:_Run._in_thread", _right_here),
    "there is no deadline": Fault("uncrop.providers.maker:_Run._seconds_left", _always(1e6)),
    "answers are not closed": Fault("uncrop.providers.transport.sender:aclosing", _left_open),
    "what may have been billed is asked of another": Fault(
        "uncrop.providers.commitment:Commitment.sent", _instead(property(lambda _self: False))
    ),
    "who came first is served first": Fault("uncrop.capacity.fair_queue:FairQueue._candidates", _in_order),
    "a signal cuts everything off": Fault("uncrop.server.run:Server.handle_exit", _at_once),
    "places are not looked at": Fault("uncrop.settings.places:folder", _instead(lambda path: path)),
    "what a provider says is passed on": Fault("uncrop.providers.refusal:refuse", _passed_on),
    "errors have another shape": Fault("uncrop.server.errors:error_body", _naked),
    "texts are logged as they are": Fault("uncrop.server.logs:redact", _instead(lambda _logger, _method, event: event)),
    "the models have a column more": Fault("uncrop.store.tables:metadata", _with_one_more),
    "ids are echoed as they came": Fault("uncrop.server.exchange:_SANE_ID", _instead(re.compile(".*", re.DOTALL))),
    "everybody may wait": Fault("uncrop.capacity.fair_queue:FairQueue.__init__", _without_places),
    "memory is never given back": Fault("uncrop.uncropper:_encode", _kept_for_good),
    "keys are kept as they are": Fault(
        "uncrop.store.pepper:Peppers.digest", _instead(lambda _self, text, _under=None: text.encode())
    ),
    "others' things are shown": Fault(
        "uncrop.service.administration:_whose", _instead(lambda _caller, organization_id: organization_id)
    ),
    "unknown fields are passed over": Fault("uncrop.server.json_bodies:_checked", _without_unknown_fields),
    "keys are looked up once": Fault("uncrop.store.keys:ApiKeys.verify", _remembered),
    "refused keys are not counted": Fault("uncrop.service.service:network_of", _never_alike),
    "scopes are not looked at": Fault("uncrop.service.administration:check_scope", _instead(nothing)),
    "answers are not looked for": Fault("uncrop.store.keyed_requests:KeyedRequests.look", _seen_by_nobody),
    "the order of fields counts": Fault("uncrop.server.keyed:fingerprint_of", _as_they_came),
    "a key is looked at, then claimed": Fault("uncrop.store.keyed_requests:_inserted", _taken_over),
    "calls are not marked": Fault("uncrop.ledger.ledger:HeldPicture.mark_sent", _unmarked),
    "answers are kept for an hour": Fault("uncrop.store.keyed_requests:RETENTION", _instead(dt.timedelta(hours=1))),
    "a limit is looked at before it is written": Fault("uncrop.store.balances:change_balances", _in_two_steps),
    "statements are committed one by one": Fault("uncrop.store.scripts:_together", _one_by_one),
    "nothing is given back": Fault("uncrop.ledger.postings:give_back", _always(())),
    "the ledger is not recomputed": Fault("uncrop.store.verification:_rows", _blind),
    "whoever fails is billed": Fault("uncrop.providers.maker:_Run._is_charged", _always(True)),
    "calls of jobs are not marked": Fault("uncrop.jobs.worker:CallMark.mark_sent", _instead(_nothing_later)),
    "a job may end any number of workers": Fault("uncrop.jobs.worker:MOST_DEATHS", _instead(10**9)),
    "any number of jobs may wait": Fault("uncrop.store.jobs:_check_open", _instead(_nothing_later)),
    "every network is the internet": Fault("uncrop.webhooks.addresses:is_public", _always(True)),
    "names are looked up once more": Fault("uncrop.webhooks.sending:_Checked.connect_tcp", _by_name),
    "any answer is a success": Fault("uncrop.webhooks.sending:_failure_of", _always(None)),
    "answers are read without a limit": Fault("uncrop.webhooks.sending:_Bounded.read", _without_a_limit),
    "one secret signs": Fault("uncrop.webhooks.deliverer:signed_headers", _by_one_secret),
    "a message is sent once": Fault("uncrop.webhooks.schedule:TRIES", _instead(1)),
    "the database is not asked": Fault("uncrop.store.database:Store.ping", _instead(nothing)),
    "SQLite is always in WAL mode": Fault("uncrop.store.sqlite:journal_mode", _always("WAL")),
    "conflicts are not tried again": Fault("uncrop.store.unavailable:is_conflict", _always(False)),
    "each server counts by itself": Fault("uncrop.admission.shared_window:SharedWindow._ask", _never_told),
}


def place_of(fault: Fault) -> tuple[Any, str]:
    """Return what holds the attribute that is replaced, and the attribute's name."""
    module_name, _, path = fault.place.partition(":")
    holder: Any = importlib.import_module(module_name)
    *classes, attribute = path.split(".")
    for each in classes:
        holder = getattr(holder, each)
    return holder, attribute


def seed(name: str) -> None:
    """Replace what the fault of this name replaces."""
    fault = FAULTS[name]
    holder, attribute = place_of(fault)
    setattr(holder, attribute, fault.replacement(getattr(holder, attribute, None)))


if name := os.environ.get("TORTURE_SEED_FAULT"):
    seed(name)
