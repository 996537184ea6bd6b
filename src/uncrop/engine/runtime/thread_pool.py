"""A pool of threads that runs kernels on pieces of a picture.

Kernels release the interpreter's lock, so plain Python threads run them side by side. Numba's own ``prange`` is not
used: it compiles much more slowly, its default layer aborts the process when two threads use it at once, and it must
not be forked. The pieces never depend on the number of threads, and so neither does any result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class ThreadPool:
    """A pool of threads that lives as long as one call; with one thread, the caller's own does the work.

    ``check`` is called before every piece of work and stops everything by raising.
    """

    def __init__(self, threads: int, check: Callable[[], None]) -> None:
        self._check = check
        self.single = threads <= 1
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="uncrop-engine") if threads > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def each(self, work: Callable[..., T], items: Iterable[Any]) -> list[T]:
        """Call ``work(item)`` for every item and return the answers in the items' order."""
        return list(self.stream(work, items))

    def stream(self, work: Callable[..., T], items: Iterable[Any]) -> Iterator[T]:
        """Do the same, but yield each answer as soon as it and all before it are there.

        Several threads begin all items at once and go on whether or not the answers are read. A single thread works
        on an item when its answer is asked for.
        """
        apply = map if self._executor is None else self._executor.map
        return apply(lambda item: self._checked(work, item), items)

    def _checked(self, work: Callable[..., T], item: Any) -> T:
        self._check()
        return work(item)
