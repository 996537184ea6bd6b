"""Requests under a key, over HTTP: each is carried out once, and its answer comes back as it was."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import httpx2
import pytest

from fixtures_http import Form, Refusal, ask, check, clipdrop_form, send
from fixtures_server import PATH, real, wait_until
from uncrop.ledger import postings
from uncrop.store.books import Closing
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures_server import Real

PHOTO = photo_jpeg(64, 48)
CLIPDROP = clipdrop_form(PHOTO)
# Those that belong to the present request, not to the answer.
OWN = {"x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "date", "idempotent-replayed"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    with real(tmp_path_factory.mktemp("house"), settings={"rate_limit_per_minute": 10_000}) as house:
        yield house


def told(response: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    headers = {name: value for name, value in response.headers.items() if name not in OWN}
    return response.status_code, response.content, headers


def test_a_second_request_gets_the_same_answer_for_nothing(house: Real) -> None:
    before = house.calls(), house.booked()
    first = ask(house.url, CLIPDROP, key=house.key, headers={"Idempotency-Key": "one"})
    second = ask(house.url, CLIPDROP, key=house.key, headers={"Idempotency-Key": "one"})
    assert first.status_code == 200, first.text
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert told(second) == told(first)
    assert (house.calls(), house.booked()) == (before[0] + 1, before[1] + 1)


def keyed(house: Real, key: str, form: Form = CLIPDROP, *, api_key: str = "", **headers: str) -> httpx2.Response:
    sent = {"Idempotency-Key": key, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return ask(house.url, form, key=api_key or house.key, headers=sent)


def multipart(parts: list[tuple[str, str | None, bytes]], boundary: str) -> bytes:
    """Write a form by hand: names, names of files, and values."""
    written = b""
    for name, file_name, value in parts:
        kind = "" if file_name is None else f'; filename="{file_name}"\r\nContent-Type: image/jpeg'
        written += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'.encode()
        written += value + b"\r\n"
    return written + f"--{boundary}--\r\n".encode()


def refused(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


class Counted:
    """How many calls and pictures came of a block."""

    def __init__(self, house: Real) -> None:
        self._house = house
        self.calls = self.pictures = 0

    def __enter__(self) -> Self:
        self._before = self._house.calls(), self._house.booked()
        return self

    def __exit__(self, *_: object) -> None:
        self.calls = self._house.calls() - self._before[0]
        self.pictures = self._house.booked() - self._before[1]


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


# --- the key ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", ["a", "a" * 255, "with a space", '"quoted"', "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
def test_a_key_is_printable_ascii(house: Real, sent: str) -> None:
    with Counted(house) as counted:
        assert keyed(house, sent).status_code == 200
        assert keyed(house, sent).headers["idempotent-replayed"] == "true"
    assert (counted.calls, counted.pictures) == (1, 1)


@pytest.mark.parametrize("sent", [b"", b"a" * 256, "ä".encode(), "ä".encode("latin-1"), b"a\tb"])
def test_anything_else_is_refused_before_the_body(house: Real, sent: bytes) -> None:
    with Counted(house) as counted:
        response = httpx2.post(
            house.url + PATH,
            headers=[(b"X-API-Key", house.key.encode()), (b"Idempotency-Key", sent)],
            data=dict(CLIPDROP.fields),
            files=list(CLIPDROP.files.items()),
        )
        check(
            response,
            Refusal(
                status=400,
                code="IDEMPOTENCY_KEY_INVALID",
                message="Idempotency-Key must be sent once and have 1 to 255 printable ASCII characters",
            ),
        )
    assert counted.calls == 0


def test_two_keys_are_none(house: Real) -> None:
    headers = [("X-API-Key", house.key), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    response = httpx2.post(house.url + PATH, headers=headers, data=dict(CLIPDROP.fields), files=CLIPDROP.files)
    assert refused(response) == (400, "IDEMPOTENCY_KEY_INVALID")


def test_who_asks_is_told_first(house: Real) -> None:
    assert refused(keyed(house, "a" * 256, api_key="uncrop_nobody")) == (401, "INVALID_API_KEY")


def test_without_a_key_every_request_is_its_own(house: Real) -> None:
    with Counted(house) as counted:
        assert all("idempotent-replayed" not in ask(house.url, CLIPDROP, key=house.key).headers for _ in range(2))
    assert (counted.calls, counted.pictures) == (2, 2)


# --- what is the same request ----------------------------------------------------------------------------------------


def test_any_byte_of_what_is_asked_counts(house: Real, key: str) -> None:
    assert keyed(house, key).status_code == 200
    pixel = bytearray(PHOTO)
    pixel[len(pixel) // 2] ^= 1
    others = [
        CLIPDROP.but(extend_left="17"),
        CLIPDROP.but(extend_left="16 "),
        CLIPDROP.but(extend_right="16"),
        CLIPDROP.but(seed=""),
        CLIPDROP.but(nobody_knows_this="1"),
        CLIPDROP.but(image_file=bytes(pixel)),
        CLIPDROP.but(image_file=PHOTO + b"\0"),
        CLIPDROP.but(mask_file=PHOTO),
    ]
    with Counted(house) as counted:
        assert [refused(keyed(house, key, form)) for form in others] == [(422, "IDEMPOTENCY_MISMATCH")] * len(others)
    assert counted.calls == 0


def test_how_it_was_written_down_does_not_count(house: Real, key: str) -> None:
    first = keyed(house, key)
    parts = [(name, None, value.encode()) for name, value in CLIPDROP.fields.items()]
    parts.append(("image_file", "another name.jpg", PHOTO))
    with Counted(house) as counted:
        for boundary, order in (("x", parts), ("-" * 70, parts[::-1]), ("y", [parts[-1], *parts[:-1]])):
            body = b"preamble\r\n" + multipart(order, boundary) + b"\r\nepilogue"
            response = httpx2.post(
                house.url + PATH,
                headers={
                    "Authorization": f"Bearer {house.key}",
                    "Content-Type": f"multipart/form-data; boundary={boundary}",
                    "Idempotency-Key": key,
                    "X-Request-Id": f"another-{len(boundary)}",
                },
                content=body,
            )
            assert told(response) == told(first)
            assert response.headers["idempotent-replayed"] == "true"
            assert response.headers["x-request-id"] == f"another-{len(boundary)}"
    assert counted.calls == 0


def test_the_address_counts(house: Real, key: str) -> None:
    assert keyed(house, key).status_code == 200
    other = httpx2.post(
        house.url + "/v1/images/uncrop",
        headers={"X-API-Key": house.key, "Idempotency-Key": key},
        data=dict(CLIPDROP.fields),
        files=CLIPDROP.files,
    )
    assert refused(other) == (422, "IDEMPOTENCY_MISMATCH")


def test_the_kind_of_answer_counts_where_it_changes_the_answer(house: Real, key: str) -> None:
    with Counted(house) as counted:
        first = keyed(house, key, Accept="application/json")
        assert first.headers["content-type"] == "application/json"
        assert told(keyed(house, key, Accept="application/json, image/*;q=0.5")) == told(first)
        assert refused(keyed(house, key, Accept="image/jpeg")) == (422, "IDEMPOTENCY_MISMATCH")
        several = CLIPDROP.but(variations="2")
        first = keyed(house, f"{key}-2", several)
        assert len(first.json()["images"]) == 2
        assert told(keyed(house, f"{key}-2", several, Accept="application/json")) == told(first)
    assert (counted.calls, counted.pictures) == (3, 3)


def test_a_key_belongs_to_an_organization_whichever_key_asks(house: Real, key: str) -> None:
    first = keyed(house, key)
    with Counted(house) as counted:
        rotated = house.new_key().key
        assert told(keyed(house, key, api_key=rotated)) == told(first)
    assert counted.calls == 0
    stranger = house.new_key("org_stranger").key
    with Counted(house) as counted:
        assert refused(keyed(house, key, api_key=stranger)) == (403, "ORGANIZATION_ACCESS_DENIED")
        own = keyed(house, key, CLIPDROP.but(organization_id="org_stranger", extend_left="24"), api_key=stranger)
        assert own.status_code == 200
        assert "idempotent-replayed" not in own.headers
    assert counted.calls == 1
    assert told(keyed(house, key)) == told(first)


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_what_was_refused_before_anything_was_held_is_not_kept(house: Real, key: str) -> None:
    with Counted(house) as counted:
        assert refused(keyed(house, key, CLIPDROP.but(extend_left="9999")))[0] == 422
        assert refused(keyed(house, key, CLIPDROP.but("image_file")))[0] == 422
        assert refused(keyed(house, key, CLIPDROP.but(image_file=PHOTO[:200])))[0] == 422
        assert refused(keyed(house, key, CLIPDROP.but(organization_id="org_other")))[0] == 403
        first = keyed(house, key)
        assert (first.status_code, first.headers.get("idempotent-replayed")) == (200, None)
    assert (counted.calls, counted.pictures) == (1, 1)


def test_a_photo_that_turns_out_broken_leaves_the_key_free(house: Real, key: str) -> None:
    broken = CLIPDROP.but(image_file=PHOTO[: len(PHOTO) // 2] + b"\xff\xd9")
    with Counted(house) as counted:
        assert [refused(keyed(house, key, broken)) for _ in range(2)] == [(422, "INVALID_IMAGE")] * 2
        assert keyed(house, key).status_code == 200
    assert counted.calls == 1


def test_a_failure_that_costs_nothing_leaves_the_key_free(house: Real, key: str) -> None:
    with Counted(house) as counted:
        for outcome in (outcomes.refuse(500), outcomes.refuse(429), outcomes.refuse(401), outcomes.refuse(402)):
            house.clipdrop.script(outcome)
            assert keyed(house, key).status_code >= 429
        assert keyed(house, key).status_code == 200
    assert (counted.calls, counted.pictures) == (5, 1)


def test_a_refusal_of_the_request_is_the_answer_once_a_provider_has_seen_it(house: Real, key: str) -> None:
    house.clipdrop.script(outcomes.refuse(400, b'{"error": "the image is odd"}'))
    with Counted(house) as counted:
        first = keyed(house, key)
        second = keyed(house, key)
    assert refused(first)[0] == 422
    assert told(second) == told(first)
    assert second.headers["idempotent-replayed"] == "true"
    assert (counted.calls, counted.pictures) == (1, 0)


def test_an_outcome_that_is_not_known_binds_the_key_until_it_is_settled(house: Real, key: str) -> None:
    house.clipdrop.script(outcomes.hang_up_unanswered())
    with Counted(house) as counted:
        assert keyed(house, key).status_code in {502, 504}
        unknown = [keyed(house, key) for _ in range(2)]
    assert [refused(each) for each in unknown] == [(409, "IDEMPOTENCY_OUTCOME_UNKNOWN")] * 2
    assert "retry-after" not in unknown[0].headers
    assert (counted.calls, counted.pictures) == (1, 0)
    assert refused(keyed(house, key, CLIPDROP.but(extend_left="17"))) == (422, "IDEMPOTENCY_MISMATCH")
    settle(house, charged=False)
    with Counted(house) as counted:
        assert keyed(house, key).status_code == 200
    assert (counted.calls, counted.pictures) == (1, 1)


def test_what_was_paid_and_has_no_answer_is_gone(house: Real, key: str) -> None:
    house.clipdrop.script(outcomes.hang_up_unanswered())
    assert keyed(house, key).status_code in {502, 504}
    settle(house, charged=True)
    with Counted(house) as counted:
        assert refused(keyed(house, key)) == (410, "RESULT_NOT_KEPT")
    assert counted.calls == 0


def settle(house: Real, *, charged: bool) -> None:
    """Say of the one picture in doubt how it ended."""
    books = house.server.service.store.books
    (hold,) = house.server.do(books.holds(states=("unknown",)))
    closing = Closing(
        state="captured" if charged else "released",
        decide=lambda _, so_far: postings.settle(so_far, charged=charged),
    )
    house.server.do(books.settle(hold.id, closing))


def test_two_requests_at_once_are_one(house: Real, key: str) -> None:
    go_on = threading.Event()
    house.clipdrop.script(outcomes.hold(go_on))
    with Counted(house) as counted, ThreadPoolExecutor() as pool:
        calls = house.calls()
        first = pool.submit(keyed, house, key)
        house.clipdrop.wait_for_calls(calls + 1)
        during = keyed(house, key)
        assert refused(during) == (409, "IDEMPOTENCY_IN_PROGRESS")
        assert int(during.headers["retry-after"]) >= 1
        assert refused(keyed(house, key, CLIPDROP.but(extend_left="17"))) == (422, "IDEMPOTENCY_MISMATCH")
        go_on.set()
        answered = first.result()
        assert answered.status_code == 200
        assert told(keyed(house, key)) == told(answered)
    assert (counted.calls, counted.pictures) == (1, 1)


def test_who_left_comes_back_for_the_answer(house: Real, key: str) -> None:
    go_on = threading.Event()
    house.clipdrop.script(outcomes.hold(go_on))
    with Counted(house) as counted:
        calls = house.calls()
        leaving = send(house.url, CLIPDROP, key=house.key, headers={"Idempotency-Key": key})
        house.clipdrop.wait_for_calls(calls + 1)
        leaving.close()
        go_on.set()
        wait_until(lambda: keyed(house, key).status_code == 200)
        assert keyed(house, key).headers["idempotent-replayed"] == "true"
    assert (counted.calls, counted.pictures) == (1, 1)


def test_a_replay_is_a_request_and_nothing_more(tmp_path: Path) -> None:
    with real(tmp_path, settings={"clipdrop_rate_limit_per_minute": 1, "usage_limit_per_day": 1}) as house:
        assert keyed(house, "a").headers["x-ratelimit-remaining"] == "59"
        again = [keyed(house, "a") for _ in range(3)]
        assert [each.headers["idempotent-replayed"] for each in again] == ["true"] * 3
        assert again[-1].headers["x-ratelimit-remaining"] == "56"
        assert (house.calls(), house.booked()) == (1, 1)


def test_an_answer_that_cannot_be_kept_is_delivered_all_the_same(tmp_path: Path) -> None:
    with real(tmp_path) as house:
        (tmp_path / "objects").write_text("in the way of the folder")
        assert keyed(house, "a").status_code == 200
        assert refused(keyed(house, "a")) == (410, "RESULT_NOT_KEPT")
        assert (house.calls(), house.booked()) == (1, 1)
        (tmp_path / "objects").unlink()
        assert keyed(house, "b").status_code == 200
        assert keyed(house, "b").headers["idempotent-replayed"] == "true"


def test_an_answer_that_was_damaged_is_not_sent(tmp_path: Path) -> None:
    with real(tmp_path) as house:
        assert keyed(house, "a").status_code == 200
        (kept,) = (path for path in (tmp_path / "objects").rglob("*") if path.is_file())
        kept.write_bytes(kept.read_bytes()[:-1])
        assert refused(keyed(house, "a")) == (410, "RESULT_NOT_KEPT")
        kept.unlink()
        assert refused(keyed(house, "a")) == (410, "RESULT_NOT_KEPT")
        assert house.calls() == 1


def test_keys_live_on_in_the_next_server(tmp_path: Path) -> None:
    with real(tmp_path) as house:
        first, api_key = keyed(house, "a"), house.key
    with real(tmp_path, key=False) as house:
        assert told(keyed(house, "a", api_key=api_key)) == told(first)
        assert house.calls() == 0
