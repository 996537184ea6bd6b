"""The process that starts one process for each picture: warm, with one thread, and with nothing in it to be stolen.

It is executed anew, without the server's memory, environment and open files; loads what decoding needs; gives up
files, network and privileges; and then forks for each job that it is sent. It looks at no picture itself.

While it has nothing to do it forks for the next job already, so that this one need not wait for it: the spare process
decodes pictures of ours, which takes the memory that it will need, and waits. Each process decodes one file, as before.
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
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from uncrop import engine, imaging
from uncrop.imaging import codec
from uncrop.imaging.colour.profiles import SRGB_CURVE, SRGB_PRIMARIES, made
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg import kept as jpeg_kept
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
    from collections.abc import Sequence
    from types import FrameType

    from uncrop.model import OpenedFile
    from uncrop.workers.decoding.child import Works

CONTROL = 0  # the descriptor of the control socket
DESCRIPTORS = 4
MAX_FILES = 256
# What a waiting process has at hand: the pixels of a photo of one megapixel, its file, and what decoding it takes.
WARM_BYTES = 6_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Running:
    status: int  # a socket: whoever has its other end learns how the process ended
    ends_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spare:
    pid: int
    jobs: socket.socket  # its job is sent there


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
    files = load(Path(cache) if cache else None)
    program = seccomp.prepared() if confined else None
    space = address_space()
    protection = confine_server(program) if confined else Protection(landlock=0, seccomp=False)
    server = ForkServer(control, works, space, program if protection.seccomp else None, confined=confined, files=files)
    control.send(json.dumps(asdict(protection)).encode())
    gc.collect()
    gc.freeze()  # what is loaded stays as it is, so that processes share its memory
    gc.disable()
    server.serve()


def load(cache: Path | None) -> list[OpenedFile]:
    """Load whatever decoding may need, now: later nothing can be read. Return a small file of each format."""
    engine.use_cache(cache)
    for module in pkgutil.walk_packages(imaging.__path__, f"{imaging.__name__}."):
        importlib.import_module(module.name)
    jpeg_kept.warm_up_reading()
    png_read.warm_up()
    pixels = np.zeros((8, 8, 3), np.uint8)
    files = []
    for format in ("JPEG", "PNG", "WEBP"):  # noqa: A001
        file = open_file(codec.encode(pixels, format))
        header = replace(file.header, metadata=replace(file.header.metadata, icc=made(SRGB_PRIMARIES, SRGB_CURVE, 3)))
        child.answer(replace(file, header=header), file.header)
        files.append(file)
    return files


class ForkServer:
    """Starts processes, waits for their ends, and ends those that take too long."""

    def __init__(
        self,
        control: socket.socket,
        works: Works,
        space: int,
        program: bytes | None,
        *,
        confined: bool,
        files: Sequence[OpenedFile],
    ) -> None:
        self._control = control
        self._works = works
        self._space = space
        self._program = program
        self._confined = confined
        self._files = files
        self._running: dict[int, _Running] = {}
        self._spare: _Spare | None = None
        self._prepares = True
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
        try:
            self._serve_until_closed(ended)
        finally:
            # A process may end after this, and its signal would be written to a descriptor that is closed.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)

    def _serve_until_closed(self, ended: socket.socket) -> None:
        while True:
            if self._prepares and not self._running and self._spare is None:
                self._spare = self._fork_spare()
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
        self._prepares = True
        job = Job.from_bytes(packet)
        *own, status = descriptors
        try:
            pid = self._handed_to_spare(packet, own) or self._fork(job, own)
        except OSError:
            # That nobody tells how it ended tells it.
            os.close(status)
        else:
            self._running[pid] = _Running(status=status, ends_at=time.monotonic() + job.limits.wall_s)
        for descriptor in own:
            os.close(descriptor)
        return True

    def _fork(self, job: Job, own: list[int]) -> int:
        """Start a process for a job, and return its id."""
        pid = os.fork()
        if pid == 0:
            self._be_decoder(job, own)
        return pid

    def _handed_to_spare(self, packet: bytes, own: list[int]) -> int | None:
        """Give a job to the spare process, and return its id; ``None`` where there is none, or it takes no job."""
        spare, self._spare = self._spare, None
        if spare is None:
            return None
        with spare.jobs:
            try:
                socket.send_fds(spare.jobs, [packet], own)
            except OSError:  # it was ended
                return None
        return spare.pid

    def _fork_spare(self) -> _Spare | None:
        """Start a process that waits for its job; ``None`` where none can be started now."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                return None
            if pid == 0:
                self._be_spare(theirs)
        return _Spare(pid=pid, jobs=ours)

    def _be_spare(self, jobs: socket.socket) -> None:
        """Touch what decoding takes, wait for a job, do it and end this process."""
        try:
            die_with_parent(self._pid)
            self._close_all_but(jobs.fileno())
            for file in self._files:
                child.photo(file, file.header)
            b"\1" * WARM_BYTES
            packet, own, _, _ = socket.recv_fds(jobs, MAX_JOB, DESCRIPTORS)
            if packet:
                self._be_decoder(Job.from_bytes(packet), own)
        finally:
            os._exit(1)

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
        signal.set_wakeup_fd(-1)  # its number may be another's soon
        low = 0
        for descriptor in sorted(kept):
            if low < descriptor:  # an empty range that begins at 0 would be taken for all of them
                os.closerange(low, descriptor)
            low = descriptor + 1
        os.closerange(low, max(low, MAX_FILES))

    def _reap(self) -> None:
        with suppress(ChildProcessError):  # there is none
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                ended = self._running.pop(pid, None)
                if ended is not None:
                    with socket.socket(fileno=ended.status) as told:
                        _tell(told, status)
                elif self._spare is not None and pid == self._spare.pid:
                    # What ended it may end the next as well: there is none before another job has come.
                    self._spare.jobs.close()
                    self._spare, self._prepares = None, False

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
