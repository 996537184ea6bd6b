"""How functions are compiled to machine code, and how they come back from the cache folder.

A *kernel* is a Python function that Numba compiles on its first call. Kernels release the interpreter's lock, so that
threads run them side by side, and they are kept in Numba's cache folder. The folder only saves time: what cannot be
read there is compiled, and what cannot be written there is compiled again by the next process.

Kernels do not count references to their arrays. Numba would do so atomically around every helper function and every
branch, which takes more time than the arithmetic, and even more when two threads count the same arrays. The price: a
kernel must not allocate. The caller passes the arrays that it works in and keeps all of them alive. A function that
must allocate is marked ``allocating`` instead.
"""

from __future__ import annotations

import errno
import os
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numba
from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator

_compile: Any = njit  # Numba's types do not know of _nrt, which switches the counting of references
_config: Any = numba.config  # nor of what is set here
_locator: Any = UserProvidedCacheLocator
_serializer: Any = CompileResultCacheImpl
_cache_of: Any = FunctionCache
# What pickle and Numba raise over a file that was cut off or altered.
_DAMAGED = (
    *(pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, ImportError, LookupError),
    *(RuntimeError, TypeError, ValueError),
)


# All kernels of the engine and of the PNG reader take 5 megabytes; what is left on a disk that is nearly full is for
# those who cannot do without.
_ROOM = 8_000_000


def check_room(folder: Path) -> None:
    """Make a folder for kernels, if need be, and see whether its disk has room for all of them.

    Raises
    ------
    OSError
        The folder cannot be made, or its disk is full or nearly so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = shutil.disk_usage(folder)
    if found.total and found.free < _ROOM:  # a file system that does not tell says 0 for both
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class GivenFolder(_locator):  # type: ignore[misc] # Numba carries no types
    """The folder that was given for compiled code, whether it can be written to or not.

    Numba's own class passes over a folder that cannot be written to, even when all kernels are in it.
    """

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """Return the folder for the kernels of one source file, or None when no folder was given."""
        return cls(py_func, py_file) if _config.CACHE_DIR and Path(py_file).exists() else None


class Serializer(_serializer):  # type: ignore[misc]
    """Numba's way from a kernel to a file and back, with the given folder as the first place to look at."""

    _locator_classes: ClassVar[list[Any]] = [GivenFolder, *_serializer._locator_classes]  # noqa: SLF001


class KernelCache(_cache_of):  # type: ignore[misc]
    """Numba's cache of one kernel, which never keeps a kernel from running.

    Attributes
    ----------
    ready
        Whether machine code from the folder can run as it is.
    failure
        Why the first kernel that this process could not keep was not kept; None when all were.
    """

    _impl_class = Serializer
    ready: ClassVar[bool] = False
    failure: ClassVar[OSError | None] = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the kernel compiled for the signature ``sig``, or None when the folder has none that can be used."""
        try:
            if not self.ready:
                target_context.refresh()
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except (OSError, *_DAMAGED):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a kernel, if that is possible."""
        try:
            check_room(Path(self.cache_path))
            try:
                super().save_overload(sig, data)
            except _DAMAGED:  # the list of what is there; it begins anew
                self.flush()
                super().save_overload(sig, data)
        except OSError as error:
            KernelCache.failure = KernelCache.failure or error


class ReadyCache(KernelCache):
    """The cache of one kernel, for machine code that is ready to run.

    Before Numba takes a function from its cache, it loads all that it knows about typing and compiling, and compiles
    its own memory manager. That is more than half of the time that all kernels take to load. Machine code that counts
    no references needs none of it. A kernel that is missing from the cache is compiled, and Numba loads the rest then.
    """

    ready = True


def _compiled(function: Callable[..., Any], cache: Callable[..., Any], **options: bool) -> Any:
    dispatcher = _compile(nogil=True, **options)(function)
    # Without a file of its own, or without any folder, a kernel is compiled for this process alone.
    with suppress(RuntimeError, OSError):
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
    return _compiled(function, KernelCache)
