"""Forms and requests that are damaged, attacked or cut, byte by byte, against the real protocol."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from torture_forms import ATTACKS, HOSTILE, mutated, raw
from torture_verdict import check_none, miss_of

from fixtures_server import KEY, PATH, Running, already_open, fake_service, running, wait_until
from fixtures_wire import FORM_TYPE, LIVEZ, Hasty, Wire, form, head, requests_seen, send_what_goes, whole
from uncrop.server.form import BodyLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_torture import Cases

STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
# Seconds of CPU time, of the server and the client together, for each megabyte of a body; and how much dearer a byte of
# a long body may be than one of a short body.
MOST_CPU_S_A_MB, STEEPEST = 0.5, 3.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = fake_service(tmp_path_factory.mktemp("forms"), rate_limit=10_000_000)
    limits = BodyLimits(max_bytes=8_000_000, stall_s=0.5, total_s=20)
    with running(already_open(service), protocol=Hasty, limits=limits) as started:
        yield started


def exchange(server: Running, data: bytes) -> bytes:
    """Send, say that this was all, and return whatever comes back."""
    with server.connect() as connection:
        send_what_goes(connection, data)
        answer = b""
        try:
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                answer += piece
        except OSError:
            pass
        return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in STATUS.findall(answer)]


def test_mutated_forms_are_read_or_refused(server: Running, cases: Cases) -> None:
    misses = []
    number = cases.number(120, 995)
    with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        for seed in range(number):
            kind, _, value = FORM_TYPE.partition(": ")
            body = mutated(form(), seed=seed)
            response = client.post(PATH, headers={kind: value, "X-API-Key": KEY}, content=body)
            if (miss := miss_of(response)) is not None:
                misses.append(f"seed {seed}: {miss}")
    cases.ran(number)
    check_none(misses)


def test_a_form_that_was_cut_anywhere_is_never_a_request(server: Running, cases: Cases) -> None:
    body = form()
    # The closing boundary's own line end is not needed.
    cuts = cases.some(range(len(body) - 2), 60)
    before = requests_seen(server)
    misses = []
    for cut in cuts:
        answer = exchange(server, head(FORM_TYPE, f"Content-Length: {cut}") + body[:cut])
        if statuses(answer) != [422]:
            misses.append(f"{cut} bytes: {statuses(answer)}")
    cases.ran(len(cuts))
    check_none(misses)
    assert requests_seen(server) == before


def test_a_client_that_leaves_anywhere_is_not_served(server: Running, cases: Cases) -> None:
    data = whole()
    cuts = cases.some(range(1, len(data)), 60)
    before = requests_seen(server)
    for cut in cuts:
        assert 200 not in statuses(exchange(server, data[:cut])), cut
    cases.ran(len(cuts))
    wait_until(lambda: not server.connections)
    assert requests_seen(server) == before


def test_fuzzed_requests_break_nothing(server: Running, cases: Cases) -> None:
    number = cases.number(150, 7674)
    misses = []
    for seed in range(number):
        found = statuses(exchange(server, raw(seed=seed)))
        if any(status >= 500 and status != 505 for status in found):
            misses.append(f"seed {seed}: {found}")
    cases.ran(number)
    check_none(misses)
    assert statuses(exchange(server, LIVEZ)) == [200]
    wait_until(lambda: not server.connections)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_body_costs_by_its_length(server: Running, attack: str, cases: Cases) -> None:
    sizes = (250_000, 1_000_000, 4_000_000) if cases.full else (100_000, 400_000)
    costs = []
    with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        kind, _, value = FORM_TYPE.partition(": ")
        for size in sizes:
            body = ATTACKS[attack](size)
            begun = time.process_time()
            response = client.post(PATH, headers={kind: value, "X-API-Key": KEY}, content=body)
            costs.append((time.process_time() - begun) / (len(body) / 1e6))
            assert miss_of(response) is None
    cases.ran(len(sizes))
    assert max(costs) <= MOST_CPU_S_A_MB or not cases.full, costs
    # What is refused early costs a fixed sum, which a long body divides by more.
    assert costs[-1] <= STEEPEST * max(costs[0], 0.02), costs


def test_hostile_texts_stay_texts(server: Running, cases: Cases) -> None:
    """Each text in each place: as a value, a file's name, a part's name, a header of the request."""
    misses, ran = [], 0
    with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        for text in cases.some(HOSTILE, 8):
            for place in PLACES:
                ran += 1
                response = _with_text(client, place, text)
                miss = miss_of(response)
                if miss is None and ("x-injected" in response.headers or "set-cookie" in response.headers):
                    miss = "it set a header"
                # The id of a request is echoed if it is a plain word.
                echoed = place == "id" and PLAIN.fullmatch(text)
                if miss is None and len(text) > 4 and not echoed and text in str(response.headers):
                    miss = "it stands in a header"
                if miss is not None:
                    misses.append(f"{place} {text[:30]!r}: {miss}")
    cases.ran(ran)
    check_none(misses)


PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
PLACES = ("provider", "organization_id", "prompt", "seed", "extend_left", "size", "file name", "part", "id", "key")


def _with_text(client: httpx2.Client, place: str, text: str) -> httpx2.Response:
    fields: dict[str, Any] = {"provider": "clipdrop", "organization_id": "org_1"}
    headers = {"X-API-Key": KEY}
    name = "photo"
    if place == "file name":
        name = text
    elif place == "part":
        fields[text or "x"] = "1"
    elif place in {"id", "key"}:
        value = "".join(character for character in text if character.isprintable()).strip().encode() or b"x"
        sent: Any = {**headers, {"id": "X-Request-ID", "key": "X-API-Key"}[place]: value}
        return client.post(PATH, headers=sent, data=fields, files={"image_file": (name, b"x")})
    else:
        fields[place] = text
    return client.post(PATH, headers=headers, data=fields, files={"image_file": (name, b"x")})


def test_the_faults_of_a_head_close_the_connection(server: Running, cases: Cases) -> None:
    """After a refused head nothing more of the same bytes is answered, wherever the fault stands."""
    faults = ["Content-Length: x", "Host: b", "X A: b", "Transfer-Encoding: gzip", "X: \0", "Expect: y", ": z"]
    ran = 0
    for fault in faults:
        for at in range(4):
            ran += 1
            lines = ["A: 1", "B: 2", "C: 3"]
            lines.insert(at, fault)
            with Wire(server) as wire:
                wire.send(head(*lines, method="GET", path="/livez") + LIVEZ + LIVEZ)
                answer = wire.answer()
                assert answer.status in {400, 417}, fault
                assert json.loads(answer.body)["success"] is False
                assert wire.is_closed()
    cases.ran(ran)
