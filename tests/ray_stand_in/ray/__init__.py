"""A stand-in for Ray that works in threads of this process: as much of it as ``uncrop.workers.ray.link`` uses.

It is found in the place of Ray by whoever has this folder's parent on the module search path.
"""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from . import exceptions, util  # noqa: F401 - as Ray has them

__version__ = "0.0"
HERE = "a" * 56
NODE = {"NodeID": HERE, "NodeManagerHostname": "here", "Alive": True, "Resources": {"CPU": 2.0, "memory": 4e9}}
calls: list[tuple[str, Any]] = []
alive: list[dict[str, Any]] = [NODE]


def init(**options: Any) -> None:
    """Note how it was called; an address that says so is never connected to."""
    calls.append(("init", options))
    if options["address"] == "hangs:1":
        threading.Event().wait()


def nodes() -> list[dict[str, Any]]:
    return alive


def get_runtime_context() -> Any:
    return SimpleNamespace(get_node_id=lambda: HERE)


class Signs:
    """What a task yields, each to be awaited, as Ray's generator of references has it."""

    def __init__(self, function: Any, arguments: tuple[Any, ...]) -> None:
        self._yielded: SimpleQueue[Any] = SimpleQueue()
        self.cancelled = threading.Event()
        threading.Thread(target=self._run, args=(function, arguments), daemon=True).start()

    def _run(self, function: Any, arguments: tuple[Any, ...]) -> None:
        try:
            for sign in function(*arguments):
                self._yielded.put(sign)
        except exceptions.RayError as error:
            self._yielded.put(error)
        except Exception as error:  # noqa: BLE001 - as Ray passes on what a task raises
            self._yielded.put(exceptions.RayTaskError(error))
        else:
            self._yielded.put(StopAsyncIteration())

    def __aiter__(self) -> Signs:
        return self

    async def __anext__(self) -> Any:
        sign = await asyncio.to_thread(self._wait)
        if isinstance(sign, StopAsyncIteration):
            raise sign
        return _reference(sign)

    def _wait(self) -> Any:
        while not self.cancelled.is_set():
            if not self._yielded.empty():
                return self._yielded.get()
            self.cancelled.wait(0.001)
        return StopAsyncIteration()


async def _reference(sign: Any) -> Any:
    if isinstance(sign, Exception):
        raise sign
    return sign


def cancel(signs: Signs, *, force: bool) -> None:
    calls.append(("cancel", force))
    signs.cancelled.set()


class _Task:
    def __init__(self, function: Any, options: dict[str, Any] | None = None) -> None:
        self._function = function
        self._options = options or {}

    def options(self, **options: Any) -> _Task:
        return _Task(self._function, options)

    def remote(self, *arguments: Any) -> Signs:
        calls.append(("task", self._options))
        return Signs(self._function, arguments)


def remote(function: Any) -> _Task:
    return _Task(function)
