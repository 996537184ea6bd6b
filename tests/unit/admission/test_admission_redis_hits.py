"""Hits in a Redis that is real where there is one, and in one that answers as it is told."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from processes import free_port
from uncrop.admission import redis_hits
from uncrop.admission.rate_limits import RateLimiter
from uncrop.admission.redis_hits import RedisHits, open_shared_window
from uncrop.errors import RateLimitExceeded, SettingsError
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fixtures_redis import RedisServer

SECRET = "canary-in-an-address"
TRIAL = b"uncrop:trial"


# --- one that answers as it is told -----------------------------------------------------------------------------------


async def _read(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readline())[1:])
    words = []
    for _ in range(count):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


@asynccontextmanager
async def answering(reply: Callable[[list[bytes]], bytes]) -> AsyncIterator[str]:
    """Serve Redis's protocol on loopback; ``reply`` answers scripts, everything else is in order."""

    def answer(words: list[bytes]) -> bytes:
        return reply(words) if words[0] == b"EVALSHA" else b"+OK\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while words := await _read(reader):
                writer.write(answer(words))
                await writer.drain()
        except (ValueError, OSError, asyncio.IncompleteReadError):
            pass  # it hung up
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://:{SECRET}@127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


@asynccontextmanager
async def limiter(url: str, per_minute: int = 60) -> AsyncIterator[RateLimiter]:
    async with open_shared_window(url) as window:
        yield RateLimiter(per_minute, window=window)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_hits, "PAUSE_S", 0.001)


async def test_what_it_answers_is_what_is_told() -> None:
    replies = iter([b":1\r\n", b"*2\r\n:7\r\n:2500000\r\n", b":0\r\n", b"*2\r\n:60\r\n:10000000\r\n"])
    asked = []

    def reply(words: list[bytes]) -> bytes:
        if words[3] == TRIAL:
            return b":0\r\n"
        asked.append(words[3:])
        return next(replies)

    async with answering(reply) as url, limiter(url) as rates:
        state = await rates.hit("org_a")
        assert state.remaining == 53
        with pytest.raises(RateLimitExceeded) as caught:
            await rates.hit("org_a")
    assert caught.value.retry_after == pytest.approx(50, abs=5)
    key = b"uncrop:LIMITER/org_a/all/60/1/minute"
    assert asked == [[key, b"60", b"60", b"1"], [key, b"60"]] * 2


@pytest.mark.parametrize("code", ["NOAUTH", "WRONGPASS", "READONLY", "OOM", "NOPERM", "MISCONF"])
async def test_a_redis_that_refuses_stops_the_start(code: str) -> None:
    async with answering(lambda _: f"-{code} something with {SECRET}\r\n".encode()) as url:
        with pytest.raises(SettingsError) as caught:
            async with open_shared_window(url):
                pytest.fail("opened")
    [problem] = caught.value.problems
    assert problem.startswith("UNCROP_REDIS_URL: Redis cannot be used (")
    assert SECRET not in problem


async def test_a_redis_that_is_still_reading_its_file_is_waited_for() -> None:
    replies = iter([b"-LOADING Redis is loading the dataset in memory\r\n"] * 2)
    async with answering(lambda _: next(replies, b":1\r\n")) as url, open_shared_window(url) as window:
        assert window.is_alone is False


async def test_one_that_fails_its_script_is_away(caplog: pytest.LogCaptureFixture) -> None:
    refusal = f"-ERR user_script: {SECRET}\r\n".encode()
    async with answering(lambda words: b":1\r\n" if words[3] == TRIAL else refusal) as url, limiter(url, 2) as rates:
        assert (await rates.hit("org_a")).remaining == 1
        assert rates.is_alone is True
    assert SECRET not in caplog.text
    assert '"reason": "ERR"' in caplog.text or '"reason": "ResponseError"' in caplog.text


async def test_nobody_there_stops_the_start_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_shared_window(f"redis://u:{SECRET}@127.0.0.1:{free_port()}/0"):
            pytest.fail("opened")
    assert caught.value.problems == ["UNCROP_REDIS_URL: Redis cannot be used (ConnectionError)"]
    assert SECRET not in caplog.text


async def test_what_is_no_address_is_told_without_repeating_it() -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_shared_window(f"http://u:{SECRET}@127.0.0.1/0"):
            pytest.fail("opened")
    assert caught.value.problems == ["UNCROP_REDIS_URL: is not the address of a Redis"]


# --- a real one -------------------------------------------------------------------------------------------------------

HITS = """
import asyncio, sys
from uncrop.admission.rate_limits import RateLimiter
from uncrop.admission.redis_hits import open_shared_window
from uncrop.errors import RateLimitExceeded

async def hit(rates):
    try:
        await rates.hit("org_a")
    except RateLimitExceeded:
        return 0
    return 1

async def main():
    async with open_shared_window(sys.argv[1]) as window:
        rates = RateLimiter(60, window=window)
        print("ready", flush=True)
        sys.stdin.readline()
        print(sum(await asyncio.gather(*(hit(rates) for _ in range(250)))), rates.is_alone)

asyncio.run(main())
"""


def test_two_processes_with_500_hits_admit_exactly_60(redis_server: RedisServer) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "-c", HITS, redis_server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outputs = [process.communicate("go\n")[0] for process in both]
    counted = [re.fullmatch(r"(\d+) False\n", output) for output in outputs]
    assert all(counted), outputs
    assert sum(int(found[1]) for found in counted if found) == 60


async def test_the_window_moves(redis_server: RedisServer) -> None:
    hits = RedisHits(redis_server.url, clock=lambda: 1000.0)
    try:
        for _ in range(2):
            assert await hits.acquire_entry("a", 2, 1)
        assert not await hits.acquire_entry("a", 2, 1)
        assert not await hits.acquire_entry("b", 2, 60, 3)
        oldest, count = await hits.get_moving_window("a", 2, 1)
        assert count == 2
        assert 999 < oldest < 1000
        await until(lambda: hits.acquire_entry("a", 2, 1))
        _, count = await hits.get_moving_window("a", 2, 1)
        assert 1 <= count <= 2
        assert await hits.get_moving_window("nobody", 2, 60) == (1000.0, 0)
    finally:
        await hits.close()


async def test_clocks_of_servers_do_not_matter(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with limiter(redis_server.url, 2) as one, limiter(redis_server.url, 2) as other:
        await one.hit("org_a")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600)
        assert (await other.hit("org_a")).remaining == 0
        with pytest.raises(RateLimitExceeded):
            await other.hit("org_a")


async def alone(rates: RateLimiter, expected: bool) -> None:
    await until(lambda: rates.is_alone is expected)


async def test_killed_and_started_again(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with limiter(redis_server.url, 3) as rates:
        await rates.hit("org_a")
        redis_server.kill()
        assert (await rates.hit("org_a")).remaining == 1
        assert rates.is_alone is True
        redis_server.start()
        await alone(rates, False)
        await rates.hit("org_a")
        with pytest.raises(RateLimitExceeded):  # two of the three were never in the new one
            await rates.hit("org_a")
    assert caplog.text.count("by this process alone") == 1
    assert "canary-redis-password" not in caplog.text


async def test_one_that_hangs_holds_no_request(redis_server: RedisServer) -> None:
    async with limiter(redis_server.url, 5) as rates:
        await rates.hit("org_a")
        redis_server.hang()
        try:
            async with asyncio.timeout(30):
                assert [(await rates.hit("org_a")).remaining for _ in range(3)] == [3, 2, 1]
            assert rates.is_alone is True
        finally:
            redis_server.go_on()
        await alone(rates, False)


async def test_a_wrong_password_is_told_and_not_repeated(redis_server: RedisServer) -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_shared_window(redis_server.url.replace("canary-redis-password", SECRET)):
            pytest.fail("opened")
    [problem] = caught.value.problems
    assert problem in {
        "UNCROP_REDIS_URL: Redis cannot be used (AuthenticationError)",
        "UNCROP_REDIS_URL: Redis cannot be used (WRONGPASS)",
    }
