"""Every way an upstream can fail, with every remote provider: one code each, no leak, and the next call is well."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

import anyio.lowlevel
import pytest

from fixtures_plugin import sketch_row
from uncrop import errors
from uncrop.model import Sides, Task, UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.maker import UNBILLED, Maker
from uncrop.providers.registry import Registry, load_rows
from uncrop.providers.transport.sender import Sender
from uncrop.testing import Emulator, Outcome, emulator_of, outcomes
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png, truncated
from uncrop.testing.workbench import KEY, make_context, make_registry, make_task

CANARY = "canary-7f3a"
MAX_ANSWER = 3_000_000
ROWS = {**load_rows(()), "sketch": sketch_row()}
# How many calls a provider sends before the one that asks for a picture; none, where it is not named.
BEFORE = {"comfyui": 1}
REMOTE = [name for name, row in ROWS.items() if not row.computes_here]


def says(status: int, body: bytes | None = None, **headers: str) -> Outcome:
    return outcomes.refuse(status, json.dumps({"error": CANARY}).encode() if body is None else body, **headers)


def raw(text: str, body: bytes = b"") -> Outcome:
    return Outcome(raw=text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)


def base64_of(data: bytes) -> bytes:
    return json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(data).decode()}]}).encode()


Invalid, Failed = errors.ProviderInvalidResponse, errors.ProviderError
Rejected, Limited = errors.ProviderRejectedRequest, errors.ProviderRateLimited
Refused, Spent = errors.ProviderAuthenticationFailed, errors.ProviderQuotaExhausted
Moderated = errors.ContentRejected

ALL: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "201": (says(201), Invalid),
    "202": (says(202), Invalid),
    "204": (raw("HTTP/1.1 204 No Content\nConnection: close"), Invalid),
    "300": (says(300), Invalid),
    "301 to this machine": (outcomes.redirect("http://127.0.0.1:9/" + CANARY, 301), Invalid),
    "302 to the metadata service": (outcomes.redirect("http://169.254.169.254/latest/meta-data/"), Invalid),
    "303": (outcomes.redirect("/elsewhere", 303), Invalid),
    "304": (says(304, b""), Invalid),
    "307 to a file": (outcomes.redirect("file:///etc/passwd", 307), Invalid),
    "308": (outcomes.redirect("/elsewhere", 308), Invalid),
    "101": (raw("HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade"), Invalid),
    "400": (says(400), Rejected),
    "401": (says(401), Refused),
    "402": (says(402), Spent),
    "403": (says(403), Refused),
    "404": (says(404), Failed),
    "405": (says(405), Failed),
    "406": (says(406), Rejected),
    "408": (says(408), errors.ProviderTimeout),
    "409": (says(409), Rejected),
    "410": (says(410), Rejected),
    "411": (says(411), Rejected),
    "413": (says(413), Rejected),
    "415": (says(415), Rejected),
    "418": (says(418), Rejected),
    "423": (says(423), Rejected),
    "425": (says(425), Rejected),
    "429": (says(429), Limited),
    "451": (says(451), Rejected),
    "499": (says(499), Rejected),
    "500": (says(500), Failed),
    "501": (says(501), Failed),
    "502 as a page": (outcomes.html(502), Failed),
    "503": (says(503, Retry_After="5"), Failed),
    "504": (says(504), Failed),
    "520": (says(520), Failed),
    "529": (says(529), Failed),
    "599": (says(599), Failed),
    "a page with 200": (outcomes.html(200), Invalid),
    "an error with 200": (says(200), Invalid),
    "nothing": (says(200, b""), Invalid),
    "JSON of another shape": (says(200, b'{"images": []}'), Invalid),
    "JSON without end": (says(200, b"[" * 100_000), Invalid),
    "a text": (says(200, CANARY.encode(), Content_Type="text/plain"), Invalid),
    "an event stream": (says(200, b"event: x\ndata: {}\n\n", Content_Type="text/event-stream"), Invalid),
    "not HTTP": (outcomes.garbage(), Invalid),
    "an odd length": (raw("HTTP/1.1 200 OK\nContent-Length: many"), Invalid),
    "a wrong length": (raw("HTTP/1.1 200 OK\nContent-Length: 99999", b"short"), Invalid),
    "broken chunks": (raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\nshort"), Invalid),
    "endless headers": (raw("HTTP/1.1 200 OK\n" + "X: y\n" * 60_000), Invalid),
    "no answer": (outcomes.hang_up_unanswered(), Invalid),
    "a reset before the answer": (outcomes.hang_up_unanswered(reset=True), Failed),
    "the end after no byte of the body": (outcomes.hang_up(), Invalid),
    "the end in the middle of the body": (outcomes.hang_up(after=20), Invalid),
    "a reset in the middle of the body": (outcomes.hang_up(after=20, reset=True), Failed),
    "too much": (outcomes.oversize(MAX_ANSWER + 1), Invalid),
    "a bomb": (says(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip"), Invalid),
    "no gzip": (says(200, CANARY.encode(), Content_Encoding="gzip"), Invalid),
    "half a picture": (outcomes.corrupt_picture(), Invalid),
    "a picture of another shape": (outcomes.wrong_size(256, 1024), Invalid),
    "somebody else's picture": (outcomes.another_picture(), Invalid),
}
# Of those whose own servers refuse like that; a server of the operator's own has no such grounds.
INSIDE: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "moderation with 200": (says(200, b'{"error": {"code": "moderation_blocked"}, "x": "canary-7f3a"}'), Moderated),
    "a quota with 200": (says(200, b'{"error": {"type": "insufficient_quota", "message": "canary-7f3a"}}'), Spent),
}
CLIPDROP: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422), errors.ContentRejected),
    "a forged end": (says(200, truncated(photo_jpeg(100, 64), 0.6, forged_end=True)), Invalid),
    "a GIF": (says(200, b"GIF89a" + bytes(100), Content_Type="image/gif"), Invalid),
    "an SVG": (says(200, b"<svg xmlns='http://www.w3.org/2000/svg'/>", Content_Type="image/svg+xml"), Invalid),
}
OPENAI: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422, b'{"detail": "canary-7f3a"}'), Rejected),
    "moderation": (
        says(400, b'{"error": {"code": "moderation_blocked", "message": "canary-7f3a"}}'),
        errors.ContentRejected,
    ),
    "the safety system": (
        says(400, b'{"error": {"message": "Your request was rejected by the safety system. canary-7f3a"}}'),
        errors.ContentRejected,
    ),
    "the hard limit": (says(400, b'{"error": {"message": "Billing hard limit has been reached. canary-7f3a"}}'), Spent),
    "the quota": (says(429, b'{"error": {"code": "insufficient_quota", "message": "canary-7f3a"}}'), Spent),
    "the model": (says(404, b'{"error": {"code": "model_not_found", "message": "canary-7f3a"}}'), Failed),
    "no pictures": (says(200, b'{"created": 1, "data": []}'), Invalid),
    "an address": (says(200, b'{"data": [{"url": "http://127.0.0.1:9/canary-7f3a.png"}]}'), Invalid),
    "no base64": (says(200, b'{"data": [{"b64_json": "canary-7f3a!"}]}'), Invalid),
    "base64 of junk": (says(200, base64_of(CANARY.encode())), Invalid),
    "half a picture in base64": (says(200, base64_of(truncated(photo_png(100, 100)))), Invalid),
    "a picture, not JSON": (says(200, photo_png(100, 100), Content_Type="image/png"), Invalid),
}
SKETCH: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422), Rejected),
    "no address to poll": (says(200, b'{"id": "1"}'), Invalid),
    "half a JSON": (says(200, b'{"id": "1", "polling_url": "canary-7f3a'), Invalid),
}
STABILITY: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "content": (says(403, b'{"name": "content_moderation", "errors": ["canary-7f3a"]}'), errors.ContentRejected),
    "a public figure": (says(422, b'{"name": "public_figure", "errors": ["canary-7f3a"]}'), errors.ContentRejected),
    "the language": (says(422, b'{"name": "invalid_language", "errors": ["canary-7f3a"]}'), Rejected),
    "a filtered picture": (says(200, photo_png(100, 64), finish_reason="CONTENT_FILTERED"), errors.ContentRejected),
    "a picture without a reason": (says(200, photo_png(100, 64)), Invalid),
    "a forged end": (
        says(200, truncated(photo_png(100, 64), 0.6, forged_end=True), finish_reason="SUCCESS"),
        Invalid,
    ),
}
BFL: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422, b'{"detail": [{"loc": ["body"], "msg": "canary-7f3a", "type": "missing"}]}'), Rejected),
    "the credits": (says(400, b'{"error": "insufficient_credits", "message": "canary-7f3a"}'), Spent),
    "the key": (says(400, b'{"error": "invalid_api_key", "message": "canary-7f3a"}'), Refused),
    "no address to poll": (says(200, b'{"id": "1"}'), Invalid),
    "a webhook's answer": (says(200, b'{"id": "1", "status": "Pending", "webhook_url": "canary-7f3a"}'), Invalid),
}
BRIA: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422, b'{"error": {"code": 422, "message": "canary-7f3a"}, "request_id": "1"}'), Rejected),
    "460": (says(460, b'{"error": {"code": 460, "message": "canary-7f3a"}, "request_id": "1"}'), Rejected),
    "506": (says(506, b'{"error": {"code": 506, "message": "canary-7f3a"}, "request_id": "1"}'), Failed),
    "moderation": (
        says(422, b'{"error": {"message": "Failed content moderation canary-7f3a"}}'),
        errors.ContentRejected,
    ),
    "moderation in detail": (says(422, b'{"detail": "Content moderated canary-7f3a"}'), errors.ContentRejected),
    "a picture at once": (says(200, b'{"result": {"image_url": "canary-7f3a"}, "request_id": "1"}'), Invalid),
    "no address to poll": (says(202, b'{"request_id": "1"}'), Invalid),
}
SDAPI: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422, b'{"detail": [{"loc": ["body", "steps"], "msg": "canary-7f3a"}]}'), Failed),
    "the memory": (says(500, b'{"error": "OutOfMemoryError", "errors": "canary-7f3a"}'), Failed),
    "no numbers": (says(500, b'{"error": "NansException", "errors": "canary-7f3a"}'), Failed),
    "words of its own": (says(500, b"Internal Server Error", Content_Type="text/plain"), Failed),
    "the sampler": (says(400, b'{"detail": "Sampler not found"}'), Failed),
    "the API is off": (says(404, b'{"detail": "Not Found"}'), Failed),
    "a page with 404": (outcomes.html(404), Failed),
    "no pictures": (says(200, b'{"images": [], "info": "canary-7f3a"}'), Invalid),
    "an address": (says(200, b'{"images": ["http://127.0.0.1:9/canary-7f3a.png"]}'), Invalid),
    "base64 of junk": (says(200, b'{"images": ["Y2FuYXJ5LTdmM2E="]}'), Invalid),
}
COMFYUI: dict[str, tuple[Outcome, type[errors.UncropError]]] = {
    "422": (says(422), Rejected),
    "the graph": (
        says(400, b'{"error": {"type": "prompt_outputs_failed_validation", "message": "canary-7f3a"}}'),
        errors.ProviderNotConfigured,
    ),
    "an error of another type": (says(400, b'{"error": {"type": "canary-7f3a"}}'), Rejected),
    "a page with 400": (outcomes.html(400), Invalid),
    "a page with 401": (outcomes.html(401), Refused),
    "no id": (says(200, b'{"number": 1, "node_errors": {}}'), Invalid),
    "an id that is none": (says(200, b'{"prompt_id": "../canary-7f3a", "number": 1, "node_errors": {}}'), Invalid),
}
MATRIX = [
    *((provider, fault, *ALL[fault]) for provider in REMOTE for fault in ALL),
    *((provider, fault, *INSIDE[fault]) for provider, row in load_rows(()).items() if row.bills for fault in INSIDE),
    *(("clipdrop", fault, *case) for fault, case in CLIPDROP.items()),
    *(("openai", fault, *case) for fault, case in OPENAI.items()),
    *(("sketch", fault, *case) for fault, case in SKETCH.items()),
    *(("stability", fault, *case) for fault, case in STABILITY.items()),
    *(("bfl", fault, *case) for fault, case in BFL.items()),
    *(("bria", fault, *case) for fault, case in BRIA.items()),
    *(("sdapi", fault, *case) for fault, case in SDAPI.items()),
    *(("comfyui", fault, *case) for fault, case in COMFYUI.items()),
]


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Emulator]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(emulator_of(ROWS[name])()) for name in REMOTE}


@pytest.fixture
async def registry(emulators: dict[str, Emulator]) -> AsyncIterator[Registry]:
    async with Sender(max_answer_bytes=MAX_ANSWER, backoff_s=0, sleep=do_not_wait) as send:
        yield registry_over(send, emulators)


class Reachable(Protocol):
    """What has an address: an emulator, or what stands before one."""

    @property
    def url(self) -> str: ...


def registry_over(send: Sender, emulators: Mapping[str, Reachable] | None = None, timeout_s: float = 60) -> Registry:
    """Return all providers at their emulators, or at closed ports."""
    context = replace(make_context(send=send, timeout_s=timeout_s), sleep=do_not_wait)
    urls = {name: emulator.url for name, emulator in (emulators or {}).items()}
    return make_registry(context, rows=ROWS, urls=urls)


async def do_not_wait(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


def task_for(name: str, registry: Registry) -> Task:
    return task_for_maker(registry.get(name))


def task_for_maker(maker: Maker) -> Task:
    facts = maker.facts
    mask = mask_png(96, 64) if facts.takes("mask_file") else None
    sides = Sides() if mask else Sides(left=4)
    return make_task(UncropRequest(provider=facts.name, image=photo_jpeg(96, 64), mask=mask, sides=sides), facts)


def submits(emulator: Emulator) -> int:
    """Return how many calls came that ask for a picture."""
    return len(emulator.submits)


def from_submit(name: str, *script: Outcome) -> list[Outcome]:
    """Return a script that begins with the submit: what a provider calls before it is answered truly."""
    return [outcomes.as_real()] * BEFORE.get(name, 0) + list(script)


def check(error: errors.UncropError, name: str, kind: type[errors.UncropError], *secrets: str) -> None:
    """Check that an error is what it must be, and tells nothing of the provider's."""
    assert type(error) is kind
    assert error.message == kind.default_message
    assert error.details is not None
    assert error.details["provider"] == name
    assert set(error.details) <= {"provider", "provider_status", "provider_code"}
    told = f"{error.message} {error.system_message} {error.details}"
    for secret in (CANARY, KEY, "127.0.0.1", "httpx", *secrets):
        assert secret not in told


@pytest.mark.parametrize(("name", "fault", "outcome", "kind"), MATRIX, ids=[f"{row[0]}: {row[1]}" for row in MATRIX])
async def test_each_fault_is_one_error_and_the_next_call_is_well(
    name: str,
    fault: str,
    outcome: Outcome,
    kind: type[errors.UncropError],
    emulators: dict[str, Emulator],
    registry: Registry,
) -> None:
    provider, emulator, task = registry.get(name), emulators[name], task_for(name, registry)
    before, commitment = submits(emulator), Commitment()
    emulator.script(*from_submit(name, outcome))
    with pytest.raises(errors.UncropError) as failed:
        await provider.fill(task, commitment)
    check(failed.value, name, kind, emulator.origin)
    assert submits(emulator) == before + 1  # never sent again
    assert commitment.billed_calls == int(provider.facts.bills and outcome.status not in UNBILLED)
    assert (await provider.fill(task, Commitment())).pixels.size


@pytest.mark.parametrize("name", REMOTE)
async def test_a_providers_retry_after_is_passed_on(
    name: str, emulators: dict[str, Emulator], registry: Registry
) -> None:
    emulators[name].script(*from_submit(name, says(429, Retry_After="7")))
    with pytest.raises(Limited) as failed:
        await registry.get(name).fill(task_for(name, registry), Commitment())
    assert failed.value.retry_after == 7


@pytest.mark.parametrize("name", REMOTE)
# A byte every half second: a short answer, too, takes longer than any deadline that counts.
@pytest.mark.parametrize("outcome", [lambda: outcomes.hold(threading.Event()), lambda: outcomes.drip(0.5)])
async def test_an_answer_beyond_the_deadline_is_a_timeout(
    name: str, outcome: Callable[[], Outcome], emulators: dict[str, Emulator]
) -> None:
    emulator = emulators[name]

    def script() -> None:
        emulator.calls.clear()
        emulator.script(*from_submit(name, outcome()))

    async with Sender() as send:
        error = await runs_out_of_time(
            lambda timeout_s: registry_over(send, emulators, timeout_s=timeout_s).get(name), script, emulator
        )
    assert error.details == {"provider": name}
    assert submits(emulator) == 1


# Deadlines: the first that this machine is quick enough for counts.
DEADLINES_S = (0.5, 2, 8, 32)


async def runs_out_of_time(
    maker_of: Callable[[float], Maker], script: Callable[[], None], *emulators: Emulator
) -> errors.ProviderTimeout:
    """Let a picture run out of time once the whole script has been played."""
    for timeout_s in DEADLINES_S:
        for emulator in emulators:
            emulator._script.clear()
        script()
        maker = maker_of(timeout_s)
        with pytest.raises(errors.ProviderTimeout) as failed:
            await maker.fill(task_for_maker(maker), Commitment())
        if not any(emulator._script for emulator in emulators):
            return failed.value
    pytest.fail("the machine is too slow")


@pytest.mark.parametrize("name", REMOTE)
async def test_a_provider_that_cannot_be_reached(name: str) -> None:
    commitment = Commitment()
    async with Sender(backoff_s=0) as send:
        registry = registry_over(send)
        with pytest.raises(Failed) as failed:
            await registry.get(name).fill(task_for(name, registry), commitment)
    assert failed.value.details == {"provider": name}
    assert failed.value.system_message == "No connection to the provider came about"
    assert commitment.sent is False
