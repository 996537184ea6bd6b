"""The moments of each key's latest hits in Redis; the one module that knows Redis.

A hit is one script, which Redis runs whole before it looks at anything else, so that no number of servers passes a
limit together. The library ``limits`` has such scripts too, but they take the moment from the server that asks: of two
servers whose clocks are a minute apart, one forgets the other's hits. Here the moment is Redis's own.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from uncrop.admission.shared_window import ANSWERS_AT_ONCE, SharedWindow
from uncrop.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

VARIABLE = "UNCROP_REDIS_URL"
# One more, to look whether Redis is back while as many as may are still waiting for it.
CONNECTIONS = ANSWERS_AT_ONCE + 1
# Of a connection or an answer; whoever asks for a hit waits much less, and by another clock.
LONGEST_S = 2.0
# At the start, and seconds in between.
TRIES = 4
PAUSE_S = 0.5
PREFIX = "uncrop:"
# What cannot be reached, does not answer in time, or refuses.
ERRORS = (RedisError, OSError)
# A key that no organization can have, to see whether hits can be noted.
TRIAL = "trial"

# Newest first: the entry that a hit would push out tells whether there is room. Moments are whole microseconds, which a
# number of Lua holds exactly. The key ends with the window, so that one that falls silent takes no memory.
_HIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit, window, amount = tonumber(ARGV[1]), ARGV[2] * 1000000, tonumber(ARGV[3])
if amount > limit then
    return 0
end
local oldest = redis.call('LINDEX', KEYS[1], limit - amount)
if oldest and now - oldest < window then
    return 0
end
for _ = 1, amount do
    redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
end
redis.call('LTRIM', KEYS[1], 0, limit - 1)
redis.call('PEXPIRE', KEYS[1], window / 1000)
return 1
"""

# How many entries still count, and the age of the oldest of them in microseconds.
_LOOK = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = ARGV[1] * 1000000
local low, high = 0, redis.call('LLEN', KEYS[1])
while low < high do
    local middle = math.floor((low + high) / 2)
    if now - redis.call('LINDEX', KEYS[1], middle) < window then
        low = middle + 1
    else
        high = middle
    end
end
if low == 0 then
    return {0, 0}
end
return {low, now - redis.call('LINDEX', KEYS[1], low - 1)}
"""


class RedisHits:
    """Moments of hits in Redis, told on a clock that is passed in.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` or ``unix://``, as the library ``redis`` reads it.
    clock
        Seconds since any fixed moment.

    Raises
    ------
    ValueError
        The address is none. Its text may hold the password.
    """

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pool = ConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            socket_connect_timeout=LONGEST_S,
            socket_timeout=LONGEST_S,
            protocol=2,  # all that is needed, and what every Redis speaks
            # A repeated hit would be counted twice, and who asks cannot wait.
            retry=Retry(NoBackoff(), 0),
        )
        client = Redis(connection_pool=self._pool)
        self._hit = client.register_script(_HIT)
        self._look = client.register_script(_LOOK)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note a hit unless that makes more than ``limit`` in the last ``expiry`` seconds."""
        return bool(await self._hit([PREFIX + key], [limit, expiry, amount]))

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - unused
        """Return the moment of the oldest hit that still counts, or now, and how many count."""
        count, age = await self._look([PREFIX + key], [expiry])
        return self._clock() - int(age) / 1_000_000, int(count)

    async def try_out(self) -> None:
        """Note a hit that is nobody's, on every connection; raises one of ``ERRORS`` where that cannot be done.

        They are open from then on: a burst of requests would otherwise wait for all of them at once.
        """
        await asyncio.gather(*(self.acquire_entry(TRIAL, 1, 1) for _ in range(ANSWERS_AT_ONCE)))

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


def refusal_of(error: BaseException) -> str:
    """Return in a word what Redis did not do; safe to show, since it repeats no address.

    A refusal of Redis's own begins with its code, ``NOAUTH`` or ``READONLY``; of what failed otherwise, the kind must
    do.
    """
    code = str(error).partition(" ")[0]
    return code if code.isupper() and code.isalpha() else type(error).__name__


@asynccontextmanager
async def open_shared_window(url: str, *, clock: Callable[[], float] = time.monotonic) -> AsyncIterator[SharedWindow]:
    """Open a window that all servers with the same Redis share, once Redis has shown that it can count.

    Parameters
    ----------
    url
        As ``RedisHits`` takes it.
    clock
        Seconds since any fixed moment, never set back.

    Raises
    ------
    SettingsError
        In one line: the address is none, nothing answers there, or Redis refuses.
    """
    try:
        hits = RedisHits(url, clock=clock)
    except ValueError as error:
        raise SettingsError([f"{VARIABLE}: is not the address of a Redis"]) from error
    try:
        await _try_out(hits)
        window = SharedWindow(hits, clock=clock, errors=ERRORS, told=refusal_of)
        try:
            yield window
        finally:
            await window.close()
    finally:
        await hits.close()


async def _try_out(hits: RedisHits) -> None:
    """Try a few times, since a Redis that has just been started reads its file first."""
    for _ in range(TRIES - 1):
        with suppress(*ERRORS):
            return await hits.try_out()
        await asyncio.sleep(PAUSE_S)
    try:
        return await hits.try_out()
    except ERRORS as error:
        raise SettingsError([f"{VARIABLE}: Redis cannot be used ({refusal_of(error)})"]) from error
