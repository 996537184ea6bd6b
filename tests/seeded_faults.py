"""Faults seeded on purpose: with one of them, the tests of its row of the trust plan must fail, or they prove nothing.

``scripts/torture`` runs each row once more with its fault, which the environment variable ``TORTURE_SEED_FAULT`` names.
This module is the first plugin that is loaded, so that whoever imports what is replaced here gets the replacement.
"""

from __future__ import annotations

import contextlib
import importlib
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


def _right_here(_original: Any) -> Any:
    async def work(_self: Any, function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    return work


def _with_one_more(metadata: Any) -> Any:
    import sqlalchemy

    metadata.tables["usage"].append_column(sqlalchemy.Column("seeded", sqlalchemy.Integer))
    return metadata


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
    "answers are not closed": Fault("uncrop.providers.transport.sender:aclosing", _instead(contextlib.nullcontext)),
    "who came first is served first": Fault("uncrop.capacity.fair_queue:FairQueue._candidates", _in_order),
    "a signal cuts everything off": Fault("uncrop.server.run:Server.handle_exit", _at_once),
    "places are not looked at": Fault("uncrop.settings.places:folder", _instead(lambda path: path)),
    "what a provider says is passed on": Fault("uncrop.providers.refusal:refuse", _passed_on),
    "errors have another shape": Fault("uncrop.server.errors:error_body", _naked),
    "texts are logged as they are": Fault("uncrop.server.logs:redact", _instead(lambda _logger, _method, event: event)),
    "the models have a column more": Fault("uncrop.store.tables:metadata", _with_one_more),
    "ids are echoed as they came": Fault("uncrop.server.exchange:_SANE_ID", _instead(re.compile(".*", re.DOTALL))),
    "the database is not asked": Fault("uncrop.store.database:Store.ping", _instead(nothing)),
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
