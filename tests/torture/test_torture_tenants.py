"""Keys and organizations: what one of them can find out about, and do to, another. Group C of the trust plan."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest

from fixtures_server import Real
from fixtures_tenants import NOBODYS, OURS, PROVIDER_KEY, THEIRS, Tenants, fingerprint, open_tenants
from fixtures_torture import Cases
from uncrop.errors import NotFound, UsageLimitExceeded
from uncrop.ledger.ledger import Ledger
from uncrop.model import SCOPES, Caller
from uncrop.providers.registry import load_rows
from uncrop.store.database import open_store

API = "/api/v1"
GUESSED = "0123456789"
Operation = tuple[str, str]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Tenants]:
    with open_tenants(tmp_path) as opened:
        yield opened


def document_of(tenants: Tenants) -> dict[str, Any]:
    found: dict[str, Any] = tenants.ask("GET", "/openapi.json").json()
    return found


def operations_of(document: dict[str, Any]) -> list[Operation]:
    """Return the operations that need a key, but for those that take a form: all that the document knows.

    Jobs and webhooks are tried in ``test_torture_tenants_jobs.py``, with a server that takes some.
    """
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation["security"]
        and not {"jobs", "webhooks"} & set(operation["tags"])
        and "multipart/form-data" not in json.dumps(operation.get("requestBody", {}))
    ]


def filled(path: str, organization: str, key_id: str, provider: str = "clipdrop") -> str:
    picture = {OURS: "use_ours", THEIRS: "use_theirs"}.get(organization, "use_nobodys")
    return path.format(
        organization_id=organization, key_id=key_id, provider=provider, picture_id=picture, request_id="id-of-theirs"
    )


def body_of(method: str, path: str, organization: str = OURS) -> dict[str, Any] | None:
    """Return a body with which an operator would be answered with success."""
    if method in {"GET", "DELETE"} or path.rpartition("/")[2] in {"pause", "resume", "revoke", "cancel"}:
        return None
    if path.endswith("/api-keys"):
        return {"organization_id": organization}
    if path.endswith("/settle"):
        return {"charged": False} if "{" in path else {"charged": False, "older_than_seconds": 0}
    if path.endswith("/adjust"):
        return {"usd": "0.02", "reason": "a refund"}
    return {"key": "sk-0123456789abcdef"} if "provider-keys" in path else {}


# --- C1 --------------------------------------------------------------------------------------------------------------


def test_no_issued_key_is_found_in_database_files_or_log(
    fresh: Tenants, tmp_path: Path, caplog: pytest.LogCaptureFixture, cases: Cases
) -> None:
    caplog.set_level("DEBUG")
    operator, issued = fresh.keys["operator"], dict(fresh.keys)
    for number in range(cases.number(2, 12)):
        new = fresh.ask(
            "POST", f"{API}/api-keys", operator, body={"organization_id": OURS, "name": f"n{number}"}
        ).json()
        issued[f"n{number}"] = new["key"]
        rotated = fresh.ask("POST", f"{API}/api-keys/{new['id']}/rotate", operator, body={}).json()
        issued[f"r{number}"] = rotated["key"]
    for key in issued.values():
        for place in (f"{API}/organizations/{key}", f"{API}/api-keys?cursor={key}", f"/{key}", f"{API}/usage?{key}=1"):
            fresh.ask("GET", place, key)
        fresh.ask("PATCH", f"{API}/organizations/{OURS}", key, body={key: key})
    files = b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "kernels" not in path.parts
    )
    log = "".join(record.getMessage() for record in caplog.records if record.name.startswith("uncrop"))
    places = {"files": files, "log": log.encode(), "audit": repr(fresh.rows()["audit_log"]).encode()}

    assert all(fresh.ids["ours"].encode() in place for place in places.values()), "the search finds nothing at all"
    secrets = [key.encode()[-43:] for key in issued.values()] + [PROVIDER_KEY.encode()]
    found = [(name, secret) for name, place in places.items() for secret in secrets if secret in place]
    assert found == []
    cases.ran(len(secrets) * len(places))


# --- C2 --------------------------------------------------------------------------------------------------------------


def welch_t(one: list[float], two: list[float]) -> float:
    """Return Welch's t of the faster halves, which the rest of the machine disturbs least."""
    halves = [sorted(times)[: len(times) // 2] for times in (one, two)]
    means = [statistics.fmean(half) for half in halves]
    errors = [statistics.variance(half) / len(half) for half in halves]
    return (means[0] - means[1]) / math.sqrt(sum(errors))


def in_turn(times: dict[str, list[float]], number: int) -> list[tuple[str, list[float]]]:
    """Return both, each first every second time: who comes second finds the caches warm."""
    return sorted(times.items(), reverse=bool(number % 2))


def test_the_measure_sees_a_comparison_that_ends_early() -> None:
    """The control of those below: letter by letter, what is right longer takes longer."""
    key = "A" * 43

    def alike(text: str) -> bool:
        return all(mine == theirs for mine, theirs in zip(key, text, strict=True))

    texts, times = ("B" + key[1:], key[:-1] + "B"), ([], [])
    for _ in range(4_000):
        for text, taken in zip(texts, times, strict=True):
            begun = time.perf_counter()
            assert not alike(text)
            taken.append(time.perf_counter() - begun)
    assert abs(welch_t(*times)) > 4.5


@pytest.mark.slow
async def test_the_time_of_a_refusal_does_not_tell_how_much_of_a_key_is_right(tmp_path: Path, cases: Cases) -> None:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'uncrop.db'}", pepper=bytes(32)) as store:
        key = (await store.keys.create("org_a")).key
        end = key[-1]
        early, late = f"{key[:18]}{'B' if key[18] == 'A' else 'A'}{key[19:]}", key[:-1] + ("B" if end == "A" else "A")
        times: dict[str, list[float]] = {early: [], late: []}
        for number in range(cases.number(5_000, 100_000)):
            for text, taken in in_turn(times, number):
                begun = time.perf_counter()
                assert await store.keys.verify(text) is None
                taken.append(time.perf_counter() - begun)
        t = welch_t(times[early], times[late])
        assert abs(t) < 4.5, f"t = {t:.1f}"
        cases.ran(2 * len(times[early]))


@pytest.mark.slow
def test_the_time_does_not_tell_whether_there_is_such_a_key_of_others(fresh: Tenants, cases: Cases) -> None:
    administration = fresh.house.server.service.administration
    caller = fresh.do(fresh.house.server.service.authenticator.authenticate([fresh.keys["ours"]]))

    async def measure() -> dict[str, list[float]]:
        times: dict[str, list[float]] = {fresh.ids["theirs"]: [], GUESSED: []}
        for number in range(cases.number(2_000, 20_000)):
            for key_id, taken in in_turn(times, number):
                begun = time.perf_counter()
                try:
                    await administration.api_key(caller, key_id)
                except NotFound:
                    taken.append(time.perf_counter() - begun)
        return times

    times = fresh.do(measure())
    t = welch_t(times[fresh.ids["theirs"]], times[GUESSED])
    assert abs(t) < 4.5, f"t = {t:.1f}"
    cases.ran(2 * len(times[GUESSED]))


# --- C3 --------------------------------------------------------------------------------------------------------------


def test_each_operation_by_each_kind_of_caller(tenants: Tenants, cases: Cases) -> None:
    """Nobody but an operator changes anything, and of what is others' nothing can be told from what is not there."""
    document, ran = document_of(tenants), 0
    before = tenants.rows()
    no_key = {
        "none": (None, "AUTHENTICATION_REQUIRED"),
        "unknown": (tenants.keys["ours"][:-4] + "AAAA", "INVALID_API_KEY"),
        "odd": ("uncrop_", "INVALID_API_KEY"),
        "revoked": (tenants.keys["revoked"], "API_KEY_DEACTIVATED"),
        "expired": (tenants.keys["expired"], "API_KEY_EXPIRED"),
        "paused": (tenants.keys["paused"], "API_KEY_PAUSED"),
    }
    for method, path in operations_of(document):
        body = body_of(method, path)

        def answer(key: str | None, organization: str = OURS, key_id: str = tenants.ids["ours"]) -> httpx2.Response:
            nonlocal ran
            ran += 1
            return tenants.ask(method, filled(path, organization, key_id), key, body=body)  # noqa: B023

        for key, code in no_key.values():
            refused = answer(key)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, code), (method, path)
        if "/requests/" in path:
            assert answer(tenants.keys["usage"]).json()["error"]["code"] == "SCOPE_MISSING"
            continue
        assert answer(tenants.keys["images"]).json()["error"]["code"] == "SCOPE_MISSING", (method, path)
        own = answer(tenants.keys["ours"])
        changes = method != "GET" or path.endswith("/audit")
        assert own.status_code == (403 if changes else 200), (method, path, own.text)
        foreign = answer(tenants.keys["ours"], THEIRS, tenants.ids["theirs"])
        absent = answer(tenants.keys["ours"], NOBODYS, GUESSED)
        assert fingerprint(foreign) == fingerprint(absent), (method, path)
        if "{" in path:
            assert foreign.status_code == (403 if changes else 404)
    assert tenants.rows() == before
    cases.ran(ran)


def test_lists_by_the_name_of_another_organization_are_as_if_it_were_not_there(tenants: Tenants, cases: Cases) -> None:
    before, paths = tenants.rows(), [f"{API}/api-keys", f"{API}/usage"]
    for path in paths:
        answers = [
            fingerprint(tenants.ask("GET", path, tenants.keys["ours"], params={"organization_id": name}))
            for name in (THEIRS, NOBODYS, "nonsense", "")
        ]
        assert answers[0][0] == 404
        assert all(answer == answers[0] for answer in answers)
    assert tenants.rows() == before
    cases.ran(4 * len(paths))


def test_what_was_taken_away_or_is_elsewhere_is_not_there(fresh: Tenants, cases: Cases) -> None:
    operator = fresh.keys["operator"]
    fresh.do(fresh.store.provider_keys.put(THEIRS, "openai", "sk-0123456789abcdef"))
    fresh.do(fresh.store.provider_keys.remove(OURS, "clipdrop"))
    before = fresh.rows()
    absent = [
        ("DELETE", f"{API}/organizations/{OURS}/provider-keys/clipdrop"),  # deleted before
        ("DELETE", f"{API}/organizations/{OURS}/provider-keys/openai"),  # of another organization
        ("DELETE", f"{API}/organizations/{OURS}/provider-keys/nobody"),
        ("DELETE", f"{API}/organizations/{NOBODYS}/provider-keys/openai"),
        ("GET", f"{API}/organizations/{OURS}%00"),
        ("GET", f"{API}/api-keys/{fresh.ids['ours']}%00"),
        ("GET", f"{API}/api-keys/{fresh.ids['ours'].swapcase()}"),
        ("POST", f"{API}/api-keys/{GUESSED}/revoke"),
        ("POST", f"{API}/api-keys/{GUESSED}/rotate"),
    ]
    answers = [fingerprint(fresh.ask(method, path, operator)) for method, path in absent]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 404
    for verb in ("rotate", "pause", "resume"):
        revoked = fresh.ask("POST", f"{API}/api-keys/{fresh.ids['revoked']}/{verb}", operator)
        assert revoked.status_code == 422
    assert fresh.rows() == before
    cases.ran(len(absent) + 3)


# --- C5 --------------------------------------------------------------------------------------------------------------

SLIPPED_IN = {
    "organization_id": THEIRS,
    "id": "org_mine",
    "credits": 10**9,
    "price": "0",
    "scopes": ["admin"],
    "scope": "admin",
    "state": "active",
    "status": "active",
    "created_at": "2000-01-01T00:00:00Z",
    "revoked_at": None,
    "paused_at": None,
    "digest": "00",
    "pepper": "00",
    "daily_limit": 0,
    "replaced_by": None,
    "last_used_at": None,
    "is_operator": True,
    "has_provider_keys": True,
    "sealed": "00",
    "actor": "somebody",
    "__class__": "x",
}


def test_no_field_can_be_slipped_in(tenants: Tenants, cases: Cases) -> None:
    """Whatever a body holds beside its documented fields is refused, and changes nothing."""
    document, ran = document_of(tenants), 0
    before = tenants.rows()
    for method, path in operations_of(document):
        described = document["paths"][path][method.lower()].get("requestBody")
        if described is None:
            continue
        schema = described["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        known = document["components"]["schemas"][schema]["properties"]
        for name, value in cases.some(list(SLIPPED_IN.items()), 4):
            if name in known:
                continue
            body = {**(body_of(method, path) or {}), name: value}
            for key, status in ((tenants.keys["operator"], 422), (tenants.keys["ours"], 403)):
                answer = tenants.ask(method, filled(path, OURS, tenants.ids["ours"]), key, body=body)
                assert answer.status_code == status, (method, path, name, answer.text)
                ran += 1
            answer = tenants.ask(method, filled(path, OURS, tenants.ids["ours"]), tenants.keys["operator"], body=body)
            assert answer.json()["error"]["details"] == {"fields": {name: "is not known"}}
    assert tenants.rows() == before
    cases.ran(ran)


def test_no_answer_tells_more_than_is_documented(fresh: Tenants, cases: Cases) -> None:
    document, ran = document_of(fresh), 0
    for method, path in operations_of(document):
        if "/requests/" in path:
            continue
        # Of a key of its own each time, since some of these end it.
        fresh.add("victim", OURS)
        organization = OURS if path != f"{API}/organizations" else "org_another"
        answer = fresh.ask(
            method,
            filled(path, organization, fresh.ids["victim"]),
            fresh.keys["operator"],
            body=body_of(method, path, organization),
        )
        assert answer.status_code < 300, (method, path, answer.text)
        responses = document["paths"][path][method.lower()]["responses"]
        described = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**document, **described}, answer.json())
        assert PROVIDER_KEY not in answer.text
        ran += 1
    cases.ran(ran)


# --- C6 --------------------------------------------------------------------------------------------------------------

OTHER_PROCESS = """
import asyncio, sys
from datetime import timedelta
from uncrop import settings
from uncrop.bootstrap import open_store_from

async def main():
    async with open_store_from(settings.load(_env_file=None, data_dir=sys.argv[1])) as store:
        for line in sys.stdin:
            verb, key_id = line.split()
            if verb == "rotate":
                print((await store.keys.rotate(key_id, overlap=timedelta(0))).key, flush=True)
            else:
                await getattr(store.keys, verb)(key_id)
                print(verb, flush=True)

asyncio.run(main())
"""


def test_what_another_process_decides_holds_within_a_second(fresh: Tenants, cases: Cases) -> None:
    folder = str(fresh.house.server.service.settings.data_dir)
    command = [sys.executable, "-c", OTHER_PROCESS, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def decide(verb: str, key_id: str) -> str:
            other.stdin.write(f"{verb} {key_id}\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        def code(key: str) -> str:
            begun = time.monotonic()
            answer = fresh.ask("GET", f"{API}/organizations", key)
            assert time.monotonic() - begun < 1
            return "OK" if answer.status_code == 200 else answer.json()["error"]["code"]

        rounds = cases.number(1, 12)
        for number in range(rounds):
            fresh.add(f"key {number}", OURS)
            key, key_id = fresh.keys[f"key {number}"], fresh.ids[f"key {number}"]
            assert code(key) == "OK"
            assert (decide("pause", key_id), code(key)) == ("pause", "API_KEY_PAUSED")
            assert (decide("resume", key_id), code(key)) == ("resume", "OK")
            new = decide("rotate", key_id)
            assert (code(key), code(new)) == ("API_KEY_EXPIRED", "OK")
            assert (decide("revoke", new[7:17]), code(new)) == ("revoke", "API_KEY_DEACTIVATED")
        other.stdin.close()
    cases.ran(4 * rounds)


# --- C7 --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("addresses", [1, 50])
def test_a_thousand_wrong_keys_are_refused_alike_and_keep_nobody_out(
    tmp_path: Path, addresses: int, cases: Cases
) -> None:
    with open_tenants(tmp_path, rate_limit_per_minute=10) as tenants:
        sources = [f"127.0.0.{number + 1}" for number in range(addresses)]
        statuses: dict[str, list[int]] = {source: [] for source in sources}
        bodies = set()
        rounds = cases.number(200, 1000)
        for number in range(rounds):
            source = sources[number % addresses]
            with httpx2.Client(transport=httpx2.HTTPTransport(local_address=source, verify=False)) as client:
                wrong = f"uncrop_{number:010}_{'A' * 43}"
                answer = client.get(f"{tenants.house.url}{API}/organizations", headers={"X-API-Key": wrong})
            statuses[source].append(answer.status_code)
            body = answer.json()["error"]
            bodies.add(json.dumps([body["code"], body["message"], body.get("details")]))
        for told in statuses.values():
            assert told[:10] == [401] * min(10, len(told))
            assert set(told[10:]) <= {429, 401}  # the window of a minute moves on meanwhile
            assert told[10:11] in ([429], [])
        assert len(bodies) <= 2
        # From an address that is full of wrong ones, a right key is let in.
        assert tenants.ask("GET", f"{API}/organizations", tenants.keys["ours"]).status_code == 200
        cases.ran(rounds)


# --- C8 --------------------------------------------------------------------------------------------------------------


def test_every_set_of_scopes_opens_what_it_names_alone(fresh: Tenants, cases: Cases) -> None:
    ran = 0
    for size in range(1, len(SCOPES) + 1):
        for scopes in itertools.combinations(SCOPES, size):
            fresh.add("probed", OURS, scopes=scopes)
            key, has = fresh.keys["probed"], set(scopes)
            opened = {
                "GET /organizations": (bool(has & {"usage:read", "admin"}), ("GET", f"{API}/organizations", None)),
                "GET /usage": (bool(has & {"usage:read", "admin"}), ("GET", f"{API}/usage", None)),
                "GET /audit": ("admin" in has, ("GET", f"{API}/audit", None)),
                "PATCH": ("admin" in has, ("PATCH", f"{API}/organizations/{OURS}", {})),
                "GET /requests": ("images:write" in has, ("GET", f"{API}/requests/mine", None)),
            }
            for name, (may, (method, path, body)) in opened.items():
                answer = fresh.ask(method, path, key, body=body)
                assert answer.status_code == (200 if may else 403), (scopes, name, answer.text)
                ran += 1
    cases.ran(ran)


def test_of_many_at_once_as_many_are_let_in_as_the_limit_says(tmp_path: Path, cases: Cases) -> None:
    with open_tenants(tmp_path, rate_limit_per_minute=10) as tenants, ThreadPoolExecutor(64) as threads:

        def one(_number: int) -> tuple[int, str | None]:
            answer = tenants.ask("GET", f"{API}/usage", tenants.keys["ours"])
            return answer.status_code, answer.headers.get("retry-after")

        answers = list(threads.map(one, range(64)))
        assert sorted(status for status, _ in answers) == [200] * 10 + [429] * 54
        assert all(wait is not None and int(wait) >= 1 for status, wait in answers if status == 429)
        # Pictures have a limit of their own, which this has not touched.
        assert tenants.do(_left(tenants.house)) == 10
        cases.ran(len(answers))


async def _left(house: Real) -> int:
    remaining: int = (await house.server.service.rates.state(OURS)).remaining
    return remaining


async def test_of_many_at_once_as_many_are_held_as_the_money_allows(database_url: str, cases: Cases) -> None:
    """By a key's own cap and by its organization's, of two processes' connections, each asking for a cent."""
    cent = replace(load_rows(())["clipdrop"], usd_per_credit=Decimal("0.01"))
    async with open_store(database_url, pepper=bytes(32)) as one, open_store(database_url, pepper=bytes(32)) as two:
        await one.organizations.ensure(OURS)
        capped, free = [(await one.keys.create(OURS)).id for _ in range(2)]
        await one.policies.change_organization(OURS, usd_micro_per_month=100_000)
        await one.policies.change_key(capped, usd_micro_per_month=70_000)
        ledgers = [Ledger(each.books) for each in (one, two)]

        async def hold(number: int, key_id: str) -> str:
            caller = Caller(organization_id=OURS, key_id=key_id)
            try:
                await ledgers[number % 2].hold(caller, cent)
            except UsageLimitExceeded as error:
                return str(error.details["scope"])
            return "held"

        for key_id, told in ((capped, {"held": 7, "key": 57}), (free, {"held": 3, "organization": 61})):
            assert Counter(await asyncio.gather(*(hold(number, key_id) for number in range(64)))) == told
        assert await one.books.verify() == ()
        cases.ran(128)
