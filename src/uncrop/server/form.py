"""The body: a multipart form, read while it streams, bounded in size, number and time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from uncrop.errors import ValidationError
from uncrop.server.fields import EXTENT, FIELDS, FILES, IS_NO_TEXT, IS_REQUIRED, REQUIRED
from uncrop.server.http_errors import RequestTimeout, RequestTooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.datastructures import FormData, Headers
    from starlette.types import Receive

    from uncrop.capacity.bodies import Share

FormItem: TypeAlias = "tuple[str, str | bytes]"
"""A field's name, and its text, or its bytes if it is a file: by its name, or as it was sent if that is unknown."""

_MEGABYTE = 1_000_000
_MAX_BOUNDARY = 70  # RFC 2046, 5.1.1
_IN_MEMORY = 1 << 62
_REQUIRED = {"fields": dict.fromkeys(REQUIRED, IS_REQUIRED)}
_FILES, _TEXTS = ({name.encode() for name in names} for names in (FILES, {*FIELDS, *EXTENT} - set(FILES)))


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyLimits:
    """What a body may be.

    Attributes
    ----------
    max_bytes
        Of the whole body: the longest image of any provider and a mask of 4 MB, and room for the texts.
    max_field_bytes
        Of one text: 32000 characters of a prompt, four bytes each, and some.
    total_s
        Seconds in which the whole body must arrive.
    stall_s
        Seconds without a byte after which it is given up.
    """

    max_bytes: int = 55 * _MEGABYTE
    max_fields: int = 32
    max_files: int = 4
    max_field_bytes: int = 160_000
    total_s: float = 60
    stall_s: float = 15


async def read_form(headers: Headers, receive: Receive, limits: BodyLimits, share: Share) -> list[FormItem]:
    """Read the body to its end and return its fields in the order sent.

    A file input that was left empty (no name, no bytes) is left out.

    Parameters
    ----------
    headers
        The request's headers.
    receive
        Gives the messages of the body.
    limits
        What the body may be.
    share
        Its part of the memory that all bodies share.

    Raises
    ------
    ValidationError
        The body is not a whole multipart form, is compressed, or has too many or too long fields.
    RequestTooLarge
        It is longer than any provider takes.
    RequestTimeout
        It stalled, or did not arrive in time.
    ServerBusy
        The bodies being worked on already fill their share of the memory.
    ClientDisconnect
        The client left.
    """
    _check_headers(headers, limits)
    async with aclosing(chunks(receive, limits, share)) as stream:
        _, options = parse_options_header(headers.get("content-type"))
        parser = _FormParser(headers, _without_preamble(stream, options[b"boundary"]), limits)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise ValidationError("The multipart body is not valid", system_message=error.message) from error
    try:
        return [
            (name, await value.read() if isinstance(value, UploadFile) else value)
            for name, value in form.multi_items()
            if not _is_empty_file(value)
        ]
    finally:
        await form.close()


def _is_empty_file(value: UploadFile | str) -> bool:
    return isinstance(value, UploadFile) and not value.filename and not value.size


def _check_headers(headers: Headers, limits: BodyLimits) -> None:
    """Refuse what can be refused before a byte of the body is read."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"identity", ""}:
        raise ValidationError("The request body must not be compressed", details={"content_encoding": coding[:50]})
    kind, options = parse_options_header(headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise ValidationError("The request body must be multipart/form-data", details=_REQUIRED)
    if not 0 < len(options.get(b"boundary", b"")) <= _MAX_BOUNDARY:
        raise ValidationError(
            f"The Content-Type must name a boundary of 1 to {_MAX_BOUNDARY} characters", details=_REQUIRED
        )
    declared = headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.max_bytes:
        raise _too_large(limits)


def _too_large(limits: BodyLimits) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body exceeds {limits.max_bytes} bytes", details={"max_bytes": limits.max_bytes}
    )


async def chunks(receive: Receive, limits: BodyLimits, share: Share) -> AsyncGenerator[bytes, None]:
    """Pass on the body piece by piece, whatever length was declared for it."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + limits.total_s
    size = 0
    more = True
    while more:
        try:
            async with asyncio.timeout_at(min(deadline, clock() + limits.stall_s)):
                message = await receive()
        except TimeoutError as error:
            raise RequestTimeout(
                details={"received_bytes": size, "seconds": limits.total_s, "stall_seconds": limits.stall_s}
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(limits)
        share.grow(len(chunk))
        yield chunk


async def _without_preamble(stream: AsyncGenerator[bytes, None], boundary: bytes) -> AsyncGenerator[bytes, None]:
    """Leave out what comes before the first boundary, which is to be ignored (RFC 2046, 5.1.1)."""
    delimiter = b"\n--" + boundary
    held = start = b"\n"  # where the body begins, a line begins
    async for chunk in stream:
        held += chunk
        if (found := held.find(delimiter)) >= 0:
            yield held[found + 1 :]
            break
        held = held[1 - len(delimiter) :]
    else:
        if held != start:
            raise MultiPartException("There is no boundary")
    async for chunk in stream:
        yield chunk


class _FormParser(MultiPartParser):
    """Starlette's parser, which keeps files in memory and knows whether it saw the closing boundary.

    What a part of a known name is does not depend on whether it has a file name: browsers name every blob, and older
    libraries write a file name that is not ASCII in a way that is ignored here, ``filename*``.

    Starlette would take a form whose end is missing for whole, and leave out the part that was cut, a mask for
    example. Its files would move to the disk at one megabyte; here the bytes are needed in memory anyway, and are
    bounded by the body's limit and by the share of all bodies.
    """

    spool_max_size = _IN_MEMORY

    def __init__(self, headers: Headers, stream: AsyncGenerator[bytes, None], limits: BodyLimits) -> None:
        super().__init__(
            headers,
            stream,
            max_files=limits.max_files,
            max_fields=limits.max_fields,
            max_part_size=limits.max_field_bytes,
        )
        self._complete = False
        self._must_be_text = False

    async def parse(self) -> FormData:
        """Read the stream to its end, and refuse it if that is not the end of the form."""
        form = await super().parse()
        if not self._complete:
            # The file that was cut is not in the form.
            for file in self._files_to_close_on_error:
                file.close()
            raise ValidationError("The multipart body ends before its closing boundary")
        return form

    def on_headers_finished(self) -> None:
        """Make a part what its name says that it is."""
        part = self._current_part
        _, options = parse_options_header(part.content_disposition)
        name, sent_as_file = options.get(b"name", b""), b"filename" in options
        self._must_be_text = name in _TEXTS and sent_as_file
        if name in _FILES and not sent_as_file:
            part.content_disposition = (part.content_disposition or b"") + b'; filename=""'
        elif self._must_be_text:
            part.content_disposition = b'form-data; name="%s"' % name
        super().on_headers_finished()

    def on_part_end(self) -> None:
        """Refuse a file in the place of a text by its name, if it cannot be read as one."""
        if self._must_be_text:
            self._check_text(self._current_part.field_name, self._current_part.data)
        super().on_part_end()

    def _check_text(self, name: str, data: bytearray) -> None:
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise ValidationError(f"{name} {IS_NO_TEXT}", details={"fields": {name: IS_NO_TEXT}}) from error

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Refuse a text that is too long by its name."""
        part = self._current_part
        if part.file is None and len(part.data) + end - start > self.max_part_size:
            raise ValidationError(
                f"A field of text exceeds {self.max_part_size} bytes",
                details={"fields": {part.field_name[:100]: f"must have at most {self.max_part_size} bytes"}},
            )
        super().on_part_data(data, start, end)

    def on_end(self) -> None:
        """Note the closing boundary."""
        self._complete = True
