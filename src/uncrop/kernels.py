"""How kernels are compiled, and how they come back from the cache folder.

Kernels release the interpreter's lock and are kept in the cache folder. They do not count references to their arrays:
Numba would do so atomically around every helper function and every branch, which takes more time than the arithmetic,
the more so when two threads count the same arrays. The price is that a kernel must not allocate; whoever calls it
brings the room it works in, and keeps all arrays alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

_compile: Any = njit  # its types do not know of _nrt, which switches the counting of references
_cache_of: Any = FunctionCache


class ReadyCache(_cache_of):  # type: ignore[misc] # Numba carries no types
    """Numba's cache of one kernel, for machine code that is ready to run.

    Before Numba takes a kernel from its cache it loads all that it knows about typing and compiling, and compiles its
    own memory manager: more than half of the time that all kernels take to load. Machine code that counts no
    references calls none of it; a kernel that is missing from the cache is compiled, for which Numba loads it anyway.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kernel compiled for the signature ``sig``, or None when the folder has none."""
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def _kernel(function: Callable[..., Any], **options: bool) -> Any:
    compiled = _compile(nogil=True, _nrt=False, **options)(function)
    compiled._cache = ReadyCache(function)  # noqa: SLF001 - what cache=True does, with Numba's own class
    return compiled


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function on its first call, or take it from the cache folder."""
    return _kernel(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function in the same way, to become part of every kernel that calls it."""
    return _kernel(function, forceinline=True)
