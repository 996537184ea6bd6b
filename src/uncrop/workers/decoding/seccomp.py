"""A list of the system calls that a decoder needs; the kernel refuses all others with EPERM.

The filter is a program for the kernel's packet filter, after ``Documentation/userspace-api/seccomp_filter.rst``.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from uncrop.workers.decoding import syscalls

if TYPE_CHECKING:
    from collections.abc import Mapping

FILTER_MODE = 2
LOAD, JUMP_IF_EQUAL, JUMP_IF_ANY, RETURN = 0x20, 0x15, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, FOURTH_ARGUMENT_AT = 0, 4, 40  # in the structure that the filter looks at
MAP_SHARED = 1  # of the flags, the fourth argument of mmap, on processors that store the lower half first
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000

# Memory, what was open before, clocks, and the end. No file, no socket, no process, no signal, no limit.
NEEDED = (
    *("read", "write", "readv", "writev", "pread64", "sendto", "close", "fstat", "lseek"),
    *("brk", "mmap", "mprotect", "munmap", "mremap", "madvise"),
    *("clock_gettime", "clock_getres", "getrandom", "getpid", "gettid", "getrusage", "sysinfo", "sched_yield"),
    *("sched_getaffinity", "futex", "restart_syscall", "rt_sigreturn", "exit", "exit_group"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """The kernel's number for a processor, and the numbers of the system calls there."""

    token: int
    numbers: Mapping[str, int]


def _numbers(values: str) -> Mapping[str, int]:
    return MappingProxyType(dict(zip(NEEDED, map(int, values.split()), strict=True)))


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "x86_64": Architecture(
            token=0xC000003E,
            numbers=_numbers(
                "0 1 19 20 17 44 3 5 8 12 9 10 11 25 28 228 229 318 39 186 98 99 24 204 202 219 15 60 231"
            ),
        ),
        "aarch64": Architecture(
            token=0xC00000B7,
            numbers=_numbers(
                "63 64 65 66 67 206 57 80 62 "
                "214 222 226 215 216 233 "
                "113 114 278 172 178 165 179 124 123 98 128 139 93 94"
            ),
        ),
    }
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def program_for(architecture: Architecture) -> bytes:
    """Return the filter; a program for another processor, which would mean other calls by the numbers, is killed."""
    numbers = sorted(architecture.numbers.values())
    mapping = architecture.numbers["mmap"]
    steps = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_IF_EQUAL, 1, 0, architecture.token),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        # Nothing that is shared may be mapped: what others read must not change behind their backs.
        (JUMP_IF_EQUAL, 0, 4, mapping),
        (LOAD, 0, 0, FOURTH_ARGUMENT_AT),
        (JUMP_IF_ANY, 0, 1, MAP_SHARED),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
        # Each jumps over those that are left, and over the refusal.
        *((JUMP_IF_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def prepared() -> bytes | None:
    """Return the filter for this processor; ``None`` where its numbers are not known."""
    architecture = ARCHITECTURES.get(platform.machine())
    return None if architecture is None else program_for(architecture)


def install(program: bytes) -> None:
    """Refuse all other calls from now on, for good.

    Raises
    ------
    OSError
        The kernel has no such filters.
    """
    prepared_program = _Program(len(program) // 8, program)
    syscalls.prctl(syscalls.PR_SET_SECCOMP, FILTER_MODE, ctypes.byref(prepared_program))
