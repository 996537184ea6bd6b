"""Both clients, the blocking and the asynchronous one: the same calls, answers, errors and repeats."""

from __future__ import annotations

import asyncio
import io
from base64 import b64encode
from collections.abc import Awaitable, Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from uncrop.client import (
    ApiError,
    AsyncClient,
    AuthenticationFailed,
    Busy,
    Client,
    ExtendedPicture,
    Failure,
    InvalidRequest,
    NoAnswer,
    ProviderFailed,
    RateLimited,
    Retries,
)
from uncrop.model import Sides

ACCESS = {"base_url": "http://server", "api_key": "k", "organization_id": "org_a"}
Answers = list[httpx2.Response | Exception]


class Server:
    """Answers in turn, and notes what it was asked; the last answer stays."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers: Answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A client closes what it gets.
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)

    @property
    def body(self) -> str:
        return self.requests[-1].content.decode()


class Waits(list[float]):
    """Notes the waits and does not wait."""

    def block(self, seconds: float) -> None:
        self.append(seconds)

    async def pause(self, seconds: float) -> None:
        self.append(seconds)


class Caller:
    """One of the two clients, called as if it were the blocking one."""

    def __init__(self, *, blocks: bool) -> None:
        self.blocks = blocks
        self.waits = Waits()

    def call(self, server: Server, name: str, *arguments: Any, retries: Retries | None = None, **options: Any) -> Any:
        transport = httpx2.MockTransport(server)
        if self.blocks:
            with Client(**ACCESS, transport=transport, sleep=self.waits.block, retries=retries) as client:
                return attrgetter(name)(client)(*arguments, **options)

        async def run() -> Any:
            async with AsyncClient(**ACCESS, transport=transport, sleep=self.waits.pause, retries=retries) as client:
                method: Callable[..., Awaitable[Any]] = attrgetter(name)(client)
                return await method(*arguments, **options)

        return asyncio.run(run())


@pytest.fixture(params=[True, False], ids=["blocking", "asynchronous"])
def caller(request: pytest.FixtureRequest) -> Caller:
    return Caller(blocks=request.param)


def refusal(status: int, code: str, *, retry_after: str | None = None, **details: Any) -> httpx2.Response:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    body = {"error": {"code": code, "message": "No", "details": details, "trace_id": "t"}}
    return httpx2.Response(status, headers=headers, json=body)


PICTURE = httpx2.Response(200, headers={"content-type": "image/png", "x-provider": "local"}, content=b"picture")


# --- what is sent, and what comes ------------------------------------------------------------------------------------


def test_every_fact_about_a_picture_is_typed(caller: Caller) -> None:
    headers = {
        "content-type": "image/png",
        "x-provider": "mine",
        "x-provider-request-id": "req_1",
        "x-request-id": "r",
        "x-seed": "7",
        "x-confidence": "0.5",
        "x-provider-credits-consumed": "1.5",
        "x-advice": "left=8, right=0, up=3, down=0",
        "x-canvas": "80x48+16+0",
        "x-original": "exact",
        "x-repaint-difference": "2.25",
        "x-detail": "redrawn; factor=3.1",
        "x-warnings": r'"a \"quoted\" one", "back\\slash"',
    }
    picture = caller.call(Server(httpx2.Response(200, headers=headers, content=b"picture")), "extend", b"p", left=8)
    assert picture == ExtendedPicture(
        image=b"picture",
        media_type="image/png",
        provider="mine",
        provider_request_id="req_1",
        request_id="r",
        seed=7,
        confidence=0.5,
        credits_consumed="1.5",
        advice=Sides(left=8, up=3),
        canvas="80x48+16+0",
        original="exact",
        repaint_difference=2.25,
        detail="redrawn; factor=3.1",
        warnings=('a "quoted" one', r"back\slash"),
    )


def test_a_picture_can_be_saved(caller: Caller, tmp_path: Path) -> None:
    caller.call(Server(PICTURE), "extend", b"photo", left=8).save(tmp_path / "wide.png")
    assert (tmp_path / "wide.png").read_bytes() == b"picture"


@pytest.mark.parametrize("kind", ["bytes", "text", "path", "file"])
def test_a_file_may_be_given_in_any_way(caller: Caller, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo"
    path.write_bytes(b"the photo")
    given: Any = {"bytes": b"the photo", "text": str(path), "path": path, "file": io.BytesIO(b"the photo")}[kind]
    server = Server(PICTURE)
    caller.call(server, "extend", given, left=8)
    assert "the photo" in server.body


def test_several_pictures_come_with_what_was_not_made(caller: Caller) -> None:
    image = {
        "media_type": "image/jpeg",
        "width": 80,
        "height": 48,
        "provider": "mine",
        "provider_request_id": "req_1",
        "provider_calls": 2,
        "seed": 6,
        "confidence": 0.25,
        "advice": {"left": 1, "right": 2, "up": 3, "down": 4},
        "warnings": ["odd"],
        "canvas": "80x48+16+0",
        "original": "recompressed",
        "repaint_difference": 1.5,
        "detail": "off; factor=2.0",
        "stages": [],
        "credits_consumed": "1",
        "tried": [],
        "base64": b64encode(b"picture").decode(),
    }
    with_map = {**image, "advice": None, "confidence_map": {"base64": b64encode(b"map").decode()}}
    failure = {"code": "PROVIDER_ERROR", "message": "No", "status": 502, "details": {"provider": "mine"}}
    answer = {"success": True, "complete": False, "images": [image, with_map], "failures": [failure]}
    server = Server(httpx2.Response(200, headers={"x-request-id": "r"}, json=answer))
    made = caller.call(server, "variations", b"photo", 3, left=16, provider="mine", seed=6)
    assert 'name="variations"\r\n\r\n3\r\n' in server.body
    first, second = made.pictures
    assert first == ExtendedPicture(
        image=b"picture",
        media_type="image/jpeg",
        provider="mine",
        provider_request_id="req_1",
        request_id="r",
        provider_calls=2,
        seed=6,
        confidence=0.25,
        credits_consumed="1",
        advice=Sides(left=1, right=2, up=3, down=4),
        canvas="80x48+16+0",
        original="recompressed",
        repaint_difference=1.5,
        detail="off; factor=2.0",
        warnings=("odd",),
    )
    assert (second.advice, second.confidence_map) == (None, b"map")
    assert made.failures == (Failure(code="PROVIDER_ERROR", message="No", status=502, details={"provider": "mine"}),)


@pytest.mark.parametrize("number", [1, 5])
def test_several_are_two_to_four(caller: Caller, number: int) -> None:
    server = Server(PICTURE)
    with pytest.raises(ValueError, match="number must be between 2 and 4"):
        caller.call(server, "variations", b"photo", number, left=8)
    assert server.requests == []


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"{}", b'{"images": [{}], "failures": []}'])
def test_pictures_that_are_none_are_an_error(caller: Caller, body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        caller.call(Server(httpx2.Response(200, content=body)), "variations", b"photo", 2, left=8)
    assert caught.value.code == "UNEXPECTED_ANSWER"


def test_quotes_are_asked_by_size_or_by_photo(caller: Caller) -> None:
    quotes = [{"provider": "one"}, {"provider": "two"}]
    server = Server(httpx2.Response(200, json=quotes))
    assert caller.call(server, "quote", (1200, 800), aspect_ratio="16:9") == quotes
    assert server.requests[0].url.path == "/api/v1/images/uncrop/quote"
    for part in ('name="image_width"\r\n\r\n1200\r\n', 'name="aspect_ratio"\r\n\r\n16:9\r\n', "all"):
        assert part in server.body
    assert "image_file" not in server.body
    server = Server(httpx2.Response(200, json=quotes[0]))
    assert caller.call(server, "quote", b"the photo", provider="one", left=8) == quotes[:1]
    assert "the photo" in server.body


def test_providers_are_listed(caller: Caller) -> None:
    server = Server(httpx2.Response(200, json={"providers": [{"name": "local"}]}))
    assert caller.call(server, "providers") == [{"name": "local"}]
    assert (server.requests[0].method, server.requests[0].url.path) == ("GET", "/api/v1/providers")


def test_what_is_no_json_where_json_is_due_is_an_error(caller: Caller) -> None:
    with pytest.raises(ApiError) as caught:
        caller.call(Server(httpx2.Response(200, content=b"<html>")), "providers")
    assert caught.value.code == "UNEXPECTED_ANSWER"


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "INVALID_API_KEY", AuthenticationFailed),
        (403, "ORGANIZATION_ACCESS_DENIED", AuthenticationFailed),
        (422, "INVALID_FIELD_VALUE", InvalidRequest),
        (413, "REQUEST_TOO_LARGE", InvalidRequest),
        (429, "USAGE_LIMIT_EXCEEDED", RateLimited),
        (429, "PROVIDER_RATE_LIMITED", RateLimited),
        (502, "PROVIDER_ERROR", ProviderFailed),
        (503, "PROVIDER_NOT_CONFIGURED", ProviderFailed),
        (504, "PROVIDER_TIMEOUT", ProviderFailed),
        (503, "SERVER_BUSY", Busy),
        (500, "INTERNAL_ERROR", ApiError),
    ],
)
def test_each_family_has_a_class(caller: Caller, status: int, code: str, kind: type[ApiError]) -> None:
    with pytest.raises(ApiError) as caught:
        caller.call(Server(refusal(status, code)), "extend", b"photo", left=8)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.code, caught.value.trace_id) == (status, code, "t")


def test_a_call_without_a_key_that_broke_off_is_not_sent_again(caller: Caller) -> None:
    server = Server(httpx2.ReadTimeout("late"))
    with pytest.raises(NoAnswer) as caught:
        caller.call(server, "quote", (100, 100), left=8)
    assert (caught.value.started, caught.value.status, caught.value.code) == (True, 0, "NO_ANSWER")
    assert (len(server.requests), caller.waits) == (1, [])


# --- repeats ---------------------------------------------------------------------------------------------------------


def test_a_call_that_never_began_is_sent_again(caller: Caller) -> None:
    server = Server(httpx2.ConnectError("no"), httpx2.ConnectTimeout("no"), PICTURE)
    assert caller.call(server, "extend", b"photo", left=8).image == b"picture"
    assert caller.waits == [0.5, 1.0]


def test_it_is_given_up_after_four(caller: Caller) -> None:
    server = Server(httpx2.ConnectError("no"))
    with pytest.raises(NoAnswer) as caught:
        caller.call(server, "extend", b"photo", left=8)
    assert caught.value.started is False
    assert (len(server.requests), caller.waits) == (4, [0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("status", "code"), [(429, "RATE_LIMIT_EXCEEDED"), (503, "SERVER_BUSY"), (503, "PROVIDER_UNAVAILABLE")]
)
def test_who_is_told_when_to_come_back_comes_then(caller: Caller, status: int, code: str) -> None:
    server = Server(refusal(status, code, retry_after="7"), PICTURE)
    assert caller.call(server, "extend", b"photo", left=8).image == b"picture"
    assert caller.waits == [7.0]
    assert server.requests[0].content.partition(b"\r\n")[2] != b""
    assert "photo" in server.body


@pytest.mark.parametrize(
    "answer",
    [
        refusal(503, "PROVIDER_QUOTA_EXHAUSTED"),
        refusal(502, "PROVIDER_ERROR", retry_after="1"),
        refusal(429, "PROVIDER_RATE_LIMITED", retry_after="1", calls_billed=1),
        refusal(429, "RATE_LIMIT_EXCEEDED", retry_after="61"),
        refusal(422, "INVALID_FIELD_VALUE"),
    ],
    ids=["no time is told", "another status", "something was billed", "too long", "the caller's fault"],
)
def test_what_would_cost_or_not_help_is_not_sent_again(caller: Caller, answer: httpx2.Response) -> None:
    server = Server(answer)
    with pytest.raises(ApiError):
        caller.call(server, "extend", b"photo", left=8)
    assert (len(server.requests), caller.waits) == (1, [])


def test_all_waits_together_are_bounded(caller: Caller) -> None:
    server = Server(refusal(503, "SERVER_BUSY", retry_after="5"))
    with pytest.raises(Busy):
        caller.call(server, "extend", b"photo", left=8, retries=Retries(attempts=9, within_s=12))
    assert caller.waits == [5.0, 5.0]


# --- keys ------------------------------------------------------------------------------------------------------------

KNOWS = httpx2.Response(200, json={"paths": {"/x": {"post": {"parameters": [{"name": "Idempotency-Key"}]}}}})
BROKEN = httpx2.ReadError("broken off")
GATEWAY = httpx2.Response(504, content=b"<html>")
RUNNING = refusal(409, "IDEMPOTENCY_IN_PROGRESS", retry_after="3")


def keys_of(server: Server) -> list[str | None]:
    return [request.headers.get("idempotency-key") for request in server.requests if request.method == "POST"]


def test_every_call_for_a_picture_has_a_key_of_its_own(caller: Caller) -> None:
    server = Server(PICTURE)
    for _ in range(2):
        caller.call(server, "extend", b"photo", left=8)
    server.answers = [httpx2.Response(200, json={"images": [], "failures": []})]
    caller.call(server, "variations", b"photo", 2, left=8)
    keys = keys_of(server)
    assert len({*keys}) == 3
    assert all(key is not None and len(key) == 36 for key in keys)


def test_other_calls_have_none(caller: Caller) -> None:
    server = Server(httpx2.Response(200, json={"providers": []}))
    caller.call(server, "providers")
    server.answers = [httpx2.Response(200, json=[])]
    caller.call(server, "quote", (100, 100), left=8)
    assert [request.headers.get("idempotency-key") for request in server.requests] == [None, None]


def test_a_key_may_be_given(caller: Caller) -> None:
    server = Server(PICTURE)
    caller.call(server, "extend", b"photo", left=8, idempotency_key="order-17")
    assert keys_of(server) == ["order-17"]


@pytest.mark.parametrize("failure", [BROKEN, httpx2.ReadTimeout("late"), GATEWAY], ids=["broken", "late", "a proxy"])
def test_what_may_have_begun_is_sent_again_with_its_key(caller: Caller, failure: httpx2.Response | Exception) -> None:
    server = Server(failure, KNOWS, PICTURE)
    assert caller.call(server, "extend", b"photo", left=8).image == b"picture"
    assert [request.url.path for request in server.requests] == [
        "/api/v1/images/uncrop",
        "/openapi.json",
        "/api/v1/images/uncrop",
    ]
    assert len({*keys_of(server)}) == 1
    assert caller.waits == [0.5]


def test_a_server_is_asked_once_whether_it_knows_keys(caller: Caller) -> None:
    server = Server(BROKEN, KNOWS, BROKEN, PICTURE)
    assert caller.call(server, "extend", b"photo", left=8).image == b"picture"
    assert sum(request.url.path == "/openapi.json" for request in server.requests) == 1
    assert caller.waits == [0.5, 1.0]


@pytest.mark.parametrize(
    "document", [httpx2.Response(200, json={"paths": {}}), httpx2.Response(404)], ids=["no keys", "no description"]
)
def test_a_server_that_knows_no_keys_does_not_get_it_again(caller: Caller, document: httpx2.Response) -> None:
    server = Server(BROKEN, document, PICTURE)
    with pytest.raises(NoAnswer) as caught:
        caller.call(server, "extend", b"photo", left=8)
    assert caught.value.started
    assert len(keys_of(server)) == 1


def test_a_server_that_starts_anew_is_waited_for(caller: Caller) -> None:
    server = Server(BROKEN, httpx2.ConnectError("no"), GATEWAY, KNOWS, PICTURE)
    assert caller.call(server, "extend", b"photo", left=8).image == b"picture"
    assert caller.waits == [0.5, 1.0, 2.0]


def test_what_is_still_being_made_is_waited_for(caller: Caller) -> None:
    server = Server(BROKEN, KNOWS, *[RUNNING] * 20, PICTURE)
    assert caller.call(server, "extend", b"photo", left=8).image == b"picture"
    assert caller.waits == [0.5, *[3.0] * 20]


def test_it_is_not_waited_for_without_end(caller: Caller) -> None:
    with pytest.raises(Busy):
        caller.call(Server(RUNNING), "extend", b"photo", left=8, retries=Retries(finishing_s=8))
    assert caller.waits == [3.0, 3.0]


def test_who_wants_no_repeats_gets_none(caller: Caller) -> None:
    for answer in (RUNNING, BROKEN, GATEWAY):
        server = Server(answer)
        with pytest.raises(ApiError):
            caller.call(server, "extend", b"photo", left=8, retries=Retries(attempts=1))
        assert len(server.requests) == 1


def test_an_outcome_that_is_not_known_is_told(caller: Caller) -> None:
    server = Server(BROKEN, KNOWS, refusal(409, "IDEMPOTENCY_OUTCOME_UNKNOWN"))
    with pytest.raises(InvalidRequest) as caught:
        caller.call(server, "extend", b"photo", left=8)
    assert caught.value.code == "IDEMPOTENCY_OUTCOME_UNKNOWN"


# --- access ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)  # where no .env lies
    for name in ("UNCROP_URL", "UNCROP_KEY", "UNCROP_ORGANIZATION"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_environment_fills_in_what_is_not_passed(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("UNCROP_URL", "http://environment")
    variables.setenv("UNCROP_KEY", "from-environment")
    server = Server(PICTURE)
    with Client(organization_id="org_passed", transport=httpx2.MockTransport(server)) as client:
        client.extend(b"photo", left=8)
    assert server.requests[0].url.host == "environment"
    assert server.requests[0].headers["x-api-key"] == "from-environment"
    assert "org_passed" in server.body


def test_what_is_neither_passed_nor_set_is_named(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("UNCROP_URL", "http://server")
    with pytest.raises(
        ValueError, match=r"^UNCROP_KEY and UNCROP_ORGANIZATION must be set, or be passed as arguments$"
    ):
        Client()
    with pytest.raises(ValueError, match=r"^UNCROP_KEY must be set"):
        AsyncClient(organization_id="org_a")


def test_a_key_is_not_shown_by_accident() -> None:
    client = Client("http://server", api_key="secret", organization_id="org_a")
    assert "secret" not in repr(client._access)
    client.close()


async def test_an_asynchronous_client_can_be_closed_by_hand() -> None:
    client = AsyncClient(**ACCESS)
    await client.close()
