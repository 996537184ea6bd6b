"""What a process that decodes gives up, for good: files, network, other processes, and memory and time without end."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from uncrop.workers.decoding import landlock, seccomp, syscalls

if TYPE_CHECKING:
    from uncrop.workers.decoding.messages import Limits

CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION_3 = 0x20080522
# When memory runs out, the kernel ends a decoder before it ends the server. 1000 would be before all others.
SCORE_FOR_ENDING = "500"
# One picture more than this much processor time over its limit, and SIGXCPU, which ended it, was not heard.
CPU_GRACE_S = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Protection:
    """What the kernel enforces, besides limits on memory, time and open files, which every kernel has.

    Attributes
    ----------
    landlock
        The version of Landlock's interface; 0: none.
    seccomp
        Whether system calls are filtered.
    """

    landlock: int
    seccomp: bool

    def missing(self) -> str:
        """Return a line about what this kernel cannot enforce; empty when nothing is missing."""
        enforced = {"Landlock": self.landlock, "filters of system calls": self.seccomp}
        absent = [name for name, there in enforced.items() if not there]
        if not absent:
            return ""
        return f"this kernel has no {' and no '.join(absent)}; limits on memory, time and open files hold"


def confine_server(program: bytes | None) -> Protection:
    """Give up what neither the process that starts decoders needs, once it has loaded everything, nor they do.

    Parameters
    ----------
    program
        The filter that decoders will install; it is tried in a process of its own.
    """
    with suppress(OSError):  # not a Linux of our kind; what there is holds
        Path("/proc/self/oom_score_adj").write_text(SCORE_FOR_ENDING)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _drop_capabilities()
    return Protection(landlock=landlock.refuse_everything(), seccomp=program is not None and _works(program))


def confine_decoder(limits: Limits, room: int, program: bytes | None) -> None:
    """Give up everything but what is open, and ``room`` bytes to write; call it in the process of one picture, last."""
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK):
        resource.setrlimit(kind, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    resource.setrlimit(resource.RLIMIT_AS, (limits.address_space, limits.address_space))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + CPU_GRACE_S))
    if program is not None:
        seccomp.install(program)


def die_with_parent(parent: int) -> None:
    """Be ended by the kernel when the parent ends; at once if it already has."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def address_space() -> int:
    """Return how many bytes of addresses this process uses."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _drop_capabilities() -> None:
    """Give up root's powers where there are any: with them, limits could be raised again."""
    number = CAPSET.get(os.uname().machine)
    if number is None:
        return
    header = ctypes.create_string_buffer(struct.pack("=Ii", CAPABILITY_VERSION_3, 0))
    nothing = ctypes.create_string_buffer(struct.pack("=6I", *([0] * 6)))
    with suppress(OSError):  # a service manager may refuse even this; what else is given up holds
        syscalls.call(number, header, nothing)


def _works(program: bytes) -> bool:
    child = os.fork()
    if child == 0:
        try:
            seccomp.install(program)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
