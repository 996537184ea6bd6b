"""The process that starts decoders, seen from the server: started when it is needed, and again when it has ended."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog

from uncrop.errors import ServerBusy
from uncrop.workers.decoding.confinement import Protection

# Compiling the PNG reader's kernels, where no folder keeps them, takes some seconds, on a busy machine many.
STARTED_WITHIN_S = 120.0
MAX_REPORT = 1024
# OpenBLAS would start a thread for each processor, and a process with threads cannot be forked safely. The others let
# glibc take memory in large pages, many at a time, which spares a decoder a third of its time.
MEMORY = ("hugetlb=1", f"mmap_threshold={1 << 25}", f"trim_threshold={1 << 28}", f"top_pad={1 << 24}")
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "GLIBC_TUNABLES": ":".join(f"glibc.malloc.{each}" for each in MEMORY),
}
# The module search path is handed over as arguments, since the environment is not.
BOOT = "import sys; sys.path[:] = sys.argv[2:]; from uncrop.workers.decoding.fork_server import main; main(sys.argv[1])"
_log = structlog.stdlib.get_logger("uncrop.workers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The process and our end of its control socket."""

    process: subprocess.Popen[bytes]
    control: socket.socket


Start: TypeAlias = Callable[[], Started]


def start_fork_server(cache: Path | None, *, boot: str | None = None) -> Started:
    """Execute the process that starts decoders, without this one's environment, memory and open files.

    Raises
    ------
    OSError
        It cannot be executed.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folders = [str(Path(folder).absolute()) for folder in sys.path]
    command = (sys.executable, "-I", "-c", boot or BOOT, "" if cache is None else str(cache.absolute()), *folders)
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, env=ENVIRONMENT, cwd="/"
            )
    except OSError:
        ours.close()
        raise
    return Started(process=process, control=ours)


class StartedServer:
    """Keeps one such process; safe to share between threads."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._started: Started | None = None
        self._protection: Protection | None = None
        self._closed = False

    @property
    def is_ready(self) -> bool:
        """Whether it lives and has loaded everything."""
        started = self._started
        return started is not None and self._protection is not None and started.process.poll() is None

    def protection(self) -> Protection:
        """Return what the kernel enforces, once the process has told; it is started if need be.

        Raises
        ------
        ServerBusy
        """
        with self._lock:
            return self._ensure()[1]

    def send(self, packet: bytes, descriptors: Sequence[int]) -> None:
        """Hand over a job.

        Raises
        ------
        ServerBusy
            The process cannot be started.
        """
        with self._lock:
            started, _ = self._ensure()
            try:
                socket.send_fds(started.control, [packet], descriptors)
            except OSError:
                # It has just ended.
                self._forget()
                started, _ = self._ensure()
                socket.send_fds(started.control, [packet], descriptors)

    def close(self) -> None:
        """End it, and with it all decoders."""
        with self._lock:
            self._closed = True
            self._forget()

    def _ensure(self) -> tuple[Started, Protection]:
        if self._started is not None and self._started.process.poll() is not None:
            _log.warning("the process that starts decoders has ended", exit_code=self._started.process.returncode)
            self._forget()
        if self._started is not None and self._protection is not None:
            return self._started, self._protection
        if self._closed:
            raise ServerBusy(system_message="Decoders are not started any more")
        try:
            self._started = self._start()
            self._protection = _report(self._started)
        except (OSError, ValueError) as error:
            self._forget()
            raise ServerBusy(system_message="No process can be started to decode in") from error
        if missing := self._protection.missing():
            _log.warning("decoders are less confined", reason=missing)
        return self._started, self._protection

    def _forget(self) -> None:
        started, self._started, self._protection = self._started, None, None
        if started is not None:
            started.control.close()
            with suppress(ProcessLookupError):
                started.process.send_signal(signal.SIGKILL)
            started.process.wait()


def _report(started: Started) -> Protection:
    """Wait until everything is loaded.

    Raises
    ------
    OSError, ValueError
        It ended before, took too long, or is not what it should be.
    """
    started.control.settimeout(STARTED_WITHIN_S)
    report = json.loads(started.control.recv(MAX_REPORT) or b"null")
    started.control.settimeout(None)
    if not isinstance(report, dict):
        raise ValueError("it ended before it was ready")  # noqa: TRY004 - what came, not its type
    return Protection(landlock=int(report["landlock"]), seccomp=bool(report["seccomp"]))
