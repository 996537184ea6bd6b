"""Decoding in a process of its own for each picture, seen from the server."""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import pickle
import select
import signal
import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from uncrop.errors import InvalidImage, ServerBusy
from uncrop.imaging.cost import Cost, cost_of
from uncrop.imaging.jpeg import kept
from uncrop.imaging.jpeg.coefficients.blocks import Coefficients
from uncrop.imaging.mask import corrupt_mask
from uncrop.workers.decoding.messages import (
    DONE,
    DONE_WITH_ALPHA,
    MAX_REPLY,
    OUT_OF_MEMORY,
    Job,
    Limits,
    read_refusal,
)
from uncrop.workers.decoding.starting import Start, StartedServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from uncrop.model import ImageHeader, Mask, OpenedFile, Pixels
    from uncrop.workers.decoding.confinement import Protection
    from uncrop.workers.decoding.messages import Work

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
# From now on nobody may write but who has mapped it for writing before (Linux 5.1).
SEAL_FUTURE_WRITE = 0x10
MAPPED = mmap.MAP_SHARED | mmap.MAP_POPULATE  # all pages at once
# On top of what is predicted: what the allocators keep, and the decoders' own tables.
SLACK_BYTES = 64_000_000
# A machine that is busy gives a process a tenth of a processor; beyond that, it hangs.
WALL_FACTOR, WALL_LEAST_S = 10, 20.0
TRIES = 2
# A process takes some milliseconds to end. Where it takes so little memory, nobody waits for that once it has answered.
SMALL_BYTES = 150_000_000
NOT_WHOLE = "The image could not be decoded within the limits of memory and time"
_log = structlog.stdlib.get_logger("uncrop.workers")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ended:
    """How a decoder's process ended, ``None`` where nobody knows, and what it said before."""

    code: int | None
    reply: bytes
    pixels: mmap.mmap


class SandboxedDecoder:
    """Decodes each file in a process that can do nothing else; see ``Decoder``.

    Parameters
    ----------
    start
        Starts the process that starts the others.
    cost
        Predicts what a file takes.

    Attributes
    ----------
    deaths
        How many decoders have ended without a reply.
    """

    def __init__(self, start: Start, *, cost: Callable[[OpenedFile], Cost] = cost_of) -> None:
        self._server = StartedServer(start)
        self._cost = cost
        self.deaths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self._server.close()

    def warm_up(self) -> None:
        """Start what the first file would start otherwise.

        Raises
        ------
        ServerBusy
            It cannot be started.
        """
        self._server.protection()

    def protection(self) -> Protection:
        """Return what the kernel enforces; see ``warm_up``.

        Raises
        ------
        ServerBusy
            It cannot be started.
        """
        return self._server.protection()

    @property
    def is_ready(self) -> bool:
        """Whether processes can be started: the one that starts them lives."""
        return self._server.is_ready

    def photo(self, file: OpenedFile) -> Pixels:
        """Decode a photo; see ``Decoder.photo``.

        Raises
        ------
        InvalidImage
        ServerBusy
        """
        header = file.header
        kind = np.uint16 if header.bits == 16 else np.uint8
        shape = (header.height, header.width, header.channels)
        _, pixels = self._decode("photo", file, header, math.prod(shape) * np.dtype(kind).itemsize)
        found: Pixels = np.frombuffer(pixels, kind, math.prod(shape)).reshape(shape)  # type: ignore[assignment]
        return found

    def mask(self, file: OpenedFile) -> Mask:
        """Decode a mask; see ``Decoder.mask``.

        Raises
        ------
        InvalidMask
        ServerBusy
        """
        header = file.header
        size = header.height * header.width
        try:
            _, pixels = self._decode("mask", file, header, size)
        except InvalidImage as error:
            raise corrupt_mask(error.system_message) from error
        raw = np.frombuffer(pixels, np.uint8, size).reshape(header.height, header.width)
        # A truth value is 0 or 1, whatever a decoder wrote.
        found: Mask = np.minimum(raw, 1, out=raw).view(np.bool_)
        return found

    def answer(self, file: OpenedFile, photo: ImageHeader) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
        """Decode a provider's picture; see ``Decoder.answer``.

        Raises
        ------
        InvalidImage
        ServerBusy
        """
        height, width = file.header.height, file.header.width
        size = height * width
        channels = 3 + (file.header.channels in (2, 4))
        reply, pixels = self._decode("answer", file, photo, size * channels)
        colours = np.frombuffer(pixels, np.uint8, 3 * size).reshape(height, width, 3)
        if reply != DONE_WITH_ALPHA or channels == 3:
            return colours, None
        return colours, np.frombuffer(pixels, np.uint8, size, 3 * size).reshape(height, width)

    def coefficients(self, file: OpenedFile) -> Coefficients:
        """Read a JPEG's coefficients; see ``Decoder.coefficients``.

        Raises
        ------
        InvalidImage
        ServerBusy
        """
        grid = kept.own_grid(file)
        _, levels = self._decode("coefficients", file, file.header, grid.count * kept.BLOCK_BYTES)
        return Coefficients(grid=grid, levels=np.frombuffer(levels, np.int16, grid.count * 64).reshape(-1, 64))

    def _decode(self, work: Work, file: OpenedFile, photo: ImageHeader, room: int) -> tuple[bytes, mmap.mmap]:
        """Have a file decoded, and once more where the process was ended from outside: nothing is lost but time."""
        cost = self._cost(file)
        if work == "coefficients":  # they take other memory than pixels, and no more time
            cost = replace(cost, peak_bytes=kept.reading_bytes(file))
        told = pickle.dumps((replace(file, data=b""), photo), protocol=5)
        limits = Limits(
            address_space=cost.peak_bytes + 2 * len(told) + SLACK_BYTES,
            cpu_s=cost.cpu_s,
            wall_s=max(WALL_LEAST_S, WALL_FACTOR * cost.cpu_s),
        )
        job = Job(work=work, told=len(told), size=len(file.data), room=room, limits=limits)
        for _ in range(TRIES):
            ended = self._run(job, told, file.data)
            if ended.code not in (None, -signal.SIGKILL):
                break
            self._count_death(work, ended.code)
        return _pixels_of(ended)

    def _run(self, job: Job, told: bytes, data: bytes) -> _Ended:
        with ExitStack() as stack:
            # The filter keeps a decoder from sealing anything, where it holds; elsewhere nobody may add a seal.
            is_answer_enough = self._server.protection().seccomp and job.limits.address_space <= SMALL_BYTES
            source = _memory(stack, job.told + job.size)
            target = _memory(stack, job.room, 0 if is_answer_enough else fcntl.F_SEAL_SEAL)
            _write(source, told, data)
            reply, theirs = _pair(stack)
            status, their_status = _pair(stack)
            try:
                self._server.send(job.to_bytes(), (source, target, theirs.fileno(), their_status.fileno()))
            finally:
                theirs.close()
                their_status.close()
            said = b""
            if is_answer_enough and _speaks_first(reply, status):
                said = _said(reply)
                pixels = mmap.mmap(target, job.room, MAPPED)
                if said and _is_closed_to_others(target):
                    return _Ended(code=0, reply=said, pixels=pixels)
            # It comes when the process has ended, so that nobody writes to the pixels any more.
            ending = status.recv(4)
            reply.setblocking(False)
            code = struct.unpack("=i", ending)[0] if len(ending) == 4 else None
            return _Ended(code=code, reply=said or _said(reply), pixels=mmap.mmap(target, job.room, MAPPED))

    def _count_death(self, work: Work, code: int | None) -> None:
        self.deaths += 1
        _log.warning("a decoder was ended", work=work, exit_code=code)


def _pixels_of(ended: _Ended) -> tuple[bytes, mmap.mmap]:
    if ended.code == 0:
        if ended.reply in (DONE, DONE_WITH_ALPHA):
            return ended.reply, ended.pixels
        if ended.reply == OUT_OF_MEMORY:
            raise InvalidImage(NOT_WHOLE, system_message="The decoder needed more memory than its header tells")
        refusal = read_refusal(ended.reply)
        if refusal is not None:
            raise refusal
    if ended.code is None:
        raise ServerBusy(system_message="No decoder could be started, or all of them were ended")
    raise InvalidImage(NOT_WHOLE, system_message=f"The decoder ended {_how(ended.code)}")


def _how(code: int) -> str:
    if code == -signal.SIGXCPU:
        return "beyond its limit of processor time"
    return f"by signal {-code}" if code < 0 else f"with code {code} and without an answer"


def _memory(stack: ExitStack, size: int, more_seals: int = fcntl.F_SEAL_SEAL) -> int:
    """Make memory that can be handed over, of a size that nobody can change: a shorter one would end who reads it."""
    descriptor = os.memfd_create("uncrop", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, descriptor)
    os.ftruncate(descriptor, max(1, size))
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS | more_seals)
    return descriptor


def _speaks_first(one: socket.socket, other: socket.socket) -> bool:
    """Wait until something comes from one of two sockets, or its other end is closed; tell whether from the first."""
    waiting = select.poll()
    for each in (one, other):
        waiting.register(each, select.POLLIN)
    return one.fileno() in dict(waiting.poll())


def _said(reply: socket.socket) -> bytes:
    """Return what a decoder says; nothing where it ended without a word."""
    try:
        return reply.recv(MAX_REPLY)
    except (BlockingIOError, ConnectionError):
        return b""


def _is_closed_to_others(descriptor: int) -> bool:
    """Let nobody else write to memory that this process has mapped; False where the kernel cannot do that.

    A decoder cannot have mapped it either: the filter of its system calls lets it map nothing that is shared.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEAL_FUTURE_WRITE)
    except OSError:
        return False
    return True


def _write(descriptor: int, *parts: bytes) -> None:
    at = 0
    for part in parts:
        left = memoryview(part)
        while left:
            written = os.pwrite(descriptor, left, at)
            left, at = left[written:], at + written


def _pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.enter_context(ours)
    return ours, theirs
