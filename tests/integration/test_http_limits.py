"""Rows of the published error table that need a server of their own: its limits, its settings, its providers' state."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import httpx2

from fixtures_http import Form, Refusal, ask, check, clipdrop_form
from fixtures_server import real, wait_until
from fixtures_wire import FORM_TYPE, Wire, head
from uncrop.server.form import BodyLimits
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

PHOTO = photo_jpeg(64, 48)
CLIPDROP = clipdrop_form(PHOTO)


def test_too_many_requests(tmp_path: Any) -> None:
    with real(tmp_path, settings={"rate_limit_per_minute": 2}) as house:
        first = ask(house.url, CLIPDROP, key=house.key)
        assert (first.status_code, first.headers["x-ratelimit-remaining"]) == (200, "1")
        refused = ask(house.url, CLIPDROP.but(provider="nonsense"), key=house.key)
        assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (422, "0")
        over = ask(house.url, CLIPDROP, key=house.key)
        check(
            over,
            Refusal(
                status=429,
                code="RATE_LIMIT_EXCEEDED",
                message="Too many requests; try again later",
                details={"limit": 2, "window_seconds": 60},
            ),
        )
        assert 1 <= int(over.headers["retry-after"]) <= 60
        assert over.headers["x-ratelimit-limit"] == "2"
        assert over.headers["x-ratelimit-remaining"] == "0"
        assert int(over.headers["x-ratelimit-reset"]) > datetime.now(UTC).timestamp()
        assert (house.calls(), house.booked()) == (1, 1)
        other = house.new_key("org_other")
        assert ask(house.url, CLIPDROP.but(organization_id="org_other"), key=other.key).status_code == 200


def test_too_many_requests_to_one_provider(tmp_path: Any) -> None:
    """Its own limit comes before the values, counts what they refuse, and is what the headers then tell."""
    with real(tmp_path, settings={"clipdrop_rate_limit_per_minute": 2}) as house:
        refused = ask(house.url, CLIPDROP.but(extend_left="9999"), key=house.key)
        assert (refused.status_code, refused.headers["x-ratelimit-limit"]) == (422, "60")
        assert ask(house.url, CLIPDROP.but(organization_id="org_other"), key=house.key).status_code == 403
        over = ask(house.url, CLIPDROP.but(extend_left="9999"), key=house.key)
        check(
            over,
            Refusal(
                status=429,
                code="RATE_LIMIT_EXCEEDED",
                message="Too many requests; try again later",
                details={"limit": 2, "window_seconds": 60, "provider": "clipdrop"},
            ),
        )
        assert 1 <= int(over.headers["retry-after"]) <= 60
        assert over.headers["x-ratelimit-limit"] == "2"
        assert over.headers["x-ratelimit-remaining"] == "0"
        assert int(over.headers["x-ratelimit-reset"]) > datetime.now(UTC).timestamp()
        elsewhere = ask(house.url, CLIPDROP.but(provider="openai", seed="1"), key=house.key)
        assert (elsewhere.status_code, elsewhere.headers["x-ratelimit-remaining"]) == (422, "56")
        assert (house.calls(), house.booked()) == (0, 0)


def test_too_many_pictures(tmp_path: Any) -> None:
    with real(tmp_path, settings={"usage_limit_per_day": 1}) as house:
        house.clipdrop.script(outcomes.refuse(500))
        assert ask(house.url, CLIPDROP, key=house.key).status_code == 502
        assert ask(house.url, CLIPDROP, key=house.key).status_code == 200
        over = ask(house.url, CLIPDROP, key=house.key)
        resets_at = over.json()["error"]["details"]["resets_at"]
        assert resets_at.endswith("T00:00:00Z")
        used = {"scope": "organization", "limit": 1, "used": 1, "remaining": 0}
        check(
            over,
            Refusal(
                status=429,
                code="USAGE_LIMIT_EXCEEDED",
                message="The organization's limit of pictures for today is reached",
                details={**used, "window": "UTC day", "resets_at": resets_at},
            ),
        )
        assert 1 <= int(over.headers["retry-after"]) <= 86_400
        assert (house.calls(), house.booked()) == (2, 1)


def test_a_provider_without_a_key(tmp_path: Any) -> None:
    with real(tmp_path, settings={"clipdrop_api_key": None}) as house:
        check(
            ask(house.url, CLIPDROP, key=house.key),
            Refusal(
                status=503,
                code="PROVIDER_NOT_CONFIGURED",
                message="This provider is not configured on this server",
                details={"provider": "clipdrop"},
                system_message="The provider clipdrop has no API key",
                type="server_error",
            ),
        )
        assert (house.calls(), house.booked()) == (0, 0)


def test_a_provider_that_does_not_answer(tmp_path: Any) -> None:
    with real(tmp_path, settings={"provider_timeout_s": 0.3}) as house:
        house.clipdrop.script(outcomes.hold(threading.Event()))
        check(
            ask(house.url, CLIPDROP, key=house.key),
            Refusal(
                status=504,
                code="PROVIDER_TIMEOUT",
                message="The provider did not answer in time",
                details={"provider": "clipdrop"},
                system_message="The provider did not answer within the deadline",
                type="server_error",
            ),
        )
        assert (house.calls(), house.booked()) == (1, 0)


def test_a_provider_that_keeps_failing_is_given_a_pause(tmp_path: Any) -> None:
    with real(tmp_path) as house:
        house.clipdrop.script(*[outcomes.refuse(500)] * 10)
        for _ in range(10):
            assert ask(house.url, CLIPDROP, key=house.key).status_code == 502
        paused = ask(house.url, CLIPDROP, key=house.key)
        check(
            paused,
            Refusal(
                status=503,
                code="PROVIDER_UNAVAILABLE",
                message="The provider is unavailable at the moment",
                details={"provider": "clipdrop"},
                type="server_error",
            ),
        )
        assert 1 <= int(paused.headers["retry-after"]) <= 15
        assert (house.calls(), house.booked()) == (10, 0)
        metrics = httpx2.get(house.url + "/metrics").text
        assert 'uncrop_breaker_state{provider="clipdrop"} 2.0' in metrics


def test_a_full_server(tmp_path: Any) -> None:
    release = threading.Event()
    settings = {"max_running": 1, "max_waiting": 0}
    with real(tmp_path, settings=settings) as house, ThreadPoolExecutor(1) as pool:
        house.clipdrop.script(outcomes.hold(release))
        first = pool.submit(ask, house.url, CLIPDROP, key=house.key)
        house.clipdrop.wait_for_calls(1)
        busy = ask(house.url, CLIPDROP, key=house.key)
        release.set()
        check(
            busy,
            Refusal(status=503, code="SERVER_BUSY", message="The server is busy; try again later", type="server_error"),
        )
        assert busy.headers["retry-after"] == "5"
        assert first.result().status_code == 200
        assert (house.calls(), house.booked()) == (1, 1)


def test_a_full_server_refuses_before_the_body_is_sent(tmp_path: Any) -> None:
    release = threading.Event()
    settings = {"max_running": 1, "max_waiting": 0}
    with real(tmp_path, settings=settings) as house, ThreadPoolExecutor(1) as pool, Wire(house.server) as wire:
        house.clipdrop.script(outcomes.hold(release))
        first = pool.submit(ask, house.url, CLIPDROP, key=house.key)
        house.clipdrop.wait_for_calls(1)
        wire.send(head(FORM_TYPE, "Content-Length: 50000000", "Expect: 100-continue", key=house.key))
        answer = wire.answer()
        release.set()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert wire.is_closed()
        assert first.result().status_code == 200


def test_a_turn_that_does_not_come_in_time(tmp_path: Any) -> None:
    """A request waits no longer, from its first byte on, than a provider may take."""
    settings = {"max_running": 1, "provider_timeout_s": 0.3}
    with real(tmp_path, settings=settings) as house:
        capacity = house.server.service.capacity
        holding = house.server.do(_enter(capacity.slots.hold("org_other")))
        late = ask(house.url, CLIPDROP, key=house.key)
        check(
            late,
            Refusal(
                status=503,
                code="SERVER_BUSY",
                message="The server is busy; try again later",
                system_message="The request's turn did not come in time",
                type="server_error",
            ),
        )
        assert late.headers["retry-after"] == "5"
        assert (capacity.slots.running, capacity.slots.waiting) == (1, 0)
        house.server.do(holding.aclose())
        assert capacity.slots.running == 0
        assert (house.calls(), house.booked()) == (0, 0)


async def _enter(context: Any) -> AsyncExitStack:
    stack = AsyncExitStack()
    await stack.enter_async_context(context)
    return stack


def test_a_flood_of_one_organization_leaves_the_next_slot_to_another(tmp_path: Any) -> None:
    release = [threading.Event() for _ in range(3)]
    settings = {"max_running": 2, "max_waiting": 10, "rate_limit_per_minute": 1000}
    with real(tmp_path, settings=settings) as house, ThreadPoolExecutor(14) as pool:
        house.clipdrop.script(*(outcomes.hold(event) for event in release))
        flood = [pool.submit(ask, house.url, CLIPDROP, key=house.key) for _ in range(12)]
        house.clipdrop.wait_for_calls(2)
        slots = house.server.service.capacity.slots
        wait_until(lambda: slots.waiting == 10)
        refused = ask(house.url, CLIPDROP, key=house.key)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        other = house.new_key("org_other").key
        neighbour = pool.submit(ask, house.url, CLIPDROP.but(organization_id="org_other", extend_left="17"), key=other)
        wait_until(lambda: sum(answer.done() for answer in flood) == 1)
        release[0].set()
        house.clipdrop.wait_for_calls(3)
        assert house.clipdrop.calls[2].fields["extend_left"] == "17"
        for event in release:
            event.set()
        assert neighbour.result().status_code == 200
        statuses = sorted(answer.result().status_code for answer in flood)
        assert statuses == [200] * 11 + [503]  # the last of the flood gave its place to the neighbour


def test_a_body_too_large(tmp_path: Any) -> None:
    with real(tmp_path, limits=BodyLimits(max_bytes=1000)) as house:
        check(
            ask(house.url, CLIPDROP, key=house.key),
            Refusal(
                status=413,
                code="REQUEST_TOO_LARGE",
                message="The request body exceeds 1000 bytes",
                details={"max_bytes": 1000},
            ),
        )
        assert (house.calls(), house.booked()) == (0, 0)


# --- the order of the checks -----------------------------------------------------------------------------------------


def test_the_order_of_the_checks(tmp_path: Any) -> None:
    """Each request is wrong in every later way as well; only the first is told."""
    everything = {"provider": "clipdrop", "organization_id": "org_other", "extend_left": "9999"}
    with real(tmp_path, settings={"rate_limit_per_minute": 3}, limits=BodyLimits(max_bytes=20_000)) as house:

        def code(form: Form, key: str | None) -> str:
            return str(ask(house.url, form, key=key).json()["error"]["code"])

        too_large = Form(fields=everything, files={"image_file": bytes(30_000)})
        assert code(too_large, "wrong") == "INVALID_API_KEY"
        assert code(too_large, house.key) == "REQUEST_TOO_LARGE"
        assert code(Form(fields=everything, files={"image_file": b"x"}), house.key) == "INVALID_EXTEND_PARAMETERS"
        legal_elsewhere = Form(fields={**everything, "extend_left": "9"}, files={"image_file": PHOTO})
        assert code(legal_elsewhere, house.key) == "ORGANIZATION_ACCESS_DENIED"
        assert code(too_large, house.key) == "RATE_LIMIT_EXCEEDED"
        assert (house.calls(), house.booked()) == (0, 0)
