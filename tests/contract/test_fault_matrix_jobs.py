"""Every way in which a job can fail after it was submitted: one code each, no leak, and never a second submit.

The rows are those of providers that take a job, are polled, and name where its picture lies; a provider joins by one
entry in ``JOBS``.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest
from test_fault_matrix import (
    CANARY,
    MAX_ANSWER,
    Failed,
    Invalid,
    Limited,
    Refused,
    Spent,
    check,
    do_not_wait,
    from_submit,
    runs_out_of_time,
    says,
    submits,
)

from fixtures_plugin import sketch_row
from uncrop import errors
from uncrop.model import Sides, Task, UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.maker import UNBILLED, Maker
from uncrop.providers.registry import load_rows
from uncrop.providers.transport.sender import Sender
from uncrop.testing import Emulator, Outcome, emulator_of, outcomes
from uncrop.testing.pictures import photo_jpeg, photo_png, truncated
from uncrop.testing.workbench import make_context, make_registry, make_task

ATTEMPTS = 6  # of what can be repeated


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """How one provider speaks of its jobs.

    Attributes
    ----------
    taken, ready
        The answer to a submit that names this address to poll, and to a poll that names this address of the picture.
    failed, rejected
        Answers of a job that failed, and of one whose contents were refused; each with the code that is told.
    rejected_as
        What a refused job is to us.
    file_host
        A host, beside its own, that its row lets downloads go to.
    submit_status
        Of the answer to a submit.
    cancels
        It can be told to end a job.
    """

    taken: Callable[[str], object]
    ready: Callable[[str], object]
    failed: tuple[object, str]
    rejected: tuple[object, str]
    rejected_as: type[errors.UncropError] = errors.ContentRejected
    file_host: str | None = None
    submit_status: int = 200
    cancels: bool = True


JOB_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


def job_of(status: str, *messages: object, outputs: object = None) -> dict[str, object]:
    told = {"status_str": status, "completed": status == "success", "messages": list(messages)}
    return {JOB_ID: {"prompt": [], "outputs": outputs or {}, "status": told}}


@pytest.fixture(autouse=True)
def _known_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all jobs have one id, where it is drawn here, so that a script can name it."""
    monkeypatch.setattr("uncrop.providers.comfyui.provider.new_job_id", lambda: JOB_ID)


ROWS = {**load_rows(()), "sketch": sketch_row()}
JOBS = {
    "sketch": Jobs(
        taken=lambda address: {"id": "1", "polling_url": address},
        ready=lambda address: {"status": "Ready", "sample": address},
        failed=({"status": "Failed", "why": CANARY}, "Failed"),
        rejected=({"status": "Moderated", "why": CANARY}, "Moderated"),
        file_host="files.sketch.example.org",
    ),
    "bfl": Jobs(
        taken=lambda address: {"id": "1", "polling_url": address},
        ready=lambda address: {"id": "1", "status": "Ready", "result": {"sample": address}},
        failed=({"id": "1", "status": "Error", "details": CANARY}, "Error"),
        rejected=({"id": "1", "status": "Content Moderated", "details": CANARY}, "Content Moderated"),
        file_host="delivery-eu1.bfl.ai",
        cancels=False,
    ),
    "bria": Jobs(
        taken=lambda address: {"request_id": "1", "status_url": address},
        ready=lambda address: {"request_id": "2", "status": "COMPLETED", "result": {"image_url": address}},
        failed=({"request_id": "2", "status": "ERROR", "error": {"code": 500, "message": CANARY}}, "ERROR"),
        rejected=(
            {"request_id": "2", "status": "ERROR", "error": {"code": 422, "message": f"content moderation {CANARY}"}},
            "ERROR",
        ),
        file_host="bria-temp.s3.amazonaws.com",
        submit_status=202,
        cancels=False,
    ),
    "comfyui": Jobs(
        # No address is named: the id and the file's name become parts of one.
        taken=lambda address: {"prompt_id": address, "number": 1, "node_errors": {}},
        ready=lambda address: job_of("success", outputs={"picture": {"images": [{"filename": address}]}}),
        failed=(job_of("error", ["execution_error", {"exception_message": CANARY}]), "execution_error"),
        rejected=(job_of("error", ["execution_interrupted", {"node_id": CANARY}]), "execution_interrupted"),
        rejected_as=Failed,
    ),
}


@pytest.fixture(scope="module", params=JOBS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def emulator(name: str) -> Iterator[Any]:
    with emulator_of(ROWS[name])() as running:
        yield running


@pytest.fixture
async def maker(name: str, emulator: Emulator) -> AsyncIterator[Maker]:
    async with Sender(max_answer_bytes=MAX_ANSWER, sleep=do_not_wait) as send:
        yield maker_over(send, name, emulator)


def maker_over(send: Sender, name: str, emulator: Emulator, *, waits: bool = False, timeout_s: float = 60) -> Maker:
    context = make_context(send=send, timeout_s=timeout_s)
    context = context if waits else replace(context, sleep=do_not_wait)
    return make_registry(context, rows=ROWS, urls={name: emulator.url}).get(name)


@pytest.fixture
def task(name: str) -> Task:
    return make_task(UncropRequest(provider="", image=photo_jpeg(96, 64), sides=Sides(left=4)), ROWS[name])


async def fails(maker: Maker, task: Task, emulator: Any, kind: type[errors.UncropError]) -> errors.UncropError:
    """Make a picture that must fail, after exactly one submit; the next one must not."""
    before, calls, commitment = submits(emulator), len(emulator.calls), Commitment()
    with pytest.raises(errors.UncropError) as failed:
        await maker.fill(task, commitment)
    check(failed.value, maker.facts.name, kind, emulator.origin, emulator.files.origin)
    assert submits(emulator) == before + 1
    # A submit that is refused before any work is not billed; a poll that is refused changes nothing.
    refused = len(emulator.calls) == calls + 1 and (failed.value.details or {}).get("provider_status") in UNBILLED
    assert commitment.billed_calls == int(maker.facts.bills and not refused)
    assert not emulator._script
    assert not emulator.files._script
    await succeeds(maker, task, emulator)
    return failed.value


async def succeeds(maker: Maker, task: Task, emulator: Any) -> None:
    before = submits(emulator)
    assert (await maker.fill(task, Commitment())).pixels.size
    assert submits(emulator) == before + 1


def cancelled(emulator: Any) -> int:
    """Return how many jobs were ended by us; none by providers that cannot be told to."""
    return len(getattr(emulator, "cancelled", ()))


def always(outcome: Outcome) -> list[Outcome]:
    """Return a script that lets what is repeated fail every time."""
    return [outcome] * ATTEMPTS


# --- the polls -------------------------------------------------------------------------------------------------------

POLLS: dict[str, tuple[list[Outcome], type[errors.UncropError]]] = {
    "204": ([says(204, b"")], Invalid),
    "302": ([outcomes.redirect("/elsewhere")], Invalid),
    "302 to the metadata service": ([outcomes.redirect("http://169.254.169.254/latest/meta-data/")], Invalid),
    "400": ([says(400)], Failed),
    "401": ([says(401)], Refused),
    "402": ([says(402)], Spent),
    "403": ([says(403)], Refused),
    "an id that nobody knows": ([says(404)], Failed),
    "410": ([says(410)], Failed),
    "422": ([says(422)], Failed),
    "429 for ever": (always(says(429, Retry_After="3")), Limited),
    "500 for ever": (always(says(500)), Failed),
    "503 for ever": (always(says(503)), Failed),
    "a page": ([outcomes.html(200)], Invalid),
    "a list": ([says(200, b"[1, 2]")], Invalid),
    "a text": ([says(200, CANARY.encode())], Invalid),
    "nothing": ([says(200, b"")], Invalid),
    "JSON without end": ([says(200, b"[" * 100_000)], Invalid),
    "a state that nobody knows": ([outcomes.answer_json({"status": CANARY})], Invalid),
    "a state that is no text": ([outcomes.answer_json({"status": ["Ready"]})], Invalid),
    "a page on the way": ([outcomes.html(202)], Invalid),
    "not HTTP for ever": (always(outcomes.garbage()), Invalid),
    "no answer for ever": (always(outcomes.hang_up_unanswered()), Invalid),
    "a reset for ever": (always(outcomes.hang_up_unanswered(reset=True)), Failed),
    "too much": ([outcomes.oversize(MAX_ANSWER + 1)], Invalid),
}


@pytest.mark.parametrize("fault", POLLS)
async def test_a_poll_that_fails(maker: Maker, emulator: Any, task: Task, name: str, fault: str) -> None:
    script, kind = POLLS[fault]
    emulator.script(*from_submit(name, outcomes.as_real(), *script))
    await fails(maker, task, emulator, kind)


@pytest.mark.parametrize("ending", ["failed", "rejected"])
async def test_a_job_that_fails_tells_its_code_alone(
    maker: Maker, emulator: Any, task: Task, name: str, ending: str
) -> None:
    body, code = getattr(JOBS[name], ending)
    emulator.script(*from_submit(name, outcomes.as_real(), outcomes.answer_json(body)))
    error = await fails(maker, task, emulator, {"failed": Failed, "rejected": JOBS[name].rejected_as}[ending])
    assert error.details == {"provider": name, "provider_status": 200, "provider_code": code}


async def test_polls_that_fail_now_and_then_do_no_harm(maker: Maker, emulator: Any, task: Task, name: str) -> None:
    now_and_then = (
        outcomes.hang_up_unanswered(),
        says(503, Retry_After="1"),
        outcomes.hang_up_unanswered(reset=True),
        says(429),
        outcomes.garbage(),
    )
    emulator.script(*from_submit(name, outcomes.as_real(), *now_and_then))
    await succeeds(maker, task, emulator)


# --- where answers lead ----------------------------------------------------------------------------------------------

ELSEWHERE = [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "http://elsewhere.test/1",
    "https://elsewhere.test/1",
    "http://localhost/1",
    "http://[::1]/1",
    "file:///etc/passwd",
    "ftp://127.0.0.1/1",
    "data:image/png;base64,AAAA",
    "http://127.0.0.1:9@elsewhere.test/1",
    "http://user:word@127.0.0.1:9/1",
    "http://127.0.0.1:99999/1",
    "http://[::1",
    "http://127.0.0.1:9/a b",
    "/relative",
    "",
]


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_an_address_to_poll_that_leads_elsewhere(
    maker: Maker, emulator: Any, task: Task, name: str, address: str
) -> None:
    emulator.script(*from_submit(name, outcomes.answer_json(JOBS[name].taken(address), JOBS[name].submit_status)))
    error = await fails(maker, task, emulator, Invalid)
    assert error.details == {"provider": name}


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_an_address_of_a_picture_that_leads_elsewhere(
    maker: Maker, emulator: Any, task: Task, name: str, address: str
) -> None:
    emulator.script(*from_submit(name, outcomes.as_real(), outcomes.answer_json(JOBS[name].ready(address))))
    error = await fails(maker, task, emulator, Invalid)
    assert error.details == {"provider": name}


# Those whose answers may lead to another host than their own.
LEADING = [name for name, jobs in JOBS.items() if jobs.file_host is not None]


@pytest.mark.parametrize("name", LEADING, indirect=True)
@pytest.mark.parametrize("number", ["10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1"])
async def test_a_private_number_behind_an_allowed_name(
    maker: Maker, emulator: Any, task: Task, name: str, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def look_up(host: str, port: int, **_: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))]

    monkeypatch.setattr(anyio, "getaddrinfo", look_up)
    host = JOBS[name].file_host
    emulator.script(outcomes.as_real(), outcomes.answer_json(JOBS[name].ready(f"https://{host}/1.png")))
    await fails(maker, task, emulator, Invalid)
    assert asked == [host]


@pytest.mark.parametrize("name", LEADING, indirect=True)
async def test_an_allowed_name_that_nobody_knows(
    maker: Maker, emulator: Any, task: Task, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(host: str, port: int, **_: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(anyio, "getaddrinfo", look_up)
    address = f"https://{JOBS[name].file_host}/1.png"
    emulator.script(*from_submit(name, outcomes.as_real(), outcomes.answer_json(JOBS[name].ready(address))))
    await fails(maker, task, emulator, Failed)


# --- the picture -----------------------------------------------------------------------------------------------------

FILES: dict[str, tuple[list[Outcome], type[errors.UncropError]]] = {
    "204": ([says(204, b"")], Invalid),
    "401": ([says(401)], Failed),
    "403": ([says(403)], Failed),
    "404": ([says(404)], Failed),
    "expired": ([says(410)], Failed),
    "429 for ever": (always(says(429)), Failed),
    "500 for ever": (always(says(500)), Failed),
    "a page": ([outcomes.html(200)], Invalid),
    "nothing": ([says(200, b"")], Invalid),
    "a text": ([says(200, CANARY.encode())], Invalid),
    "half a picture": ([outcomes.corrupt_picture()], Invalid),
    "a forged end": ([says(200, truncated(photo_png(112, 64), forged_end=True))], Invalid),
    "another shape": ([says(200, photo_png(64, 112))], Invalid),
    "a GIF": ([says(200, b"GIF89a" + bytes(100))], Invalid),
    "too much": ([outcomes.oversize(MAX_ANSWER + 1)], Invalid),
    "the end in the middle for ever": (always(outcomes.hang_up(after=500)), Invalid),
    "a reset in the middle for ever": (always(outcomes.hang_up(after=500, reset=True)), Failed),
    "a redirect to another host": ([outcomes.redirect("http://localhost/1.png")], Invalid),
    "a redirect to the metadata service": ([outcomes.redirect("http://169.254.169.254/latest/")], Invalid),
    "a redirect to a file": ([outcomes.redirect("file:///etc/passwd")], Invalid),
    "a redirect to nothing": ([outcomes.redirect("http://[::1")], Invalid),
    "a redirect without an address": ([says(302)], Invalid),
    "too many redirects": ([outcomes.redirect(f"/{number}.png") for number in range(4)], Invalid),
}


@pytest.mark.parametrize("fault", FILES)
async def test_a_picture_that_cannot_be_fetched(maker: Maker, emulator: Any, task: Task, fault: str) -> None:
    script, kind = FILES[fault]
    emulator.files.script(*script)
    await fails(maker, task, emulator, kind)


@pytest.mark.parametrize("times", [1, 3])
async def test_redirects_within_the_host_are_followed(maker: Maker, emulator: Any, task: Task, times: int) -> None:
    before = len(emulator.files.calls)
    # To itself: the emulator knows each picture under one name.
    await succeeds(maker, task, emulator)
    path = emulator.files.calls[-1].path
    emulator.files.script(*[outcomes.redirect(path, 307)] * times)
    await succeeds(maker, task, emulator)
    assert len(emulator.files.calls) == before + 1 + times + 1
    assert emulator.files.calls[-1].path == path


async def test_a_download_that_breaks_off_now_and_then_does_no_harm(maker: Maker, emulator: Any, task: Task) -> None:
    emulator.files.script(
        outcomes.hang_up(after=500), says(503), outcomes.hang_up(after=500, reset=True), outcomes.hang_up_unanswered()
    )
    await succeeds(maker, task, emulator)


async def test_no_download_carries_a_credential(maker: Maker, emulator: Any, task: Task) -> None:
    await succeeds(maker, task, emulator)
    for call in emulator.files.calls:
        assert set(call.headers) <= {"host", "accept", "accept-encoding", "connection", "user-agent"}


# --- the deadline ----------------------------------------------------------------------------------------------------


async def test_a_job_that_never_ends_meets_the_deadline_and_is_cancelled(emulator: Any, name: str) -> None:
    emulator.endless = True
    try:
        async with Sender() as send:
            error = await runs_out_of_time(
                lambda timeout_s: maker_over(send, name, emulator, waits=True, timeout_s=timeout_s),
                lambda: played(emulator, *from_submit(name, outcomes.as_real(), outcomes.as_real())),
                emulator,
            )
    finally:
        emulator.endless = False
    check(error, name, errors.ProviderTimeout, emulator.origin)
    assert submits(emulator) == 1
    assert cancelled(emulator) == JOBS[name].cancels


@pytest.mark.parametrize("outcome", [outcomes.hold(threading.Event()), says(429, Retry_After="3600")])
async def test_a_poll_that_is_not_answered_in_time_meets_it_too(emulator: Any, name: str, outcome: Outcome) -> None:
    async with Sender() as send:
        error = await runs_out_of_time(
            lambda timeout_s: maker_over(send, name, emulator, timeout_s=timeout_s),
            lambda: played(emulator, *from_submit(name, outcomes.as_real(), outcome)),
            emulator,
        )
    check(error, name, errors.ProviderTimeout, emulator.origin)
    assert submits(emulator) == 1
    assert cancelled(emulator) == JOBS[name].cancels


@pytest.mark.parametrize("outcome", [outcomes.hold(threading.Event()), outcomes.drip(0.01)])
async def test_a_picture_that_never_comes_meets_it_and_nothing_is_cancelled(
    emulator: Any, name: str, outcome: Outcome
) -> None:
    async with Sender(sleep=do_not_wait) as send:
        error = await runs_out_of_time(
            lambda timeout_s: maker_over(send, name, emulator, timeout_s=timeout_s),
            lambda: played(emulator.files, outcome, jobs=emulator),
            emulator.files,
        )
    check(error, name, errors.ProviderTimeout, emulator.files.origin)
    assert (submits(emulator), cancelled(emulator)) == (1, 0)


def played(emulator: Any, *script: Outcome, jobs: Any = None) -> None:
    """Forget what came, and play a script."""
    jobs = jobs or emulator
    jobs.calls.clear()
    getattr(jobs, "cancelled", []).clear()
    emulator.script(*script)
