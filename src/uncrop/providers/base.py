"""What every maker of pixels has in common: its interface, and the road that all remote ones take.

A remote provider is two pure functions and a row of facts: ``build_call`` turns a task into an HTTP request,
``read_answer`` turns an HTTP answer into pixels, ``reject`` turns a refusal into one of our errors. Sending, retrying,
deadlines and the breaker live once, here and in ``call.py``.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, TypeVar

import anyio
from anyio import to_thread

from uncrop.errors import ProviderNotConfigured, UncropError
from uncrop.providers.breaker import Breaker

if TYPE_CHECKING:
    from uncrop.model import Capabilities, Fill, Task
    from uncrop.providers.breaker import Watch
    from uncrop.providers.engine_runner import EngineRunner

T = TypeVar("T")


class Flight:
    """One call in the air, shared between the provider's side and whoever waits for it.

    A billed call may be stopped for nothing until ``commit``; from then on the provider may have received it, so it is
    left to finish and is booked.
    """

    def __init__(self) -> None:
        self._sent = False
        self._abandoned = False

    @property
    def sent(self) -> bool:
        """Whether a billed call may have reached its provider."""
        return self._sent

    @property
    def abandoned(self) -> bool:
        """Whether the one who asked has left."""
        return self._abandoned

    def commit(self) -> None:
        """Mark the moment from which the provider may have received the call.

        Raises
        ------
        asyncio.CancelledError
            When the one who asked has left: then nothing is sent.
        """
        self.check()
        self._sent = True

    def check(self) -> None:
        """End the call, as a cancelled one, when the one who asked has left and nothing was sent yet.

        Raises
        ------
        asyncio.CancelledError
        """
        if self._abandoned and not self._sent:
            raise anyio.get_cancelled_exc_class()

    def abandon(self) -> bool:
        """Say that the one who asked has left; ``True`` when nothing was sent, so that the call can be cancelled."""
        self._abandoned = True
        return not self._sent


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One field of a multipart form; with a ``filename`` it is a file."""

    name: str
    value: bytes | str = field(repr=False)
    filename: str | None = None
    media_type: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request to a provider."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)  # holds the key
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer, whole; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderSettings:
    """How one provider is reached."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str
    model: str | None = None


class Send(Protocol):
    """Sends one call and returns its answer, whatever its status; ``call.Sender`` is the real one."""

    async def __call__(self, call: Call, flight: Flight) -> Answer:
        """Send the call.

        Raises
        ------
        ProviderFault
            When no whole answer came in time.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderContext:
    """Everything that providers are made from; ``settings`` is keyed by the provider's name."""

    settings: Mapping[str, ProviderSettings]
    send: Send
    engine: EngineRunner
    max_output_pixels: int
    clock: Callable[[], float] = time.monotonic
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(2))


class Provider(Protocol):
    """A maker of pixels."""

    @property
    def capabilities(self) -> Capabilities:
        """The row of facts about this provider."""
        ...

    def check_configured(self) -> None:
        """Raise ``ProviderNotConfigured`` when a setting is missing without which no call can be made."""
        ...

    async def fill(self, task: Task, flight: Flight) -> Fill:
        """Make the pixels of the task's canvas.

        Raises
        ------
        UncropError
        """
        ...


def new_request_id() -> str:
    """Draw an id for a call whose provider names none."""
    return f"req_{secrets.token_hex(12)}"


class RemoteProvider(ABC):
    """A provider behind HTTP.

    Parameters
    ----------
    context
        Its settings are those under the name in ``capabilities``.
    capabilities
        The row of facts.
    """

    def __init__(self, context: ProviderContext, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._settings = context.settings.get(capabilities.name)
        self._send = context.send
        self._threads = context.threads
        self.breaker = Breaker(capabilities.name, clock=context.clock)

    @property
    def capabilities(self) -> Capabilities:
        """The row of facts about this provider."""
        return self._capabilities

    @property
    def settings(self) -> ProviderSettings:
        """How this provider is reached.

        Raises
        ------
        ProviderNotConfigured
            When there are no settings under its name.
        """
        if self._settings is None:
            raise self._not_configured("has no settings")
        return self._settings

    def check_configured(self) -> None:
        """Refuse to go on without a usable key.

        Raises
        ------
        ProviderNotConfigured
        """
        self._key()

    async def fill(self, task: Task, flight: Flight) -> Fill:
        """Build the call, send it, read the answer; encoding and decoding run in worker threads.

        Raises
        ------
        UncropError
        """
        try:
            with self.breaker.watch() as watch:
                return await self._fill(task, flight, watch)
        except UncropError as error:
            error.details = {"provider": self._capabilities.name, **(error.details or {})}
            raise

    async def _fill(self, task: Task, flight: Flight, watch: Watch) -> Fill:
        call = await self._in_thread(self.build_call, task, self._key())
        answer = await self._send(call, flight)
        if answer.status == HTTPStatus.OK:
            return await self._in_thread(self.read_answer, answer, task)
        if 400 <= answer.status < 500:  # the provider is well; the request, the key or the account is not
            watch.excuse()
        raise self.reject(answer)

    @abstractmethod
    def build_call(self, task: Task, key: str) -> Call:
        """Turn a task into a request; pure."""

    @abstractmethod
    def read_answer(self, answer: Answer, task: Task) -> Fill:
        """Turn an answer with status 200 into pixels that cover the canvas; pure.

        Raises
        ------
        ProviderInvalidResponse
        """

    @abstractmethod
    def reject(self, answer: Answer) -> UncropError:
        """Turn any other answer into exactly one of our errors; pure."""

    def _key(self) -> str:
        key = self.settings.api_key
        if not key:
            raise self._not_configured("has no API key")
        if not (key.isascii() and key.isprintable()):
            raise self._not_configured("has an API key that no HTTP header can carry")
        return key

    def _not_configured(self, reason: str) -> ProviderNotConfigured:
        name = self._capabilities.name
        return ProviderNotConfigured(details={"provider": name}, system_message=f"The provider {name} {reason}")

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._threads)
