"""The process that starts one process for each picture: warm, with one thread, and with nothing in it to be stolen.

It is executed anew, without the server's memory, environment and open files; loads what decoding needs; gives up
files, network and privileges; and then forks at each job that it is sent. It looks at no picture itself.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import resource
import selectors
import signal
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uncrop import engine, imaging
from uncrop.imaging import codec
from uncrop.imaging.colour.profiles import SRGB_CURVE, SRGB_PRIMARIES, made
from uncrop.imaging.header import open_file
from uncrop.imaging.png import read as png_read
from uncrop.workers.decoding import child, seccomp
from uncrop.workers.decoding.confinement import (
    Protection,
    address_space,
    confine_decoder,
    confine_server,
    die_with_parent,
)
from uncrop.workers.decoding.messages import MAX_JOB, Job

if TYPE_CHECKING:
    from types import FrameType

    from uncrop.workers.decoding.child import Works

CONTROL = 0  # the descriptor of the control socket
DESCRIPTORS = 4
MAX_FILES = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    status: int  # a socket: whoever has its other end learns how the process ended
    ends_at: float


def main(cache: str, works: Works = child.WORKS, *, confined: bool = True) -> None:
    """Load everything, give up the rest, and serve until the other end of the control socket is closed.

    Parameters
    ----------
    cache
        Folder of the compiled kernels; empty: the engine's own choice.
    works
        What can be asked for.
    confined
        False lets decoders keep what this process gives up; tests prove by it that they see a difference.
    """
    # Meant for the server, which ends this process by closing the socket when its own work is done.
    for meant_for_all in (signal.SIGINT, signal.SIGTERM):
        signal.signal(meant_for_all, signal.SIG_IGN)
    os.environ.clear()
    # Each process closes what it has inherited, one by one on older kernels.
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))
    control = socket.socket(fileno=CONTROL)
    load(Path(cache) if cache else None)
    program = seccomp.prepared() if confined else None
    space = address_space()
    protection = confine_server(program) if confined else Protection(landlock=0, seccomp=False)
    server = ForkServer(control, works, space, program if protection.seccomp else None, confined=confined)
    control.send(json.dumps(asdict(protection)).encode())
    gc.collect()
    gc.freeze()  # what is loaded stays as it is, so that processes share its memory
    gc.disable()
    server.serve()


def load(cache: Path | None) -> None:
    """Load whatever decoding may need, now: later nothing can be read."""
    engine.use_cache(cache)
    for module in pkgutil.walk_packages(imaging.__path__, f"{imaging.__name__}."):
        importlib.import_module(module.name)
    png_read.warm_up()
    pixels = np.zeros((8, 8, 3), np.uint8)
    for format in ("JPEG", "PNG", "WEBP"):  # noqa: A001
        file = open_file(codec.encode(pixels, format))
        header = replace(file.header, metadata=replace(file.header.metadata, icc=made(SRGB_PRIMARIES, SRGB_CURVE, 3)))
        child.answer(replace(file, header=header), file.header)


class ForkServer:
    """Starts processes, waits for their ends, and ends those that take too long."""

    def __init__(
        self, control: socket.socket, works: Works, space: int, program: bytes | None, *, confined: bool
    ) -> None:
        self._control = control
        self._works = works
        self._space = space
        self._program = program
        self._confined = confined
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()
        self._pid = os.getpid()

    def serve(self) -> None:
        """Serve until the other end is closed."""
        ended, told = socket.socketpair()
        for end in (ended, told):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ)
        self._selector.register(ended, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._seconds_left()):
                if key.fileobj is ended:
                    ended.recv(4096)
                elif not self._take():
                    return
            self._reap()
            self._end_late_ones()

    def _take(self) -> bool:
        """Take a job and start its process; False when there will be no more."""
        packet, descriptors, _, _ = socket.recv_fds(self._control, MAX_JOB, DESCRIPTORS)
        if not packet:
            return False
        job = Job.from_bytes(packet)
        *own, status = descriptors
        try:
            pid = os.fork()
        except OSError:
            # That nobody tells how it ended tells it.
            os.close(status)
        else:
            if pid == 0:
                self._be_decoder(job, own)
            self._running[pid] = _Running(status=status, ends_at=time.monotonic() + job.limits.wall_s)
        for descriptor in own:
            os.close(descriptor)
        return True

    def _be_decoder(self, job: Job, own: list[int]) -> None:
        """Decode in this process, which was made for it, and end it."""
        code = 1
        try:
            source, target, reply = own
            die_with_parent(self._pid)
            # Of what this process has inherited, it keeps the file and the two ways back.
            self._close_all_but(source, target, reply)
            if self._confined:
                space = self._space + job.limits.address_space
                confine_decoder(replace(job.limits, address_space=space), job.room, self._program)
            os.write(reply, child.work(job, source, target, self._works))
            code = 0
        finally:
            os._exit(code)

    def _close_all_but(self, *kept: int) -> None:
        low = 0
        for descriptor in sorted(kept):
            os.closerange(low, descriptor)
            low = descriptor + 1
        os.closerange(low, max(low, MAX_FILES))

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            ended = self._running.pop(pid)
            with socket.socket(fileno=ended.status) as told:
                _tell(told, status)

    def _end_late_ones(self) -> None:
        now = time.monotonic()
        for pid, running in self._running.items():
            if running.ends_at <= now:
                os.kill(pid, signal.SIGKILL)

    def _seconds_left(self) -> float | None:
        if not self._running:
            return None
        return max(0.0, min(running.ends_at for running in self._running.values()) - time.monotonic())


def _tell(told: socket.socket, status: int) -> None:
    try:
        told.send(struct.pack("=i", os.waitstatus_to_exitcode(status)))
    except OSError:  # nobody waits any more
        return


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Take note of a signal, so that it wakes the loop."""


if __name__ == "__main__":
    main(sys.argv[1])
