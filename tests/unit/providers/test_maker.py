"""A provider at work: tiny providers, a scripted sender, and every step of a conversation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from uncrop import errors
from uncrop.capacity.unpacking import Unpacking
from uncrop.model import (
    Fill,
    GeometryFacts,
    PictureFacts,
    ProviderFacts,
    SettingFacts,
    Sides,
    Task,
    UncropRequest,
    UploadFacts,
)
from uncrop.providers.base import Provider, ProviderSettings
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, Extend, Wait, ask, compute
from uncrop.providers.maker import Maker, MakerContext
from uncrop.providers.refusal import refuse
from uncrop.providers.transport.sender import Sender
from uncrop.testing import EdgeEngine, ScriptedSend
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_task

if TYPE_CHECKING:
    from uncrop.providers.conversation import Conversation, Examination
    from uncrop.providers.transport.addresses import Addresses

TINY = ProviderFacts(
    name="tiny",
    title="Tiny",
    sentence="",
    implementation=f"{__name__}:Tiny",
    geometry=GeometryFacts(speaks="sides", crops=True),
    upload=UploadFacts(formats=frozenset({"PNG"}), max_bytes=1_000_000),
    answer_format="PNG",
    bills=True,
    settings=(
        SettingFacts(name="api_key", kind="secret", help="", required=True),
        SettingFacts(name="base_url", kind="address", help="", required=True),
        SettingFacts(name="model", kind="text", help="", required=True, default="one"),
    ),
)


class Tiny(Provider):
    """One call, as the shortest conversation has."""

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        super().__init__(facts, settings)
        self.threads: set[threading.Thread] = set()

    def converse(self, task: Task) -> Conversation:
        self.threads.add(threading.current_thread())
        answer = yield from ask(Call(method="POST", url=self.settings.base_url, headers={"key": self.key}))
        self.threads.add(threading.current_thread())
        if answer.status != 200:
            raise refuse(answer)
        if answer.body == b"bad":
            raise errors.ProviderInvalidResponse
        return Fill(pixels=task.photo, facts=PictureFacts(provider="tiny", request_id=answer.body.decode()))


def maker_of(
    kind: Callable[[ProviderFacts, ProviderSettings], Provider],
    send: Any,
    *,
    facts: ProviderFacts = TINY,
    settings: dict[str, Any] | None = None,
    **context: Any,
) -> Maker:
    values = {"api_key": "k", "base_url": "http://tiny", "model": "one", **(settings or {})}
    known = ProviderSettings(values={name: value for name, value in values.items() if value is not None})
    return Maker(kind(facts, known), MakerContext(**{"send": send, "engine": EdgeEngine(), "timeout_s": 20, **context}))


def tiny(send: ScriptedSend, **settings: Any) -> Maker:
    return maker_of(Tiny, send, settings=settings)


def answer(status: int, body: bytes = b"") -> Answer:
    return Answer(status=status, headers={}, body=body)


def task_of_tiny() -> Task:
    return make_task(UncropRequest(provider="tiny", image=photo_png(20, 16), sides=Sides(left=4)), TINY)


@pytest.fixture
def task() -> Task:
    return task_of_tiny()


# --- what is billed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "billed"), [(401, 0), (402, 0), (429, 0), (400, 1), (403, 1), (500, 1)])
async def test_a_call_that_was_refused_before_any_work_is_not_billed(task: Task, status: int, billed: int) -> None:
    commitment = Commitment()
    with pytest.raises(errors.UncropError):
        await tiny(ScriptedSend(answer(status))).fill(task, commitment)
    assert (commitment.billed_calls, commitment.sent) == (billed, bool(billed))


async def test_a_pause_after_failures_is_told_before_anything_is_sent(task: Task) -> None:
    send = ScriptedSend(*[answer(500)] * 10)
    maker = tiny(send)
    maker.check_well()
    for _ in range(10):
        with pytest.raises(errors.UncropError):
            await maker.fill(task, Commitment())
    with pytest.raises(errors.ProviderUnavailable) as refused:
        maker.check_well()
    assert refused.value.details == {"provider": "tiny"}


# --- the shortest conversation ---------------------------------------------------------------------------------------


async def test_a_task_becomes_a_call_and_its_answer_a_fill(task: Task) -> None:
    send = ScriptedSend(answer(200, b"made"))
    maker, commitment = tiny(send), Commitment()
    fill = await maker.fill(task, commitment)
    assert fill.facts == PictureFacts(provider="tiny", request_id="made")
    assert send.calls == [Call(method="POST", url="http://tiny", headers={"key": "k"})]
    assert (commitment.sent, commitment.billed_calls) == (True, 1)
    assert maker.facts is TINY


async def test_the_steps_are_worked_out_off_the_event_loop(task: Task) -> None:
    made: list[Tiny] = []

    def make(facts: ProviderFacts, settings: ProviderSettings) -> Tiny:
        made.append(Tiny(facts, settings))
        return made[0]

    await maker_of(make, ScriptedSend(answer(200, b"made"))).fill(task, Commitment())
    assert made[0].threads
    assert threading.current_thread() not in made[0].threads


@pytest.mark.parametrize("key", [None, "", "clé", "two\nlines", "nul\0", "space "])
async def test_without_a_usable_key_nothing_is_sent(task: Task, key: str | None) -> None:
    send = ScriptedSend()
    maker = tiny(send, api_key=key)
    with pytest.raises(errors.ProviderNotConfigured) as refused:
        maker.check_configured()
    assert refused.value.details == {"provider": "tiny"}
    assert refused.value.system_message.startswith("The provider tiny has ")
    assert key is None or not key or key not in refused.value.system_message
    with pytest.raises(errors.ProviderNotConfigured):
        await maker.fill(task, Commitment())
    assert send.calls == []


@pytest.mark.parametrize(
    ("name", "words"), [("api_key", "no API key"), ("base_url", "no base_url"), ("model", "no model")]
)
def test_whatever_is_required_must_be_set(name: str, words: str) -> None:
    with pytest.raises(errors.ProviderNotConfigured) as refused:
        tiny(ScriptedSend(), **{name: None}).check_configured()
    assert refused.value.system_message == f"The provider tiny has {words}"


def test_a_rate_limit_of_its_own_becomes_a_fact() -> None:
    assert tiny(ScriptedSend(), rate_limit_per_minute=5).facts == replace(TINY, requests_per_minute=5)


def test_with_a_key_it_is_configured() -> None:
    tiny(ScriptedSend()).check_configured()


@pytest.mark.parametrize(
    ("outcome", "kind", "details"),
    [
        (answer(503), errors.ProviderError, {"provider": "tiny", "provider_status": 503}),
        (answer(429), errors.ProviderRateLimited, {"provider": "tiny", "provider_status": 429}),
        (answer(302), errors.ProviderInvalidResponse, {"provider": "tiny", "provider_status": 302}),
        (answer(200, b"bad"), errors.ProviderInvalidResponse, {"provider": "tiny"}),
        (errors.ProviderTimeout(), errors.ProviderTimeout, {"provider": "tiny"}),
    ],
)
async def test_every_error_names_the_provider(
    task: Task, outcome: Answer | Exception, kind: type[errors.UncropError], details: dict[str, object]
) -> None:
    with pytest.raises(kind) as failed:
        await tiny(ScriptedSend(outcome)).fill(task, Commitment())
    assert failed.value.details == details


@pytest.mark.parametrize("outcome", [answer(500), answer(200, b"bad"), answer(302), errors.ProviderTimeout()])
async def test_a_failing_provider_is_given_a_pause(task: Task, outcome: Answer | Exception) -> None:
    send = ScriptedSend(*[outcome] * 11)
    maker = tiny(send)
    for _ in range(10):
        with pytest.raises(errors.ProviderFault):
            await maker.fill(task, Commitment())
    with pytest.raises(errors.ProviderUnavailable) as refused:
        await maker.fill(task, Commitment())
    assert refused.value.details == {"provider": "tiny"}
    assert maker.breaker is not None
    assert (len(send.calls), maker.breaker.state) == (10, "open")


@pytest.mark.parametrize("status", [400, 401, 404, 408, 422, 429])
async def test_what_is_not_the_providers_fault_gives_it_none(task: Task, status: int) -> None:
    maker = tiny(ScriptedSend(*[answer(status)] * 20))
    for _ in range(20):
        with pytest.raises(errors.UncropError):
            await maker.fill(task, Commitment())
    assert maker.breaker is not None
    assert maker.breaker.state == "closed"


async def test_an_abandoned_task_is_not_sent(task: Task) -> None:
    send, commitment = ScriptedSend(answer(200)), Commitment()
    commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        await tiny(send).fill(task, commitment)
    assert send.calls == []


async def test_an_answer_waits_for_its_turn_to_be_unpacked(task: Task) -> None:
    unpacking = Unpacking(1)
    with unpacking.place() as first, unpacking.place() as second:
        await first.take()
        waiting = asyncio.create_task(tiny(ScriptedSend(answer(200, b"made"))).fill(task, Commitment(), place=second))
        await anyio.wait_all_tasks_blocked()
        assert not waiting.done()
        first.give_back()
        assert (await waiting).facts.request_id == "made"
        assert unpacking.taken == 1
    assert unpacking.taken == 0


async def test_a_refusal_needs_no_turn(task: Task) -> None:
    unpacking = Unpacking(1)
    with unpacking.place() as first, unpacking.place() as second:
        await first.take()
        with pytest.raises(errors.ProviderError):
            await tiny(ScriptedSend(answer(500))).fill(task, Commitment(), place=second)


# --- longer ones -----------------------------------------------------------------------------------------------------

SUBMIT = Call(method="POST", url="http://tiny/jobs", holds_picture=False)
POLL = Call(method="GET", url="http://tiny/jobs/1", kind="repeat", holds_picture=False)
CANCEL = Call(method="DELETE", url="http://tiny/jobs/1", kind="repeat", holds_picture=False)
FETCH = Call(method="GET", url="http://tiny/files/1", kind="download")


class Job(Provider):
    """Submits, waits, polls until it is told 200, and downloads."""

    def converse(self, task: Task) -> Conversation:
        yield SUBMIT
        while True:
            yield Wait(seconds=3, fraction=0.5, step="in the queue", on_cancel=CANCEL)
            state = yield from ask(replace(POLL, on_cancel=CANCEL))
            if state.status == 200:
                break
        fetched = yield from ask(FETCH)
        return Fill(pixels=task.photo, facts=PictureFacts(provider="tiny", request_id=fetched.body.decode()))


class Naps(list[float]):
    """Notes how long it was to sleep, and does not; may do something else."""

    def __init__(self, action: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.action = action

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        if self.action is not None:
            self.action()
            await anyio.lowlevel.checkpoint()


async def test_a_conversation_goes_on_until_its_end(task: Task) -> None:
    send, naps, told = ScriptedSend(answer(202), answer(202), answer(200), answer(200, b"file")), Naps(), []
    maker, commitment = maker_of(Job, send, sleep=naps), Commitment()
    fill = await maker.fill(task, commitment, progress=lambda *step: told.append(step))
    assert fill.facts.request_id == "file"
    assert [(call.method, call.url) for call in send.calls] == [
        ("POST", "http://tiny/jobs"),
        ("GET", "http://tiny/jobs/1"),
        ("GET", "http://tiny/jobs/1"),
        ("GET", "http://tiny/files/1"),
    ]
    assert naps == [3, 3]
    assert told == [(0.5, "in the queue")] * 2
    assert commitment.billed_calls == 1


async def test_who_is_not_billed_is_never_committed(task: Task) -> None:
    send, commitment = ScriptedSend(answer(202), answer(200), answer(200, b"file")), Commitment()
    await maker_of(Job, send, facts=replace(TINY, bills=False), sleep=Naps()).fill(task, commitment)
    assert commitment.sent is False


async def test_a_job_that_is_given_up_is_cancelled_at_the_provider(task: Task) -> None:
    send = ScriptedSend(answer(202), answer(200))
    with anyio.CancelScope() as scope:
        await maker_of(Job, send, sleep=Naps(scope.cancel)).fill(task, Commitment())
    assert scope.cancelled_caught
    assert send.calls == [SUBMIT, CANCEL]


class Queued(Job):
    """Is told in several calls that a job is not wanted, and interrupted only where it is said to run."""

    def converse(self, task: Task) -> Conversation:
        yield SUBMIT
        yield Wait(seconds=3, on_cancel=self.leave)
        raise AssertionError("was given up")

    def leave(self) -> Generator[Call, Answer, None]:
        looked = yield POLL
        if looked.status == 200:
            yield CANCEL


@pytest.mark.parametrize(
    ("looked", "calls"),
    [
        (answer(200), [SUBMIT, POLL, CANCEL]),
        (answer(404), [SUBMIT, POLL]),
        (errors.ProviderError(), [SUBMIT, POLL]),
    ],
)
async def test_giving_up_can_take_several_calls_that_depend_on_one_another(
    task: Task, looked: Answer | Exception, calls: list[Call]
) -> None:
    send = ScriptedSend(answer(202), looked, answer(200))
    with anyio.CancelScope() as scope:
        await maker_of(Queued, send, sleep=Naps(scope.cancel)).fill(task, Commitment())
    assert scope.cancelled_caught
    assert send.calls == calls


class Examined(Job):
    """Tells the body of the answer to one call as what is missing."""

    def examine(self) -> Examination:
        looked = yield POLL
        more = yield POLL
        return (looked.body.decode(), more.body.decode())


async def test_a_provider_can_be_examined(task: Task) -> None:
    send = ScriptedSend(answer(200, b"a node"), answer(200, b"a model"))
    assert await maker_of(Examined, send).examine() == ("a node", "a model")
    assert send.calls == [POLL, POLL]


async def test_a_provider_that_cannot_be_examined_is_not_called() -> None:
    send = ScriptedSend()
    assert await maker_of(Job, send).examine() is None
    assert send.calls == []


async def test_an_examination_fails_with_the_providers_error() -> None:
    with pytest.raises(errors.ProviderError):
        await maker_of(Examined, ScriptedSend(errors.ProviderError())).examine()


async def test_an_examination_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.providers.maker.EXAMINE_S", 0)
    with pytest.raises(errors.ProviderTimeout):
        await maker_of(Examined, Hanging()).examine()


class Hanging(ScriptedSend):
    """Never answers."""

    async def __call__(self, call: Call, addresses: Addresses, commitment: Commitment | None) -> Answer:
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_job_that_runs_out_of_time_is_cancelled_at_the_provider(task: Task) -> None:
    send = ScriptedSend(answer(202), answer(200))
    with pytest.raises(errors.ProviderTimeout) as failed:
        await maker_of(Job, send, sleep=anyio.sleep, timeout_s=0.05).fill(task, Commitment())
    assert failed.value.details == {"provider": "tiny"}
    assert failed.value.system_message == "The provider did not answer within the deadline"
    assert send.calls == [SUBMIT, CANCEL]


async def test_a_cancelling_call_that_fails_hides_nothing(task: Task) -> None:
    send = ScriptedSend(answer(202), errors.ProviderError())
    with pytest.raises(errors.ProviderTimeout):
        await maker_of(Job, send, sleep=anyio.sleep, timeout_s=0.05).fill(task, Commitment())


async def test_who_watches_the_progress_ends_the_work_and_the_job() -> None:
    def enough(_fraction: float, _step: str) -> None:
        raise LookupError

    send = ScriptedSend(answer(202))
    with pytest.raises(LookupError):
        await maker_of(Job, send, sleep=Naps()).fill(task_of_tiny(), Commitment(), progress=enough)
    assert send.calls == [SUBMIT, CANCEL]


async def test_polls_that_never_end_meet_the_one_deadline(task: Task) -> None:
    class Patient(ScriptedSend):
        async def __call__(self, *arguments: Any) -> Answer:
            await anyio.sleep(0.01)
            self.calls.append(arguments[0])
            return answer(202)

    send = Patient()
    with pytest.raises(errors.ProviderTimeout):
        await maker_of(Job, send, sleep=Naps(), timeout_s=0.1).fill(task, Commitment())
    assert send.calls[0] == SUBMIT
    assert send.calls.count(SUBMIT) == 1


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        # What an answer named and cannot be fetched is the provider's fault, whatever the status.
        ((answer(202), answer(200), answer(403)), "open"),
        ((answer(202), answer(200), answer(404)), "open"),
        ((answer(202), answer(401)), "closed"),
        ((answer(402),), "closed"),
    ],
)
async def test_only_what_the_provider_can_help_gives_it_a_pause(
    task: Task, answers: tuple[Answer, ...], state: str
) -> None:
    class Strict(Provider):
        def converse(self, task: Task) -> Conversation:
            for call in (SUBMIT, POLL, FETCH):
                reply = yield from ask(call)
                if reply.status >= 400:
                    raise errors.ProviderError
            raise AssertionError

    maker = maker_of(Strict, ScriptedSend(*answers * 10))
    for _ in range(10):
        with pytest.raises(errors.ProviderError):
            await maker.fill(task, Commitment())
    assert maker.breaker is not None
    assert maker.breaker.state == state


async def test_work_for_the_engine_is_a_step_too(task: Task) -> None:
    class Engine(Provider):
        def converse(self, task: Task) -> Conversation:
            work = Extend(photo=task.photo, sides=Sides(left=4), seed=2, quality="fast")
            made = yield from compute(work)
            return Fill(pixels=made.pixels, facts=PictureFacts(provider="tiny", request_id="r"))

    engine = EdgeEngine()
    facts = replace(TINY, computes_here=True, bills=False)
    maker = maker_of(Engine, ScriptedSend(), facts=facts, engine=engine)
    fill = await maker.fill(task, Commitment())
    assert fill.pixels.shape == (16, 24, 3)
    assert engine.calls == [(2, "fast")]
    assert maker.breaker is None


async def test_the_attempts_to_connect_share_the_deadline(task: Task) -> None:
    async with Sender(backoff_s=60) as send:
        with pytest.raises(errors.ProviderTimeout):
            await maker_of(Tiny, send, settings={"base_url": "http://127.0.0.1:9"}, timeout_s=0.05).fill(
                task, Commitment()
            )
