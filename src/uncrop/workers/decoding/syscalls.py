"""Linux system calls for which Python has no function, through ctypes."""

from __future__ import annotations

import ctypes
import os
from functools import cache

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number.

    Raises
    ------
    OSError
        The kernel refuses it, or does not have it.
    """
    return _checked(_libc().syscall(ctypes.c_long(number), *map(_argument, arguments)))


def prctl(option: int, *arguments: object) -> None:
    """Change what the kernel lets this process do; see ``prctl(2)``.

    Raises
    ------
    OSError
        The kernel refuses it, or does not know the option.
    """
    given = [*map(_argument, arguments), *(ctypes.c_ulong(0) for _ in range(4 - len(arguments)))]
    _checked(_libc().prctl(ctypes.c_int(option), *given))


def _argument(value: object) -> object:
    """Return a whole number as wide as a register; pointers are passed as they are."""
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
