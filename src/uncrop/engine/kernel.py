"""How kernels are compiled.

Kernels release the interpreter's lock and are kept in the cache folder. They do not count references to their arrays:
Numba would do so atomically around every helper function and every branch, which takes more time than the arithmetic,
the more so when two threads count the same arrays. The price is that a kernel must not allocate; whoever calls it
brings the room it works in, and keeps all arrays alive.
"""

from __future__ import annotations

from typing import Any

from numba import njit

_compile: Any = njit  # its types do not know of _nrt, which switches the counting of references
kernel: Any = _compile(nogil=True, cache=True, _nrt=False)
inlined: Any = _compile(nogil=True, cache=True, _nrt=False, forceinline=True)
