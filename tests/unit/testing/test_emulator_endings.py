"""How scripted calls end, and how an emulator starts and stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from uncrop.imaging.header import read_header
from uncrop.testing import ReceivedCall, outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.emulator import Reply
from uncrop.testing.openai import OpenAIEmulator
from uncrop.testing.pictures import photo_png

PHOTO = photo_png(40, 30)


@pytest.fixture
def clipdrop() -> Iterator[ClipdropEmulator]:
    with ClipdropEmulator() as emulator:
        yield emulator


def post(url: str, client: httpx2.Client | None = None) -> httpx2.Response:
    files = {"image_file": ("image.png", PHOTO, "image/png")}
    send = httpx2.Client(trust_env=False, timeout=30) if client is None else client
    try:
        return send.post(f"{url}/uncrop/v1", headers={"x-api-key": "k"}, files=files, data={"extend_left": "4"})
    finally:
        if client is None:
            send.close()


def test_the_log_tells_what_came(clipdrop: ClipdropEmulator) -> None:
    post(clipdrop.url)
    (call,) = clipdrop.calls
    assert (call.method, call.path, call.headers["x-api-key"], call.malformed) == ("POST", "/uncrop/v1", "k", None)
    assert call.fields == {"extend_left": "4"}
    image = call.files["image_file"]
    assert (image.data, image.filename, image.media_type) == (PHOTO, "image.png", "image/png")


def test_a_script_is_played_once_and_then_calls_are_answered_truly(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.refuse(429, Retry_After="2"), outcomes.refuse(500, b"mine"), outcomes.html())
    limited, failed, page, good = (post(clipdrop.url) for _ in range(4))
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")
    assert limited.json() == {"error": "Too many requests, blocked by the rate limiter."}
    assert (failed.status_code, failed.content) == (500, b"mine")
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert good.status_code == 200
    assert len(clipdrop.calls) == 4


def test_a_status_without_words_of_its_own(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.refuse(599))
    assert post(clipdrop.url).json() == {"error": "This may be a bug on our side."}


def test_a_redirect(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.redirect("http://127.0.0.1:9/", 307))
    response = post(clipdrop.url)
    assert (response.status_code, response.headers["location"], response.content) == (307, "http://127.0.0.1:9/", b"")


def test_a_picture_of_another_size_and_half_a_picture(clipdrop: ClipdropEmulator) -> None:
    whole = post(clipdrop.url).content
    clipdrop.script(outcomes.wrong_size(20, 10), outcomes.corrupt_picture())
    header = read_header(post(clipdrop.url).content)
    assert (header.width, header.height) == (20, 10)
    assert post(clipdrop.url).content == whole[: len(whole) // 2]


@pytest.mark.parametrize("reset", [False, True])
def test_hanging_up_in_the_middle_of_the_body(clipdrop: ClipdropEmulator, reset: bool) -> None:
    clipdrop.script(outcomes.hang_up(after=10, reset=reset))
    with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
        post(clipdrop.url)


def test_hanging_up_without_an_answer(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.hang_up_unanswered(), outcomes.hang_up_unanswered(reset=True), outcomes.garbage())
    with pytest.raises(httpx2.RemoteProtocolError, match="disconnected without sending"):
        post(clipdrop.url)
    with pytest.raises(httpx2.ReadError):
        post(clipdrop.url)
    with pytest.raises(httpx2.RemoteProtocolError):
        post(clipdrop.url)


def test_an_answer_that_is_held_comes_when_its_event_is_set(clipdrop: ClipdropEmulator) -> None:
    event = threading.Event()
    clipdrop.script(outcomes.hold(event))
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(post(clipdrop.url).status_code))
    thread.start()
    clipdrop.wait_for_calls(1)
    assert answers == []
    event.set()
    thread.join()
    assert answers == [200]


def test_a_dripping_answer_arrives_whole(clipdrop: ClipdropEmulator) -> None:
    whole = post(clipdrop.url).content
    clipdrop.script(outcomes.drip(0.0001))
    assert post(clipdrop.url).content == whole


def test_an_oversized_answer(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.oversize(1_000_000))
    assert len(post(clipdrop.url).content) == 1_000_000


def test_waiting_for_calls_that_do_not_come_ends(clipdrop: ClipdropEmulator) -> None:
    with pytest.raises(TimeoutError, match=r"0 of 1 calls came within 0\.01 s"):
        clipdrop.wait_for_calls(1, timeout_s=0.01)


def test_a_connection_is_kept_for_the_next_call_and_closed_at_the_end() -> None:
    with httpx2.Client(trust_env=False) as client:
        with ClipdropEmulator() as emulator:
            assert [post(emulator.url, client).status_code for _ in range(3)] == [200] * 3
            assert len(emulator._server._connections) == 1
        with pytest.raises(httpx2.ConnectError):
            post(emulator.url, client)


def test_it_stops_at_once_though_an_answer_is_held() -> None:
    thread_count, started = threading.active_count(), time.monotonic()
    with ClipdropEmulator() as emulator:
        emulator.script(outcomes.hold(threading.Event()))
        failed: list[Exception] = []

        def call() -> None:
            try:
                post(emulator.url)
            except httpx2.HTTPError as error:
                failed.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        emulator.wait_for_calls(1)
    thread.join()
    assert time.monotonic() - started < 30  # and not until the event is set, which is never
    assert len(failed) == 1
    assert threading.active_count() == thread_count


class Faulty(ClipdropEmulator):
    def answer(self, call: ReceivedCall, outcome: outcomes.Outcome) -> Reply:
        raise ZeroDivisionError


def call_a_faulty_emulator(then: type[Exception] | None = None) -> None:
    with Faulty() as emulator:
        with pytest.raises(httpx2.RemoteProtocolError):
            post(emulator.url)
        if then is not None:
            raise then


def test_a_fault_of_the_emulator_itself_is_not_lost() -> None:
    with pytest.raises(ZeroDivisionError):
        call_a_faulty_emulator()


def test_but_it_hides_no_failure_of_the_test() -> None:
    with pytest.raises(LookupError):
        call_a_faulty_emulator(LookupError)


def test_a_refusal_of_openais_in_its_words() -> None:
    with OpenAIEmulator() as openai:
        openai.script(outcomes.refuse(503))
        response = httpx2.post(f"{openai.url}/images/edits", trust_env=False)
    assert (response.status_code, response.json()) == (
        503,
        {"error": {"message": "scripted", "type": "server_error", "param": None, "code": None}},
    )


def test_what_came_by_half_is_no_call(clipdrop: ClipdropEmulator) -> None:
    host, port = clipdrop.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as sender:
        sender.sendall(b"POST /uncrop/v1 HTTP/1.1\r\ncontent-length: 100\r\n\r\n--abc")
        sender.shutdown(socket.SHUT_WR)  # as the kernel does for a process that was killed
        assert sender.recv(1) == b""
    post(clipdrop.url)
    assert len(clipdrop.calls) == 1


def test_a_body_that_is_no_form_is_kept_as_it_came(clipdrop: ClipdropEmulator) -> None:
    for content in (b'{"steps": 3}', b"[3]", b"text"):
        httpx2.post(clipdrop.url, content=content, trust_env=False)
    post(clipdrop.url)
    assert [call.body for call in clipdrop.calls] == [b'{"steps": 3}', b"[3]", b"text", b""]
    assert [call.json for call in clipdrop.calls] == [{"steps": 3}, None, None, None]


def test_a_script_can_leave_a_call_out_and_answer_in_json(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.as_real(), outcomes.answer_json({"state": "failed"}, 202))
    assert post(clipdrop.url).status_code == 200
    second = httpx2.delete(clipdrop.url, trust_env=False)
    assert (second.status_code, second.json()) == (202, {"state": "failed"})
    assert [call.method for call in clipdrop.calls] == ["POST", "DELETE"]


def test_a_scripted_header_stands_in_place_of_the_emulators_own(clipdrop: ClipdropEmulator) -> None:
    clipdrop.script(outcomes.refuse(429, b"{}", Content_Type="text/plain"))
    assert post(clipdrop.url).headers.get_list("content-type") == ["text/plain"]
