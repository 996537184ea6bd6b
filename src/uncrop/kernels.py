"""How functions are compiled to machine code, and how they come back from the cache folder.

A *kernel* is a Python function that Numba compiles on its first call. Kernels release the interpreter's lock, so that
threads run them side by side, and they are kept in Numba's cache folder.

Kernels do not count references to their arrays. Numba would do so atomically around every helper function and every
branch, which takes more time than the arithmetic, and even more when two threads count the same arrays. The price: a
kernel must not allocate. The caller passes the arrays that it works in and keeps all of them alive. A function that
must allocate is marked ``allocating`` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

_compile: Any = njit  # Numba's types do not know of _nrt, which switches the counting of references
_cache_of: Any = FunctionCache


class ReadyCache(_cache_of):  # type: ignore[misc] # Numba carries no types
    """Numba's cache of one kernel, for machine code that is ready to run.

    Before Numba takes a function from its cache, it loads all that it knows about typing and compiling, and compiles
    its own memory manager. That is more than half of the time that all kernels take to load. Machine code that counts
    no references needs none of it. A kernel that is missing from the cache is compiled, and Numba loads the rest then.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kernel compiled for the signature ``sig``, or None when the folder has none."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def _compiled(function: Callable[..., Any], cache: Callable[..., Any], **options: bool) -> Any:
    dispatcher = _compile(nogil=True, **options)(function)
    # Where no folder can be written to, as in a read-only container, a kernel is compiled for this process alone.
    with suppress(RuntimeError):
        dispatcher._cache = cache(function)  # noqa: SLF001 - what cache=True does, with a cache of our choice
    return dispatcher


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, or take it from the cache folder."""
    return _compiled(function, ReadyCache, _nrt=False)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function in the same way, as a part of every kernel that calls it."""
    return _compiled(function, ReadyCache, _nrt=False, forceinline=True)


def allocating(function: Callable[..., Any]) -> Any:
    """Compile a function that makes arrays of its own. It counts references, and only functions alike may call it."""
    return _compiled(function, _cache_of)
