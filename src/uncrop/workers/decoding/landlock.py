"""Landlock: the kernel refuses this process, and all that it starts, whatever it has not opened yet.

After the kernel's ``include/uapi/linux/landlock.h``. The system calls have the same numbers on all architectures.
"""

from __future__ import annotations

import ctypes
import os

from uncrop.workers.decoding import syscalls

CREATE_RULESET, RESTRICT_SELF = 444, 446
ASK_FOR_VERSION = 1
# How many rights there are from which version of the interface on. All of them are refused.
FILE_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))
NETWORK_VERSION, NETWORK_RIGHTS = 4, 2  # to bind TCP ports, and to connect to them
SCOPE_VERSION, SCOPES = 6, 2  # abstract UNIX sockets, and signals, to processes outside


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def version() -> int:
    """Return the version of the kernel's Landlock interface; 0 where it has none, or it is switched off."""
    try:
        return syscalls.call(CREATE_RULESET, None, 0, ASK_FOR_VERSION)
    except OSError:
        return 0


def refuse_everything() -> int:
    """Refuse all files, TCP ports, and what else this kernel's version can refuse.

    Returns
    -------
    int
        The version; 0: nothing is refused.

    Raises
    ------
    OSError
        The kernel has Landlock and refuses to use it, for example because new privileges may still be gained.
    """
    found = version()
    if not found:
        return 0
    ruleset = _Ruleset(
        files=(1 << max(count for since, count in FILE_RIGHTS if since <= found)) - 1,
        network=(1 << NETWORK_RIGHTS) - 1 if found >= NETWORK_VERSION else 0,
        scopes=(1 << SCOPES) - 1 if found >= SCOPE_VERSION else 0,
    )
    # Older kernels take a shorter structure, and a longer one whose end is zero.
    descriptor = syscalls.call(CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        syscalls.call(RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)
    return found
