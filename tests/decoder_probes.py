"""What a decoder's process finds when it looks around, and what becomes of it when it misbehaves.

Runs in that process: the name of a probe comes as the picture's mode, what it found goes back as a refusal's details.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uncrop.errors import InvalidImage
from uncrop.workers.decoding import fork_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import ImageHeader, OpenedFile
    from uncrop.workers.decoding.child import Arrays

BOOT = "import sys; sys.path[:] = sys.argv[2:]; import decoder_probes; decoder_probes.main({confined})"
MUCH = 400_000_000  # bytes


def attempt(action: Callable[[], object]) -> str:
    """Return "done", or the name of what the kernel raises instead."""
    try:
        action()
    except (OSError, MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"


def is_open(descriptor: int) -> bool:
    """Tell whether there is anything behind a descriptor, by the one question that is always allowed."""
    try:
        os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError as error:
        return error.errno != errno.EBADF
    return True


def files() -> dict[str, Any]:
    """Look at files and folders, and write one."""
    return {
        "read": attempt(lambda: Path("/etc/passwd").read_bytes()),
        "list": attempt(lambda: list(Path("/").iterdir())),
        "write": attempt(lambda: Path("/tmp/uncrop-probe").write_bytes(b"")),
        "look": attempt(lambda: Path("/etc/passwd").stat()),
    }


def network() -> dict[str, Any]:
    """Open sockets of each kind."""
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    found = {
        name: attempt(lambda kind=kind: socket.socket(socket.AF_INET, kind).close()) for name, kind in kinds.items()
    }
    return {**found, "unix": attempt(lambda: socket.socketpair()[0].close())}


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def processes() -> dict[str, Any]:
    """Start a process, signal another one, and change what this one may."""
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    return {
        "fork": attempt(_fork),
        "signal": attempt(lambda: os.kill(os.getppid(), 0)),
        "limits": attempt(lambda: resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE))),
        "files": attempt(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, endless)) if os.getuid() else "OSError",
    }


def environment() -> dict[str, Any]:
    """Look at the environment, at what is open, and for secrets of the one that started all this."""
    return {
        "variables": ",".join(sorted(os.environ)),
        "open": sum(map(is_open, range(256))),
        "server": "uncrop.server" in sys.modules or "uncrop.settings" in sys.modules,
    }


def memory() -> dict[str, Any]:
    """Take more memory than any picture needs, and some that others can share."""
    return {
        "much": attempt(lambda: np.ones(MUCH, np.uint8)),
        "shared": attempt(lambda: mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)),
    }


def starve() -> dict[str, Any]:
    """Take more memory than any picture needs, as a decoder that does not expect to be refused."""
    return {"taken": int(np.ones(MUCH, np.uint8)[0])}


def spin() -> dict[str, Any]:
    """Compute without end."""
    while True:
        pass


def crash() -> dict[str, Any]:
    """Read where nothing is."""
    return {"found": len(ctypes.string_at(0))}


def leave() -> dict[str, Any]:
    """End without a word."""
    os._exit(7)


PROBES = {each.__name__: each for each in (files, network, processes, environment, memory, starve, spin, crash, leave)}


def probe(file: OpenedFile, photo: ImageHeader) -> Arrays:
    """Run the probe that the picture's mode names, or decode."""
    if file.header.mode not in PROBES:
        return fork_server.child.photo(file, photo)
    raise InvalidImage("probed", details=PROBES[file.header.mode]())


def probe_coefficients(file: OpenedFile, photo: ImageHeader) -> Arrays:
    """Run the probe that the picture's mode names, or read coefficients."""
    if file.header.mode not in PROBES:
        return fork_server.child.coefficients(file, photo)
    return probe(file, photo)


def main(confined: bool) -> None:
    """Serve probes instead of pictures."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    works = {**fork_server.child.WORKS, "photo": probe, "coefficients": probe_coefficients}
    fork_server.main(sys.argv[1], works, confined=confined)
