"""What the server makes of processes that behave as no decoder should; a thread plays the one that starts them."""

from __future__ import annotations

import mmap
import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from uncrop.errors import InvalidImage, InvalidMask, ServerBusy
from uncrop.imaging.header import open_file
from uncrop.imaging.mask import open_mask
from uncrop.model import Rect
from uncrop.testing.pictures import mask_png, photo_png
from uncrop.workers.decoding import sandboxed
from uncrop.workers.decoding.messages import DONE, MAX_JOB
from uncrop.workers.decoding.sandboxed import SandboxedDecoder
from uncrop.workers.decoding.starting import Started, start_fork_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PICTURE = open_file(photo_png(40, 30))
MASK = open_mask(mask_png(40, 30, hole=Rect(x=3, y=4, width=20, height=9)), 40, 30)
READY = b'{"landlock": 1, "seccomp": true}'


def ends(code: int | None, reply: bytes | None) -> Callable[[socket.socket, socket.socket], None]:
    """Return what plays a decoder: what it says before its end, and how it ends; ``None``: nothing is heard."""

    def play(said: socket.socket, status: socket.socket) -> None:
        if reply is not None:
            said.send(reply)
        if code is not None:
            with suppress(BrokenPipeError):  # who was told what no decoder says waits for nothing more
                status.send(struct.pack("=i", code))
        status.close()

    return play


class Player:
    """Starts a process that only sleeps, and plays what it should do; the first ``deaf`` ones take no job."""

    def __init__(self, play: Callable[[socket.socket, socket.socket], None], *, deaf: int = 0) -> None:
        self._play = play
        self._deaf = deaf
        self._threads: list[threading.Thread] = []
        self.started: list[Started] = []

    def __call__(self) -> Started:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.send(READY)
        if len(self.started) < self._deaf:
            theirs.close()
        else:
            self._threads.append(threading.Thread(target=self._serve, args=(theirs,)))
            self._threads[-1].start()
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.started.append(Started(process=process, control=ours))
        return self.started[-1]

    def join(self) -> None:
        """Wait until all is closed."""
        for thread in self._threads:
            thread.join()

    def _serve(self, control: socket.socket) -> None:
        with ExitStack() as stack:
            stack.enter_context(control)
            while True:
                packet, descriptors, _, _ = socket.recv_fds(control, MAX_JOB, 4)
                if not packet:
                    return
                source, target, said, status = descriptors
                os.close(source)
                os.close(target)
                # The way back stays open: what does not come must not be waited for.
                reply = stack.enter_context(socket.socket(fileno=said))
                self._play(reply, socket.socket(fileno=status))


@contextmanager
def playing(player: Player) -> Iterator[SandboxedDecoder]:
    try:
        with SandboxedDecoder(player) as decoder:
            yield decoder
    finally:
        player.join()


def test_a_mask_whose_decoder_ends_is_an_invalid_mask() -> None:
    with playing(Player(ends(7, b""))) as decoder, pytest.raises(InvalidMask, match="corrupt") as caught:
        decoder.mask(MASK)
    assert caught.value.details == {"rule": "format", "expected": "a whole PNG", "actual": "corrupt"}
    assert caught.value.system_message == "The decoder ended with code 7 and without an answer"


@pytest.mark.parametrize("reply", [None, b"what no decoder says"])
def test_an_end_without_an_answer_is_no_picture(reply: bytes | None) -> None:
    with playing(Player(ends(0, reply))) as decoder, pytest.raises(InvalidImage) as caught:
        decoder.photo(PICTURE)
    assert caught.value.system_message == "The decoder ended with code 0 and without an answer"


@pytest.mark.parametrize(("setting", "value"), [("SMALL_BYTES", 0), ("SEAL_FUTURE_WRITE", 1 << 30)])
def test_where_nobody_tells_the_end_it_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: int
) -> None:
    """The end of one that takes much memory, and of each where the kernel cannot seal it, is waited for."""
    monkeypatch.setattr(sandboxed, setting, value)
    with playing(Player(ends(None, DONE))) as decoder:
        with pytest.raises(ServerBusy):
            decoder.photo(PICTURE)
        assert decoder.deaths == 2
    with playing(Player(ends(0, DONE))) as decoder:
        assert decoder.photo(PICTURE).shape == (30, 40, 3)


def test_where_nothing_is_heard_it_is_tried_once_more() -> None:
    with playing(Player(ends(None, None))) as decoder:
        with pytest.raises(ServerBusy):
            decoder.photo(PICTURE)
        assert decoder.deaths == 2


def test_once_it_has_answered_its_end_is_not_waited_for() -> None:
    with playing(Player(ends(None, DONE))) as decoder:
        assert decoder.photo(PICTURE).shape == (30, 40, 3)
        assert decoder.deaths == 0


def test_what_was_mapped_before_is_closed_to_others() -> None:
    with ExitStack() as stack:
        memory = sandboxed._memory(stack, 100, 0)
        os.write(memory, b"before")
        seen = mmap.mmap(memory, 100, sandboxed.MAPPED)
        assert sandboxed._is_closed_to_others(memory)
        for act in (lambda: os.write(memory, b"after"), lambda: mmap.mmap(memory, 100, sandboxed.MAPPED)):
            with pytest.raises(PermissionError):
                act()
        seen[6:7] = b"!"  # here it can be written to, as before
        assert seen[:8] == b"before!\0"
        assert not sandboxed._is_closed_to_others(sandboxed._memory(stack, 100))


def test_one_that_takes_no_job_is_replaced() -> None:
    player = Player(ends(0, DONE), deaf=1)
    with playing(player) as decoder:
        decoder.warm_up()
        assert decoder.photo(PICTURE).shape == (30, 40, 3)
    assert [started.process.returncode for started in player.started] == [-9, -9]


def test_after_closing_none_is_started() -> None:
    player = Player(ends(0, DONE))
    decoder = SandboxedDecoder(player)
    decoder.close()
    with pytest.raises(ServerBusy) as caught:
        decoder.warm_up()
    assert caught.value.system_message == "Decoders are not started any more"
    assert not player.started


def test_what_cannot_be_executed_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    before = sockets()
    with SandboxedDecoder(partial(start_fork_server, None)) as decoder:
        with pytest.raises(ServerBusy) as caught:
            decoder.warm_up()
        assert isinstance(caught.value.__cause__, FileNotFoundError)
        # The error keeps the frame alive: only closing closes the socket.
        assert sockets() <= before


def sockets() -> set[str]:
    """Return the sockets that this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return {name for link in links if (name := str(link.readlink())).startswith("socket:")}
