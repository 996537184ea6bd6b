"""Two organizations that do what they like in turn: neither sees anything of the other's. Row C4 of the trust plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from fixtures_tenants import Tenants, open_tenants
from fixtures_torture import Cases

API = "/api/v1"
PARTIES = ("org_red", "org_blue")
MARKS = {"org_red": "vermilion", "org_blue": "ultramarine"}
STEPS = 25
parties = st.sampled_from(PARTIES)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    with open_tenants(tmp_path_factory.mktemp("two")) as opened:
        yield opened


class TwoTenants(RuleBasedStateMachine):
    """What is there, by organization, and what each of them is told."""

    tenants: Tenants
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        # Ids cannot be used again, so each run has organizations of its own.
        run = TwoTenants.steps
        self.names = {party: f"{party}_{run}_{id(self)}" for party in PARTIES}
        self.keys: dict[str, list[str]] = {party: [] for party in PARTIES}
        self.texts: dict[str, str] = {}
        self.usable: dict[str, bool] = {}
        self.provider_keys: dict[str, set[str]] = {party: set() for party in PARTIES}
        for party in PARTIES:
            self.operate("POST", "/organizations", {"id": self.names[party], "name": MARKS[party]})
            for _ in range(3):
                self.add_key(party)

    def operate(self, method: str, path: str, body: Any = None) -> Any:
        TwoTenants.steps += 1
        answer = self.tenants.ask(method, API + path, self.tenants.keys["operator"], body=body)
        return answer.json() if answer.status_code < 300 else None

    def add_key(self, party: str) -> None:
        new = self.operate("POST", "/api-keys", {"organization_id": self.names[party], "name": MARKS[party]})
        self.remember(party, new)

    def remember(self, party: str, new: dict[str, str]) -> None:
        self.keys[party].append(new["id"])
        self.texts[new["id"]], self.usable[new["id"]] = new["key"], True

    def key_of(self, party: str, number: int) -> str:
        return self.keys[party][number % len(self.keys[party])]

    @rule(party=parties)
    def make_a_key(self, party: str) -> None:
        self.add_key(party)

    @rule(party=parties, number=st.integers(0, 20))
    def rotate(self, party: str, number: int) -> None:
        old = self.key_of(party, number)
        new = self.operate("POST", f"/api-keys/{old}/rotate", {"overlap_seconds": 0})
        assert (new is not None) == self.usable[old]
        if new is not None:
            self.usable[old] = False
            self.remember(party, new)

    @rule(party=parties, number=st.integers(0, 20))
    def revoke(self, party: str, number: int) -> None:
        key = self.key_of(party, number)
        assert self.operate("POST", f"/api-keys/{key}/revoke") is not None
        self.usable[key] = False

    @rule(party=parties, provider=st.sampled_from(["clipdrop", "openai", "bria"]), there=st.booleans())
    def change_a_provider_key(self, party: str, provider: str, there: bool) -> None:
        path = f"/organizations/{self.names[party]}/provider-keys/{provider}"
        if there:
            assert self.operate("PUT", path, {"key": f"sk-{MARKS[party]}-0123456789"}) is not None
            self.provider_keys[party].add(provider)
        else:
            assert (self.operate("DELETE", path) is not None) == (provider in self.provider_keys[party])
            self.provider_keys[party].discard(provider)

    @rule(party=parties, number=st.integers(0, 20))
    def look_at_everything(self, party: str, number: int) -> None:
        """Ask for all that is one's own, and for the other's by every id that is known."""
        key = self.key_of(party, number)
        other = PARTIES[1 - PARTIES.index(party)]
        own, foreign = self.names[party], self.names[other]
        lists = {
            "/organizations": ([own], "id"),
            "/api-keys?limit=200": (self.keys[party], "id"),
            f"/organizations/{own}/provider-keys": (sorted(self.provider_keys[party]), "provider"),
            "/usage": ([], "provider"),
        }
        hidden = [
            f"/organizations/{foreign}",
            f"/organizations/{foreign}/provider-keys",
            f"/usage?organization_id={foreign}",
        ]
        hidden += [f"/api-keys/{each}" for each in self.keys[other][:3]]
        for path in [*lists, *hidden]:
            TwoTenants.steps += 1
            answer = self.tenants.ask("GET", API + path, self.texts[key])
            told = answer.text + repr(answer.headers.multi_items())
            secrets = [MARKS[other], foreign, *(self.texts[each] for each in self.texts)]
            assert not [secret for secret in secrets if secret in told]
            if not self.usable[key]:
                assert answer.status_code == 401
            elif path in lists:
                expected, field = lists[path]
                assert sorted(each[field] for each in answer.json()["data"]) == sorted(expected)
            else:
                assert answer.status_code == 404
                assert not [each for each in self.keys[other] if each in told]

    @rule(party=parties, number=st.integers(0, 20), foreign_number=st.integers(0, 20))
    def try_to_change_the_others(self, party: str, number: int, foreign_number: int) -> None:
        other = PARTIES[1 - PARTIES.index(party)]
        foreign = self.key_of(other, foreign_number)
        for method, path, body in (
            ("POST", f"/api-keys/{foreign}/revoke", None),
            ("POST", f"/api-keys/{foreign}/rotate", {}),
            ("PATCH", f"/organizations/{self.names[other]}", {"name": "taken over"}),
            ("PUT", f"/organizations/{self.names[other]}/provider-keys/clipdrop", {"key": "sk-0123456789abcdef"}),
            ("POST", "/api-keys", {"organization_id": self.names[other]}),
        ):
            TwoTenants.steps += 1
            answer = self.tenants.ask(method, API + path, self.texts[self.key_of(party, number)], body=body)
            assert answer.status_code in {401, 403}
            assert MARKS[other] not in answer.text

    @precondition(lambda self: any(self.usable.values()))
    @rule()
    def the_log_knows_whose_each_act_was(self) -> None:
        for party in PARTIES:
            TwoTenants.steps += 1
            path = f"/audit?limit=200&organization_id={self.names[party]}"
            acts = self.operate("GET", path)["data"]
            assert {act["organization_id"] for act in acts} == {self.names[party]}
            assert not [key for key in self.texts.values() if key[-43:] in json.dumps(acts)]


def test_neither_of_two_organizations_sees_anything_of_the_other(shared: Tenants, cases: Cases) -> None:
    TwoTenants.tenants, TwoTenants.steps = shared, 0
    wished = settings(
        max_examples=cases.number(1, 60),
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(TwoTenants, settings=wished)
    assert TwoTenants.steps >= cases.number(60, 5_000), TwoTenants.steps
    cases.ran(TwoTenants.steps)
