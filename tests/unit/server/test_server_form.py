from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from uncrop.capacity.bodies import BodyBudget
from uncrop.errors import ServerBusy, UncropError, ValidationError
from uncrop.server.form import BodyLimits, read_form
from uncrop.server.http_errors import RequestTimeout, RequestTooLarge

BOUNDARY = "----frontier"
REQUIRED = {"fields": dict.fromkeys(("provider", "organization_id", "image_file"), "is required")}


def part(name: str, value: bytes, *, filename: str | None = None, more: str = "") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{more}\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


class Body:
    """Gives a body in pieces; then ends, leaves, or says nothing any more."""

    def __init__(self, body: bytes, *, piece: int = 7, end: str = "whole") -> None:
        self._pieces = [body[start : start + piece] for start in range(0, len(body), piece)]
        self._end = end
        self.read = 0

    async def receive(self) -> dict[str, Any]:
        if self._pieces:
            chunk = self._pieces.pop(0)
            self.read += len(chunk)
            more = bool(self._pieces) or self._end != "whole"
            return {"type": "http.request", "body": chunk, "more_body": more}
        if self._end == "leaves":
            return {"type": "http.disconnect"}
        if self._end == "stalls":
            await asyncio.Event().wait()
        if self._end == "drips":
            await asyncio.sleep(0.005)
            return {"type": "http.request", "body": b"x", "more_body": True}
        return {"type": "http.request"}


def headers(**changes: str | None) -> Headers:
    values = {"content_type": f"multipart/form-data; boundary={BOUNDARY}", **changes}
    return Headers({name.replace("_", "-"): value for name, value in values.items() if value is not None})


async def read(body: Body, sent: Headers | None = None, *, memory: int = 10**9, **limits: Any) -> list[Any]:
    budget = BodyBudget(memory)
    try:
        with budget.share() as share:
            return await read_form(headers() if sent is None else sent, body.receive, BodyLimits(**limits), share)
    finally:
        assert budget.held == 0


async def refused(body: Body, sent: Headers | None = None, **limits: Any) -> UncropError:
    with pytest.raises(UncropError) as caught:
        await read(body, sent, **limits)
    return caught.value


@pytest.mark.parametrize("piece", [1, 7, 64, 10_000])
async def test_texts_and_files_are_read_in_order_whatever_the_pieces(piece: int) -> None:
    photo = bytes(range(256)) * 8 + f"\r\n--{BOUNDARY}x\r\n--".encode()
    body = (
        part("provider", b"local")
        + part("prompt", "Übermäßig\r\n".encode())
        + part("image_file", photo, filename="a.jpg")
    )
    assert await read(Body(body + END, piece=piece)) == [
        ("provider", "local"),
        ("prompt", "Übermäßig\r\n"),
        ("image_file", photo),
    ]


async def test_a_file_input_left_empty_is_left_out_and_an_empty_file_is_not() -> None:
    body = part("mask_file", b"", filename="") + part("image_file", b"", filename="a.png")
    assert await read(Body(body + END)) == [("image_file", b"")]


async def test_a_file_without_a_name_but_with_bytes_is_read() -> None:
    assert await read(Body(part("image_file", b"x", filename="") + END)) == [("image_file", b"x")]


def odd(name: str, value: bytes, more: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


@pytest.mark.parametrize("more", ["", "; filename*=UTF-8''%C3%BC.jpg", "; filename*0=a", '; filename=""', "; size=9"])
@pytest.mark.parametrize("name", ["image_file", "mask_file"])
async def test_a_file_is_a_file_however_it_was_sent(name: str, more: str) -> None:
    photo = bytes(range(256)) * 1000  # longer than a text may be, and none
    assert await read(Body(odd(name, photo, more) + END, piece=10_000)) == [(name, photo)]
    assert await read(Body(odd(name, b"", more) + END)) == []


@pytest.mark.parametrize("name", ["provider", "prompt", "seed", "confidence_map"])
async def test_a_text_is_a_text_however_it_was_sent(name: str) -> None:
    for filename in ("", "blob", "a.png"):
        body = part(name, "Übermäßig".encode(), filename=filename, more="Content-Type: application/octet-stream\r\n")
        assert await read(Body(body + END)) == [(name, "Übermäßig")]
    error = await refused(Body(part(name, b"\xff\xd8\xff", filename="a.jpg") + END))
    assert (error.code, error.message) == ("VALIDATION_ERROR", f"{name} must be text, not a file")
    assert error.details == {"fields": {name: "must be text, not a file"}}


async def test_a_file_in_the_place_of_a_text_is_bounded_like_a_text() -> None:
    error = await refused(Body(part("prompt", b"x" * 51, filename="a") + END), max_field_bytes=50)
    assert error.details == {"fields": {"prompt": "must have at most 50 bytes"}}


async def test_an_unknown_field_is_what_it_was_sent_as() -> None:
    body = part("a", b"1") + part("b", b"\xff", filename="b") + part("c", b"\xff")
    assert await read(Body(body + END)) == [("a", "1"), ("b", b"\xff"), ("c", "\u00ff")]


@pytest.mark.parametrize("piece", [1, 5, 10_000])
@pytest.mark.parametrize(
    "preamble",
    [
        b"\r\n",
        b"This is a message with multiple parts.\r\n",
        b"--other\r\n-- \r\n",
        f"x--{BOUNDARY}\r\n\n".encode(),
        b"x" * 9000 + b"\r\n",
        f"--{BOUNDARY[:-1]}\r\n".encode(),
    ],
)
async def test_what_comes_before_the_first_boundary_is_ignored(preamble: bytes, piece: int) -> None:
    body = preamble + part("provider", b"local") + part("image_file", b"x", filename="a") + END
    assert await read(Body(body, piece=piece)) == [("provider", "local"), ("image_file", b"x")]


async def test_a_form_without_fields_is_empty() -> None:
    assert await read(Body(END)) == []


async def test_what_follows_the_closing_boundary_is_ignored() -> None:
    assert await read(Body(part("a", b"1") + END + b"epilogue")) == [("a", "1")]


@pytest.mark.parametrize("cut", range(1, 60, 4))
async def test_a_form_without_its_end_is_refused(cut: int) -> None:
    body = part("provider", b"openai") + part("mask_file", b"12345", filename="mask.png") + END.rstrip()
    error = await refused(Body(body[:-cut]))
    assert isinstance(error, ValidationError)
    assert error.message in {"The multipart body ends before its closing boundary", "The multipart body is not valid"}


async def test_an_empty_body_is_a_form_without_its_end() -> None:
    assert (await refused(Body(b""))).message == "The multipart body ends before its closing boundary"


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all",
        b"--wrong\r\n\r\n",
        f"--{BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n".encode() + END,
        f"--{BOUNDARY}\r\n\r\nx\r\n".encode() + END,
        f"--{BOUNDARY}\r\nBad Header\r\n\r\nx\r\n".encode() + END,
        part("a", b"1", more="".join(f"X-{number}: 1\r\n" for number in range(20))) + END,
        part("a", b"1", more="X-Long: " + "x" * 9000 + "\r\n") + END,
    ],
)
async def test_what_is_no_multipart_is_refused(body: bytes) -> None:
    error = await refused(Body(body))
    assert (error.code, error.message) == ("VALIDATION_ERROR", "The multipart body is not valid")


@pytest.mark.parametrize(
    "kind", [None, "application/json", "application/x-www-form-urlencoded", "multipart/mixed", "x"]
)
async def test_another_content_type_is_refused_unread(kind: str | None) -> None:
    body = Body(b"{}")
    error = await refused(body, headers(content_type=kind))
    assert (error.code, error.message) == ("VALIDATION_ERROR", "The request body must be multipart/form-data")
    assert error.details == REQUIRED
    assert body.read == 0


@pytest.mark.parametrize("boundary", ["", ";boundary=", ";boundary=" + "x" * 71])
async def test_a_missing_or_overlong_boundary_is_refused(boundary: str) -> None:
    error = await refused(Body(END), headers(content_type="multipart/form-data" + boundary))
    assert (error.code, error.details) == ("VALIDATION_ERROR", REQUIRED)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x" * 200])
async def test_a_compressed_body_is_refused_unread(coding: str) -> None:
    body = Body(part("a", b"1") + END)
    error = await refused(body, headers(content_encoding=coding))
    assert (error.code, error.message) == ("VALIDATION_ERROR", "The request body must not be compressed")
    assert error.details == {"content_encoding": coding[:50]}
    assert body.read == 0


async def test_the_coding_identity_is_none() -> None:
    assert await read(Body(part("a", b"1") + END), headers(content_encoding=" Identity ")) == [("a", "1")]


async def test_a_declared_length_beyond_the_limit_is_refused_unread() -> None:
    body = Body(part("a", b"1") + END)
    error = await refused(body, headers(content_length="1001"), max_bytes=1000)
    assert isinstance(error, RequestTooLarge)
    assert error.details == {"max_bytes": 1000}
    assert error.message == "The request body exceeds 1000 bytes"
    assert body.read == 0


@pytest.mark.parametrize("declared", [None, "10", "nonsense"])
async def test_a_length_that_lies_is_found_out_while_reading(declared: str | None) -> None:
    body = Body(part("image_file", b"x" * 5000, filename="a") + END, piece=100)
    error = await refused(body, headers(content_length=declared), max_bytes=1000)
    assert isinstance(error, RequestTooLarge)
    assert body.read == 1100


async def test_a_body_of_just_the_limit_is_read() -> None:
    body = part("image_file", b"x" * 500, filename="a") + END
    assert len(await read(Body(body), max_bytes=len(body))) == 1
    assert isinstance(await refused(Body(body), max_bytes=len(body) - 1), RequestTooLarge)


async def test_a_text_of_just_its_limit_is_read_and_a_longer_one_named() -> None:
    assert await read(Body(part("prompt", b"x" * 50) + END), max_field_bytes=50) == [("prompt", "x" * 50)]
    error = await refused(Body(part("prompt", b"x" * 51) + END), max_field_bytes=50)
    assert (error.code, error.message) == ("VALIDATION_ERROR", "A field of text exceeds 50 bytes")
    assert error.details == {"fields": {"prompt": "must have at most 50 bytes"}}


async def test_the_longest_prompt_fits() -> None:
    prompt = "𝄞" * 32_000
    assert await read(Body(part("prompt", prompt.encode()) + END, piece=65_536)) == [("prompt", prompt)]


@pytest.mark.parametrize(("filename", "limit"), [(None, "max_fields"), ("a.png", "max_files")])
async def test_too_many_parts_are_refused(filename: str | None, limit: str) -> None:
    three = part("a", b"1", filename=filename) * 3 + END
    assert len(await read(Body(three), **{limit: 3})) == 3
    error = await refused(Body(three), **{limit: 2})
    assert (error.code, error.message) == ("VALIDATION_ERROR", "The multipart body is not valid")


async def test_a_body_that_stalls_is_given_up() -> None:
    body = part("image_file", b"x", filename="a")
    error = await refused(Body(body, end="stalls"), stall_s=0.01, total_s=30)
    assert isinstance(error, RequestTimeout)
    assert error.details == {"received_bytes": len(body), "seconds": 30, "stall_seconds": 0.01}


async def test_a_body_that_drips_is_given_up_in_the_end() -> None:
    body = Body(part("image_file", b"x", filename="a"), end="drips")
    assert isinstance(await refused(body, stall_s=30, total_s=0.05), RequestTimeout)


async def test_a_client_that_leaves_in_the_middle_is_no_error_of_ours() -> None:
    with pytest.raises(ClientDisconnect):
        await read(Body(part("a", b"1"), end="leaves"))


async def test_bodies_that_fill_the_memory_make_the_server_busy() -> None:
    error = await refused(Body(part("image_file", b"x" * 500, filename="a") + END), memory=300)
    assert isinstance(error, ServerBusy)
    assert error.retry_after == 5


def test_the_budget_is_shared_and_given_back_whole() -> None:
    budget = BodyBudget(10)
    with budget.share() as one, budget.share() as other:
        one.grow(6)
        other.grow(4)
        with pytest.raises(ServerBusy):
            other.grow(1)
        assert (one.size, other.size, budget.held) == (6, 4, 10)
    assert budget.held == 0
