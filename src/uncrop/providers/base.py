"""What every maker of pixels has in common: its interface, and what it is made from and hands on."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from uncrop.model import Capabilities, Fill, Progress, Task
    from uncrop.providers.engine_runner import EngineRunner


class Flight:
    """One call in the air, shared between the provider's side and whoever waits for it.

    A billed call may be stopped for nothing until ``commit``; from then on the provider may have received it, so it is
    left to finish and is booked.
    """

    def __init__(self) -> None:
        self._sent = False
        self._abandoned = False
        self._runway: anyio.CapacityLimiter | None = None
        self._landed = False
        self._progress: Progress | None = None

    @property
    def progress(self) -> Progress | None:
        """Whom to tell how far the work is; may be called in any thread."""
        return self._progress

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

    def use_progress(self, progress: Progress | None) -> None:
        """Tell ``progress`` how far the work is, as far as the provider knows."""
        self._progress = progress

    def use_runway(self, runway: anyio.CapacityLimiter) -> None:
        """Let only as many flights land at once as the runway takes."""
        self._runway = runway

    async def land(self) -> None:
        """Wait for a place on the runway, before an answer is unpacked.

        A picture's pixels take ten times the room of its file. Answers wait as files, therefore, until those before
        them have been finished and encoded.
        """
        if self._runway is not None and not self._landed:
            await self._runway.acquire_on_behalf_of(self)
            self._landed = True

    def leave_runway(self) -> None:
        """Make room for the next one; does nothing for a flight that never landed."""
        if self._runway is not None and self._landed:
            self._runway.release_on_behalf_of(self)
            self._landed = False


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
    """How one provider is reached, and how often an organization may call it in a minute."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str
    model: str | None = None
    requests_per_minute: int | None = None


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
