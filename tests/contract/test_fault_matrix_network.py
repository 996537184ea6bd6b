"""Every way a network can fail under a call, with every remote provider: one error, and the next call is well."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from test_fault_matrix import MAX_ANSWER, REMOTE, ROWS, check, do_not_wait, registry_over, submits, task_for

from uncrop import errors
from uncrop.providers.commitment import Commitment
from uncrop.providers.registry import Registry
from uncrop.providers.transport.sender import Sender
from uncrop.testing import Emulator, emulator_of
from uncrop.testing.fault_proxy import Fault, FaultProxy

Invalid, Failed = errors.ProviderInvalidResponse, errors.ProviderError
# The answer's first bytes are its status line.
CUTS: dict[str, tuple[Fault, type[errors.UncropError]]] = {
    "the end before the answer": (Fault(cut_after=0), Invalid),
    "the end in the status": (Fault(cut_after=8), Invalid),
    "the end in the headers": (Fault(cut_after=40), Invalid),
    "the end of one direction": (Fault(cut_after=40, half=True), Invalid),
    "a reset before the answer": (Fault(cut_after=0, reset=True), Failed),
    "a reset in the headers": (Fault(cut_after=40, reset=True), Failed),
}
SLOW = {
    "latency": Fault(latency_s=0.005, jitter_s=0.005),
    "bandwidth": Fault(bytes_per_s=4_000_000, slice_bytes=1000),
    "small pieces": Fault(slice_bytes=7),
}


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """An emulator, and the network before it."""

    emulator: Emulator
    proxy: FaultProxy

    @property
    def url(self) -> str:
        """The base address by way of the proxy."""
        return self.emulator.url.replace(self.emulator.origin, self.proxy.origin)


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, Upstream]]:
    with ExitStack() as stack:
        made = {}
        for name in REMOTE:
            emulator = stack.enter_context(emulator_of(ROWS[name])())
            made[name] = Upstream(emulator=emulator, proxy=stack.enter_context(FaultProxy(emulator.origin)))
        yield made


@pytest.fixture(autouse=True)
def healed(upstreams: dict[str, Upstream]) -> None:
    for upstream in upstreams.values():
        upstream.proxy.heal()


@pytest.fixture
async def registry(upstreams: dict[str, Upstream]) -> AsyncIterator[Registry]:
    async with Sender(max_answer_bytes=MAX_ANSWER, backoff_s=0, sleep=do_not_wait) as send:
        yield registry_over(send, upstreams)


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize("fault", CUTS)
async def test_an_answer_that_does_not_arrive_is_not_asked_for_again(
    name: str, fault: str, upstreams: dict[str, Upstream], registry: Registry
) -> None:
    maker, upstream, commitment = registry.get(name), upstreams[name], Commitment()
    before = len(upstream.emulator.calls)
    upstream.proxy.to_client, kind = CUTS[fault]
    with pytest.raises(errors.UncropError) as failed:
        await maker.fill(task_for(name, registry), commitment)
    check(failed.value, name, kind, upstream.emulator.origin, upstream.proxy.origin)
    came = [call.path for call in upstream.emulator.calls[before:]]
    assert came.count(came[0]) == 1
    assert commitment.billed_calls == int(ROWS[name].bills)
    upstream.proxy.heal()
    assert (await maker.fill(task_for(name, registry), Commitment())).pixels.size


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize("fault", [Fault(cut_after=100), Fault(cut_after=1000, reset=True)], ids=["end", "reset"])
async def test_a_request_that_did_not_arrive_whole_counts_as_sent_all_the_same(
    name: str, fault: Fault, upstreams: dict[str, Upstream], registry: Registry
) -> None:
    upstream, commitment = upstreams[name], Commitment()
    connections = len(upstream.proxy.connections)
    upstream.proxy.to_server = fault
    with pytest.raises((Invalid, Failed)):
        await registry.get(name).fill(task_for(name, registry), commitment)
    assert commitment.sent == ROWS[name].bills
    assert len(upstream.proxy.connections) == connections + 1  # never sent again


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize("fault", SLOW)
async def test_what_is_slow_and_in_time_is_a_picture(
    name: str, fault: str, upstreams: dict[str, Upstream], registry: Registry
) -> None:
    upstreams[name].proxy.to_client = upstreams[name].proxy.to_server = SLOW[fault]
    assert (await registry.get(name).fill(task_for(name, registry), Commitment())).pixels.size


@pytest.mark.parametrize("name", REMOTE)
async def test_silence_meets_the_deadline(name: str, upstreams: dict[str, Upstream]) -> None:
    upstreams[name].proxy.to_client = Fault(silent_after=20)
    commitment = Commitment()
    async with Sender() as send:
        registry = registry_over(send, upstreams, timeout_s=0.5)
        with pytest.raises(errors.ProviderTimeout) as failed:
            await registry.get(name).fill(task_for(name, registry), commitment)
    assert failed.value.details == {"provider": name}


@pytest.mark.parametrize("name", REMOTE)
async def test_a_proxy_that_is_down_took_nothing(name: str, upstreams: dict[str, Upstream], registry: Registry) -> None:
    before = submits(upstreams[name].emulator)
    upstreams[name].proxy.down = True
    with pytest.raises((Invalid, Failed)):
        await registry.get(name).fill(task_for(name, registry), Commitment())
    assert submits(upstreams[name].emulator) == before
