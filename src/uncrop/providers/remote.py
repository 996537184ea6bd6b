"""The road that all remote providers take.

A remote provider is a row of facts and pure functions: ``build_call`` turns a task into an HTTP request,
``read_answer`` turns an HTTP answer into pixels, ``reject`` turns a refusal into one of our errors. Sending, retrying,
deadlines and the breaker live once, here and in ``call.py``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from anyio import to_thread

from uncrop.errors import ProviderNotConfigured, UncropError
from uncrop.providers.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import Capabilities, Fill, Task
    from uncrop.providers.base import Answer, Call, Flight, ProviderContext, ProviderSettings
    from uncrop.providers.breaker import Watch

T = TypeVar("T")
_SENDABLE = re.compile(r"[!-~]+")


class RemoteProvider(ABC):
    """A provider behind HTTP.

    Parameters
    ----------
    context
        Its settings are those under the name in ``capabilities``.
    capabilities
        The row of facts; the rate limit in the settings goes into it.
    """

    def __init__(self, context: ProviderContext, capabilities: Capabilities) -> None:
        self._settings = context.settings.get(capabilities.name)
        self._capabilities = capabilities
        if self._settings is not None and self._settings.requests_per_minute is not None:
            self._capabilities = replace(capabilities, requests_per_minute=self._settings.requests_per_minute)
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
            await flight.land()
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
        if not _SENDABLE.fullmatch(key):
            raise self._not_configured("has an API key that no HTTP header can carry")
        return key

    def _not_configured(self, reason: str) -> ProviderNotConfigured:
        name = self._capabilities.name
        return ProviderNotConfigured(details={"provider": name}, system_message=f"The provider {name} {reason}")

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._threads)
