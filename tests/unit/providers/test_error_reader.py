"""Each maker's refusals, by what is said: on every ground, in every shape, with every status; none is an illness."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import cycle
from typing import Any

import pytest

from uncrop import errors
from uncrop.model import ProviderFacts, Sides, UncropRequest
from uncrop.providers.base import Provider
from uncrop.providers.bfl.facts import FACTS as BFL
from uncrop.providers.bfl.provider import Bfl
from uncrop.providers.bria.facts import FACTS as BRIA
from uncrop.providers.bria.provider import Bria
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.clipdrop.provider import Clipdrop
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer
from uncrop.providers.error_reader import error_in
from uncrop.providers.error_reader import refused as reader_refused
from uncrop.providers.maker import Maker
from uncrop.providers.openai.facts import FACTS as OPENAI
from uncrop.providers.openai.provider import OpenAI
from uncrop.providers.stability.facts import FACTS as STABILITY
from uncrop.providers.stability.provider import Stability
from uncrop.testing import ScriptedSend
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_context, make_settings, make_task, talk

Kind = type[errors.UncropError]
MAKERS: dict[str, tuple[ProviderFacts, Callable[..., Provider]]] = {
    "openai": (OPENAI, OpenAI),
    "clipdrop": (CLIPDROP, Clipdrop),
    "stability": (STABILITY, Stability),
    "bfl": (BFL, Bfl),
    "bria": (BRIA, Bria),
}
SELF_HOSTED = ("comfyui", "sdapi")
VOCABULARIES = {
    name: import_module(f"uncrop.providers.{name}.vocabulary").VOCABULARY for name in (*MAKERS, *SELF_HOSTED)
}
POLLED = {
    "bfl": Answer(status=200, body=b'{"id": "1", "polling_url": "https://api.bfl.ai/v1/get?id=1"}'),
    "bria": Answer(status=202, body=b'{"request_id": "1", "status_url": "https://engine.prod.bria-api.com/v2/s/1"}'),
}
CANARY = "canary-7f3a"
Content, Country = errors.ContentRejected, errors.ProviderCountryUnsupported
Key, Quota, Limited = errors.ProviderAuthenticationFailed, errors.ProviderQuotaExhausted, errors.ProviderRateLimited
Rejected, Failed = errors.ProviderRejectedRequest, errors.ProviderError

CODES: list[tuple[str, Kind]] = [
    ("content_policy_violation", Content),
    ("moderation_blocked", Content),
    ("content_filter", Content),
    ("unsupported_country_region_territory", Country),
    ("insufficient_quota", Quota),
    ("insufficient_credits", Quota),
    ("invalid_api_key", Key),
    ("rate_limit_exceeded", Limited),
    ("invalid_value", Rejected),
    ("model_not_found", Failed),
]
WORDS: list[tuple[str, Kind]] = [
    ("Your request was rejected by the safety system.", Content),
    ("This prompt violates our content policy", Content),
    ("Prompt failed Content Moderation", Content),
    ("The image was moderated", Content),
    ("The input was flagged as sexual", Content),
    ("Input was flagged", Content),
    ("Your prompt has been flagged", Content),
    ("NSFW content detected", Content),
    ("Country, region, or territory not supported", Country),
    ("User location is not supported for the API use.", Country),
    ("This service is not available in your country", Country),
    ("Access denied: the owner has banned the country or region your address is in", Country),
    ("You exceeded your current quota, please check your plan and billing details.", Quota),
    ("Your account has no remaining credits", Quota),
    ("Not enough credits", Quota),
    ("Insufficient balance", Quota),
    ("Credit balance is too low", Quota),
    ("Billing hard limit has been reached", Quota),
    ("No api key provided", Key),
    ("Invalid or revocated api key.", Key),
    ("Incorrect API key provided: sk-1", Key),
    ("API key not valid. Please pass another one.", Key),
    ("Not authenticated", Key),
    ("request unauthorized", Key),
    ("Rate limit reached for images", Limited),
    ("Too many requests, blocked by the rate limiter", Limited),
    ("Quota exceeded for requests per minute", Limited),
    ("Unknown parameter: 'moderation'.", Rejected),
    ("Unsupported field: country", Rejected),
]
SHAPES: dict[str, Callable[[str], bytes]] = {
    "error": lambda said: json.dumps({"error": said}).encode(),
    "error.message": lambda said: json.dumps({"error": {"message": said, "code": CANARY}}).encode(),
    "error.code": lambda said: json.dumps({"error": {"message": CANARY, "code": said}}).encode(),
    "error list": lambda said: json.dumps({"error": [{"message": said}]}).encode(),
    "errors": lambda said: json.dumps({"id": "1", "name": CANARY, "errors": [said]}).encode(),
    "detail": lambda said: json.dumps({"detail": said}).encode(),
    "detail list": lambda said: json.dumps({"detail": [{"loc": ["body"], "msg": said}]}).encode(),
    "message": lambda said: json.dumps({"message": said, "code": 1}).encode(),
    "inside data": lambda said: json.dumps({"data": [{"error": {"message": said}}]}).encode(),
    "a list": lambda said: json.dumps([{"error": {"message": said}}]).encode(),
    "a JSON text": lambda said: json.dumps(said).encode(),
    "a text": lambda said: said.encode(),
    "a page": lambda said: f"<html><title>{CANARY}</title><body><p>{said}</p></body></html>".encode(),
    "an event": lambda said: f"event: error\ndata: {json.dumps({'error': said})}\n\n".encode(),
}


def provider_of(name: str) -> Provider:
    facts, kind = MAKERS[name]
    return kind(facts, make_settings(facts))


def refused(name: str, *answers: Answer) -> errors.UncropError:
    """Hold a conversation until it is refused; before each poll there is a pause."""
    queue: list[Any] = [answers[0]]
    for answer in answers[1:]:
        queue += [None, answer]
    with pytest.raises(errors.UncropError) as caught:
        talk(provider_of(name), task_of(name), *queue)
    return caught.value


@cache
def task_of(name: str) -> Any:
    facts = MAKERS[name][0]
    return make_task(UncropRequest(provider=name, image=photo_png(64, 64), sides=Sides(left=8)), facts)


def check(error: errors.UncropError, kind: Kind, status: int) -> None:
    assert type(error) is kind
    assert error.message == kind.default_message
    assert (error.details or {})["provider_status"] == status
    assert CANARY not in f"{error.message} {error.system_message} {error.details}"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_said_decides_in_every_shape_and_with_every_status(name: str, shape: str) -> None:
    # Each shape has another status for the same words: among all shapes, each word meets each status twice.
    statuses = deque([200, 400, 403, 429, 500])
    statuses.rotate(list(SHAPES).index(shape))
    for (said, kind), status in zip(WORDS + CODES, cycle(statuses)):
        answer = Answer(status=status, body=SHAPES[shape](said))
        found = error_in(answer, VOCABULARIES[name])
        assert found is not None, (said, status)
        check(found, kind, status)
        check(reader_refused(answer, VOCABULARIES[name]), kind, status)


@pytest.mark.parametrize("name", SELF_HOSTED)
def test_a_server_of_the_operators_own_is_read_likewise_but_for_its_pages(name: str) -> None:
    for said, kind in WORDS + CODES:
        for status in (400, 403, 429, 500):
            answer = Answer(status=status, body=SHAPES["detail"](said))
            # A field that the web UI does not know is not the caller's: uncrop alone chooses what is sent.
            ours = name == "sdapi" and kind is Rejected and " " in said
            check(reader_refused(answer, VOCABULARIES[name]), Failed if ours else kind, status)
            page = reader_refused(Answer(status=status, body=SHAPES["a page"](said)), VOCABULARIES[name])
            by_status = {403: Key, 429: Limited, 500: Failed}.get(status, errors.ProviderInvalidResponse)
            check(page, by_status, status)
            assert page.system_message.endswith(f" and a web page: {VOCABULARIES[name].page}")


@pytest.mark.parametrize("name", MAKERS)
def test_each_maker_tells_it(name: str) -> None:
    shapes, statuses = cycle(SHAPES.values()), cycle([200, 400, 401, 402, 403, 404, 418, 422, 429, 451, 500, 503])
    for said, kind in WORDS + CODES:
        status = next(statuses)
        error = refused(name, Answer(status=status, body=next(shapes)(said)))
        check(error, kind, status)
        assert said not in error.system_message or (error.details or {}).get("provider_code") == said


@pytest.mark.parametrize(("said", "kind"), [*WORDS[::5], *CODES[::2], WORDS[-1]])
@pytest.mark.parametrize("name", POLLED)
def test_a_job_is_refused_likewise(name: str, said: str, kind: Kind) -> None:
    # The request had been accepted: what speaks against its form is the provider's fault.
    late = Failed if kind is Rejected else kind
    for shape in ("error", "errors"):
        body = SHAPES[shape](said)
        check(refused(name, Answer(status=202 if name == "bria" else 200, body=body)), kind, POLLED[name].status)
        check(refused(name, POLLED[name], Answer(status=400, body=body)), late, 400)
        check(refused(name, POLLED[name], Answer(status=200, body=body)), kind, 200)
        ended = json.dumps({"status": "Error" if name == "bfl" else "ERROR", **json.loads(body)}).encode()
        check(refused(name, POLLED[name], Answer(status=200, body=ended)), kind, 200)
        done = json.dumps({"status": "Ready" if name == "bfl" else "COMPLETED", **json.loads(body)}).encode()
        check(refused(name, POLLED[name], Answer(status=200, body=done)), kind, 200)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    ("status", "told", "kind"),
    [
        (200, {"type": "invalid_request_error"}, Rejected),
        (400, {"type": "invalid_request_error"}, Rejected),
        (401, {"type": "invalid_request_error"}, Key),
        (402, {"type": "invalid_request_error"}, Quota),
        (404, {"type": "invalid_request_error"}, Failed),
        (429, {"type": "invalid_request_error"}, Limited),
        (200, {"type": "server_error"}, Failed),
        (500, {"type": "server_error"}, Failed),
        (200, {"code": 401}, Key),
        (200, {"code": "402"}, Quota),
        (200, {"code": 403, "type": CANARY}, Key),
        (200, {"code": 422}, Rejected),
        (200, {"code": 429}, Limited),
        (200, {"code": 500}, Failed),
        (400, {"code": 500}, Rejected),
        (200, {"message": CANARY}, errors.ProviderInvalidResponse),
        (500, {"message": CANARY}, Failed),
        (302, {"code": "moderation_blocked"}, errors.ProviderInvalidResponse),
    ],
)
def test_vague_codes_and_numbers_count_where_nothing_else_says_more(
    name: str, status: int, told: dict[str, object], kind: Kind
) -> None:
    error = refused(name, Answer(status=status, body=json.dumps({"error": told}).encode()))
    assert type(error) is kind
    assert CANARY not in f"{error.message} {error.system_message} {error.details}"


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body"], "msg": CANARY, "input": "a photo of the safety system", "type": "missing"}]},
        {"error": {"message": CANARY, "param": "moderation"}},
        {"error": "The moderation service is away"},
        {"error": "The mask's region is not allowed"},
        {"error": "original_image_location is not supported"},
        {"error": "The credits of the photo"},
        {"error": "No token"},
        {"error": "Your account has been flagged"},
    ],
    ids=json.dumps,
)
def test_what_only_sounds_like_a_refusal_is_none(name: str, body: dict[str, object]) -> None:
    error = refused(name, Answer(status=400, body=json.dumps(body).encode()))
    assert type(error) is Rejected


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(("code", "kind"), CODES[1:9:2] + CODES[5:6])
@pytest.mark.parametrize("status", [200, 500])
async def test_no_refusal_is_an_illness(name: str, code: str, kind: Kind, status: int) -> None:
    answer = Answer(status=status, body=json.dumps({"error": {"code": code}}).encode())
    maker = Maker(provider_of(name), make_context(send=ScriptedSend(*[answer] * 12)))
    for _ in range(12):
        with pytest.raises(kind):
            await maker.fill(task_of(name), Commitment())
    assert maker.breaker is not None
    assert maker.breaker.state == "closed"


async def test_a_refusal_ends_the_pause_of_one_who_was_ill() -> None:
    now = [0.0]
    ill, refusal = Answer(status=500), Answer(status=200, body=b'{"error": {"code": "moderation_blocked"}}')
    send = ScriptedSend(*[ill] * 10, refusal)
    maker = Maker(provider_of("openai"), replace(make_context(send=send), clock=lambda: now[0]))
    for _ in range(10):
        with pytest.raises(Failed):
            await maker.fill(task_of("openai"), Commitment())
    assert maker.breaker is not None
    assert maker.breaker.state == "open"
    now[0] = 20
    with pytest.raises(Content):
        await maker.fill(task_of("openai"), Commitment())
    assert maker.breaker.state == "closed"
