"""Runs kernels on bands of rows in several threads.

Kernels release the interpreter's lock, so plain Python threads run them side by side. Numba's own ``prange`` is not
used: it compiles much more slowly, its default layer aborts the process when two threads use it at once, and it must
not be forked. The bands never depend on the number of threads, hence neither does any result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Crew:
    """A pool of threads for the length of one call; one thread means the caller's own.

    ``check`` is called before every piece of work and stops everything by raising.
    """

    def __init__(self, threads: int, check: Callable[[], None]) -> None:
        self._check = check
        self.alone = threads <= 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="uncrop-engine") if threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Callable[..., T], items: Iterable[Any]) -> list[T]:
        """Call ``work(item)`` for every item, and return the answers in the items' order."""
        return list(self.stream(work, items))

    def stream(self, work: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Do the same, and yield every answer as soon as it and those before it are there.

        A pool begins all items at once, and goes on with them whether or not the answers are read; without one each
        item is worked on when its answer is asked for.
        """
        apply = map if self._pool is None else self._pool.map
        return apply(lambda item: self._checked(work, item), items)

    def _checked(self, work: Callable[..., T], item: Any) -> T:
        self._check()
        return work(item)
