"""The routes and the middleware around them, over real HTTP, with a service of fakes."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_http import Form, Refusal, ask, check, clipdrop_form, send
from fixtures_server import (
    KEY,
    ORGANIZATION,
    PATH,
    STARTED_WITHIN_S,
    FakeRunner,
    FakeStore,
    FakeUncropper,
    Running,
    already_open,
    fake_service,
    picture,
    running,
    wait_until,
)
from uncrop import engine
from uncrop.capacity.bodies import BodyBudget
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.errors import InternalError, ProviderError, UncropError
from uncrop.model import PictureFacts, TokenUsage
from uncrop.server.app import create_app
from uncrop.server.cors import CrossOrigin
from uncrop.server.metrics import Metrics
from uncrop.server.middleware import SAFE_HEADERS, ExchangeMiddleware
from uncrop.server.openapi import ADDRESS, UNCROP_PATHS
from uncrop.server.pages import page_files

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.providers.commitment import Commitment
    from uncrop.service.service import Service

NO_OTHERS = CrossOrigin((), ())
FORM = clipdrop_form(b"photo").but(prompt="CANARY prompt")


def events(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [
        json.loads(record.getMessage())
        for record in caplog.records
        if record.name in {"uncrop.server", "uncrop.service"}
    ]


# --- one handler, two addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", UNCROP_PATHS)
def test_both_addresses_are_one_route(fake_server: Running, path: str) -> None:
    response = httpx2.post(
        fake_server.url + path,
        headers={"X-API-Key": KEY},
        data=dict(FORM.fields),
        files={"image_file": b"photo"},
    )
    assert (response.status_code, response.content) == (200, picture().image)


@pytest.mark.parametrize(
    "header", ["X-API-Key: {}", "x-api-key: {}", "api-key: {}", "Authorization: Bearer {}", "authorization: BEARER {}"]
)
def test_every_kind_of_credentials_opens_it(fake_server: Running, header: str) -> None:
    name, value = header.format(KEY).split(": ")
    assert ask(fake_server.url, FORM, key=None, headers={name: value}).status_code == 200


def test_every_answer_has_the_safe_headers_and_no_software_name(fake_server: Running) -> None:
    for response in (
        ask(fake_server.url, FORM, key=KEY),
        ask(fake_server.url, FORM, key=None),
        httpx2.get(fake_server.url + "/livez"),
        httpx2.get(fake_server.url + "/nope"),
        httpx2.get(fake_server.url + "/openapi.json"),
    ):
        assert {name: response.headers[name] for name in SAFE_HEADERS} == SAFE_HEADERS
        assert "server" not in response.headers
        assert "content-disposition" not in response.headers
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [("abc-1.2:3~_", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("é", False), ("", False)],
)
def test_a_sane_request_id_is_echoed_and_any_other_replaced(fake_server: Running, sent: str, echoed: bool) -> None:
    headers: Any = {"X-Request-Id": sent.encode()}
    response = httpx2.get(fake_server.url + "/nope", headers=headers)
    answered = response.headers["x-request-id"]
    trace_id = response.json()["error"]["trace_id"]
    assert answered == (sent if echoed else trace_id)
    assert str(uuid.UUID(trace_id)) == trace_id


# --- the log line and the figures ------------------------------------------------------------------------------------


def test_a_request_is_one_line_with_what_was_done_and_no_secret(
    fake_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    facts = PictureFacts(
        provider="clipdrop",
        request_id="req_abc123",
        model="m",
        credits_consumed=Decimal(1),
        usage=TokenUsage(total_tokens=7),
    )

    async def made(*_: object) -> Any:
        return picture(facts=facts, warnings=("a warning",), repaint_difference=2.345)

    uncropper: Any = fake_server.service.uncropper
    uncropper.action = made
    with caplog.at_level("INFO", "uncrop.server"):
        response = ask(fake_server.url, FORM, key=KEY, headers={"X-Request-Id": "mine"})
        wait_until(lambda: bool(events(caplog)))
    (line,) = events(caplog)
    assert line.pop("milliseconds") >= 0
    assert uuid.UUID(line.pop("trace_id"))
    assert line.pop("stages").keys() == {"intake"}
    assert line.pop("bytes_in") == int(response.request.headers["content-length"])
    assert line == {
        "event": "request",
        "request_id": "mine",
        "method": "POST",
        "route": PATH,
        "status": 200,
        "outcome": "OK",
        "bytes_out": len(picture().image),
        "organization": ORGANIZATION,
        "key": "key_1",
        "provider": "clipdrop",
        "size": f"{picture().width}x{picture().height}",
        "provider_request_id": "req_abc123",
        "model": "m",
        "credits": "1",
        "tokens": 7,
        "warnings": ["a warning"],
        "repaint_difference": 2.35,
    }
    assert KEY not in caplog.text
    assert "CANARY" not in caplog.text


def test_what_is_asked_all_the_time_is_noise_that_only_a_debugging_log_has(
    fake_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "uncrop.server"):
        httpx2.get(fake_server.url + "/livez")
        httpx2.get(fake_server.url + "/readyz")
        httpx2.get(fake_server.url + "/api/v1/requests/mine", headers={"X-API-Key": KEY})
        httpx2.get(fake_server.url + "/nothing")
        wait_until(lambda: "unmatched" in {line["route"] for line in events(caplog)})
    assert [line["route"] for line in events(caplog) if line["status"] < 500] == ["unmatched"]
    caplog.clear()
    with caplog.at_level("DEBUG", "uncrop.server"):
        httpx2.get(fake_server.url + "/livez")
        wait_until(lambda: bool(events(caplog)))
    assert [(line["route"], line["status"]) for line in events(caplog)] == [("/livez", 200)]


def test_metrics_count_by_known_labels_only(fake_server: Running) -> None:
    ask(fake_server.url, FORM, key=KEY)
    ask(fake_server.url, FORM.but(provider="made-up-by-a-client"), key=KEY)
    ask(fake_server.url, FORM, key="wrong")
    httpx2.request("BREW", fake_server.url + "/a/b/c")
    httpx2.request("PROPFIND", fake_server.url + "/a/b/c")
    text = httpx2.get(fake_server.url + "/metrics").text
    for line in (
        'uncrop_requests_total{method="POST",outcome="OK",route="/api/v1/images/uncrop",status="200"} 2.0',
        'uncrop_requests_total{method="POST",outcome="INVALID_API_KEY",route="/api/v1/images/uncrop",status="401"} 1.0',
        'uncrop_requests_total{method="OTHER",outcome="NOT_FOUND",route="unmatched",status="404"} 1.0',
        'uncrop_provider_outcomes_total{outcome="OK",provider="clipdrop"} 1.0',
        'uncrop_provider_outcomes_total{outcome="OK",provider="unknown"} 1.0',
        'uncrop_stage_seconds_count{provider="clipdrop",stage="intake"} 1.0',
        'uncrop_stage_seconds_count{provider="unknown",stage="intake"} 1.0',
        'uncrop_slots{state="running"} 0.0',
        'uncrop_slots{state="waiting"} 0.0',
        'uncrop_breaker_state{provider="clipdrop"} 2.0',
        'uncrop_breaker_state{provider="openai"} 0.0',
    ):
        assert line in text.splitlines()
    assert "made-up" not in text
    assert "process_resident_memory_bytes" in text


# --- operation -------------------------------------------------------------------------------------------------------


def test_livez_answers(fake_server: Running) -> None:
    response = httpx2.get(fake_server.url + "/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_readyz_when_all_is_well(fake_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)
    response = httpx2.get(fake_server.url + "/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": {"database": True, "engine": True, "decoders": True}}
    # Once compiled it stays so, and the engine's sources are not read again at every question.
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: False)
    assert httpx2.get(fake_server.url + "/readyz").status_code == 200


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("failure", [None, InternalError(system_message="no such table")])
def test_readyz_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool, failure: Exception | None
) -> None:
    if compiled and failure is None:
        failure = InternalError()
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: compiled)
    service = fake_service(tmp_path, store=FakeStore(failure=failure))
    with running(already_open(service)) as server:
        check(
            httpx2.get(server.url + "/readyz"),
            Refusal(
                status=503,
                code="NOT_READY",
                message="The server is not ready",
                details={"checks": {"database": failure is None, "engine": compiled, "decoders": True}},
                type="server_error",
            ),
        )


def test_readyz_needs_no_folder_that_keeps_the_compiled_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: False)
    with running(already_open(fake_service(tmp_path, runner=FakeRunner(warm=True)))) as server:
        assert httpx2.get(server.url + "/readyz").json()["checks"]["engine"] is True


def test_readyz_waits_for_the_engine_to_be_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)
    runner = FakeRunner(warming=True)
    with running(already_open(fake_service(tmp_path, runner=runner))) as server:
        cold = httpx2.get(server.url + "/readyz")
        runner.warming = False
        warm = httpx2.get(server.url + "/readyz")
    assert (cold.status_code, cold.json()["error"]["details"]["checks"]["engine"]) == (503, False)
    assert (warm.status_code, warm.json()["checks"]["engine"]) == (200, True)


# --- running requests ------------------------------------------------------------------------------------------------


def test_a_running_request_is_told_of_and_ended_by_its_id(
    fake_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    started = threading.Event()

    async def make(*_: object) -> Any:
        started.set()
        await asyncio.Event().wait()

    uncropper: Any = fake_server.service.uncropper
    uncropper.action = make
    asking = send(fake_server.url, FORM, key=KEY, headers={"X-Request-Id": "mine"})
    assert started.wait(STARTED_WITHIN_S)
    address, key = f"{fake_server.url}/api/v1/requests/mine", {"X-API-Key": KEY}
    caplog.clear()
    told = httpx2.get(address, headers=key)
    assert (told.status_code, told.json()["stage"], told.json()["running"]) == (200, "intake", True)
    assert httpx2.get(address).status_code == 401
    ended = httpx2.post(f"{address}/cancel", headers=key)
    assert (ended.status_code, ended.json()["cancelled"]) == (200, True)
    answer = asking.getresponse()
    error = json.loads(answer.read())["error"]
    asking.close()
    assert (answer.status, error["code"], error["details"]) == (409, "REQUEST_CANCELLED", {"calls_billed": 0})
    gone = httpx2.get(address, headers=key)
    assert (gone.status_code, gone.json()["running"]) == (200, False)
    # Being asked for again and again is nothing to log.
    assert {line.levelname for line in caplog.records if '"GET"' in line.getMessage()} <= {"DEBUG"}
    # What is over can be ended again, and nothing comes of it.
    assert httpx2.post(f"{address}/cancel", headers=key).json() == gone.json()


# --- the one top handler ---------------------------------------------------------------------------------------------


def test_an_unexpected_error_is_logged_once_and_told_nothing_of(
    fake_server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> Any:
        raise KeyError("CANARY")

    uncropper: Any = fake_server.service.uncropper
    uncropper.action = fail
    response = ask(fake_server.url, FORM, key=KEY)
    check(
        response,
        Refusal(
            status=500,
            code="INTERNAL_ERROR",
            message="Something went wrong. Please try again later.",
            type="server_error",
        ),
    )
    wait_until(lambda: any(line["event"] == "request" for line in events(caplog)))
    unexpected = [line for line in events(caplog) if line["event"] == "unexpected error"]
    assert [line["trace_id"] for line in unexpected] == [response.json()["error"]["trace_id"]]
    assert "Exception in ASGI application" not in caplog.text


@pytest.mark.parametrize(("kind", "told"), [(InternalError, True), (ProviderError, False)])
def test_what_lies_behind_an_error_is_for_the_log_alone(
    fake_server: Running, caplog: pytest.LogCaptureFixture, kind: type[UncropError], told: bool
) -> None:
    async def fail(*_: object) -> Any:
        try:
            raise OSError("disk CANARY is full")
        except OSError as error:
            raise kind(system_message="It could not be written") from error

    uncropper: Any = fake_server.service.uncropper
    uncropper.action = fail
    response = ask(fake_server.url, FORM, key=KEY)
    wait_until(lambda: any(line["event"] == "request" for line in events(caplog)))
    lines = {line["event"]: line for line in events(caplog)}
    # Of faults of our own nothing is told at all; the log has it.
    message = kind.default_message if told else "It could not be written"
    assert response.json()["error"]["system_message"] == message
    assert response.json()["error"]["message"] == kind.default_message
    assert "CANARY" not in response.text
    assert lines["request"]["reason"] == "It could not be written"
    assert lines["request"]["cause"] == "OSError"
    assert ("internal error" in lines) is told


async def test_an_error_after_the_answer_began_cannot_change_it() -> None:
    async def broken(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    middleware = ExchangeMiddleware(broken, metrics=Metrics(capacity=dict, breakers=dict), cross_origin=NO_OTHERS)
    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await middleware(scope, _nothing, send)
    assert sent == ["http.response.start"]


async def test_other_traffic_passes_through() -> None:
    seen: list[str] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    middleware = ExchangeMiddleware(inner, metrics=Metrics(capacity=dict, breakers=dict), cross_origin=NO_OTHERS)
    await middleware({"type": "lifespan"}, _nothing, _nothing)
    assert seen == ["lifespan"]


async def _nothing(*_: Any) -> Any:
    raise AssertionError


# --- clients that leave ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sends", "ended"), [(True, "made"), (False, "cancelled")])
def test_a_client_that_leaves_ends_its_own_work_but_no_billed_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sends: bool, ended: str
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    how: list[str] = []
    flights: list[Commitment] = []

    async def act(_request: object, flight: Commitment) -> Any:
        flights.append(flight)
        if sends:
            await flight.commit()
        begun.set()
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            how.append("cancelled")
            raise
        how.append("made")
        return picture()

    service = fake_service(tmp_path, uncropper=FakeUncropper(action=act))
    with caplog.at_level("INFO", "uncrop"), running(already_open(service)) as server:
        leaving = send(server.url, FORM, key=KEY)
        server.do(begun.wait())
        leaving.close()
        wait_until(lambda: flights[0].abandoned)
        server.loop.call_soon_threadsafe(go_on.set)
        wait_until(lambda: any(line["event"] == "the client left" for line in events(caplog)))
        wait_until(lambda: any(line["event"] == "request" for line in events(caplog)))
    assert how == [ended]
    lines = {line["event"]: line for line in events(caplog)}
    assert (lines["request"]["status"], lines["request"]["outcome"]) == (499, "CLIENT_LEFT")
    left = lines["the client left"]
    assert (left["sent"], left["outcome"]) == (sends, "OK" if sends else "CANCELLED")


def test_the_server_waits_for_a_billed_call_before_it_stops(tmp_path: Path) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    how: list[str] = []

    async def act(_request: object, flight: Commitment) -> Any:
        await flight.commit()
        begun.set()
        await go_on.wait()
        how.append("made")
        return picture()

    service = fake_service(tmp_path, uncropper=FakeUncropper(action=act))
    with running(already_open(service)) as server:
        leaving = send(server.url, FORM, key=KEY)
        server.do(begun.wait())
        leaving.close()
        server.loop.call_soon_threadsafe(server.loop.call_later, 0.2, go_on.set)
    assert how == ["made"]


# --- limits ----------------------------------------------------------------------------------------------------------


def test_the_memory_of_all_bodies_is_bounded(tmp_path: Path) -> None:
    capacity = Capacity(slots=Slots(3, 5), bodies=BodyBudget(2000))
    with running(already_open(fake_service(tmp_path, capacity=capacity))) as server:
        assert ask(server.url, FORM, key=KEY).status_code == 200
        busy = ask(server.url, FORM.but(image_file=bytes(3000)), key=KEY)
        assert (busy.status_code, busy.json()["error"]["code"]) == (503, "SERVER_BUSY")
        assert busy.headers["retry-after"] == "5"
        assert ask(server.url, FORM, key=KEY).status_code == 200


def test_the_rate_limit_is_told_on_every_answer_past_the_key(tmp_path: Path) -> None:
    with running(already_open(fake_service(tmp_path, rate_limit=2))) as server:
        answers = [ask(server.url, form, key=KEY) for form in (FORM, Form(files={"a": b""}), FORM)]
    assert [answer.status_code for answer in answers] == [200, 422, 429]
    limits = [[answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")] for answer in answers]
    assert limits == [["2", "1", "1700000060"], ["2", "0", "1700000060"], ["2", "0", "1700000060"]]


# --- the document ----------------------------------------------------------------------------------------------------


def test_every_route_is_in_the_document_and_no_other(fake_server: Running, fake: Service) -> None:
    document = httpx2.get(fake_server.url + ADDRESS).json()
    described = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    routes = {(route.path, method) for route in create_app(fake).routes for method in route.methods}  # type: ignore[attr-defined]
    # A GET without its body, which HTTP gives to every address that has GET, is not described on its own.
    heads = {(path, method) for path, method in routes if method == "HEAD"}
    assert heads == {(path, "HEAD") for path, method in routes if method == "GET"}
    pages = {(path, "GET") for path, _ in page_files()}
    assert routes - heads - pages - {(ADDRESS, "GET")} == described


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", ADDRESS, "/", "/docs"])
def test_where_get_is_head_is_too(fake_server: Running, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)
    whole, head = httpx2.get(fake_server.url + path), httpx2.head(fake_server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    other = httpx2.post(fake_server.url + path)
    assert (other.status_code, other.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/livez/", "/metrics/", "/openapi.json/", UNCROP_PATHS[0] + "/"])
def test_no_address_is_another_with_a_slash(fake_server: Running, path: str) -> None:
    response = httpx2.get(fake_server.url + path, headers={"Host": "evil.example"})
    check(response, Refusal(status=404, code="NOT_FOUND", message="There is nothing at this address"))
    assert "location" not in response.headers
