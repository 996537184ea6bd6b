"""What is asked of the kernel, without giving anything up in this process."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import threading
from pathlib import Path
from typing import Any

import pytest

from uncrop.workers.decoding import landlock, seccomp, syscalls
from uncrop.workers.decoding.confinement import Protection

NO_SUCH_CALL, NO_SUCH_OPTION, PR_SET_NAME = 100_000, 100_000, 15


def test_calls_are_made_by_their_numbers() -> None:
    architecture = seccomp.ARCHITECTURES.get(platform.machine())
    if architecture is None:
        pytest.skip("the numbers of this processor are not known")
    assert syscalls.call(architecture.numbers["getpid"]) == os.getpid()
    assert syscalls.call(architecture.numbers["gettid"]) == threading.get_native_id()


def test_what_the_kernel_does_not_know_is_an_error() -> None:
    with pytest.raises(OSError, match="not implemented") as caught:
        syscalls.call(NO_SUCH_CALL)
    assert caught.value.errno == errno.ENOSYS
    with pytest.raises(OSError, match="Invalid argument") as caught:
        syscalls.prctl(NO_SUCH_OPTION)
    assert caught.value.errno == errno.EINVAL


def test_an_option_is_set_for_its_thread() -> None:
    names: list[str] = []

    def rename() -> None:
        syscalls.prctl(PR_SET_NAME, ctypes.c_char_p(b"renamed"))
        names.append(Path("/proc/thread-self/comm").read_text().strip())

    thread = threading.Thread(target=rename)
    thread.start()
    thread.join()
    assert names == ["renamed"]


class Kernel:
    """Plays a kernel with some version of Landlock's interface."""

    def __init__(self, version: int, *, refuses: bool = False) -> None:
        self._version = version
        self._refuses = refuses
        self.descriptor = -1
        self.rules: tuple[int, int, int] | None = None
        self.restricted: list[object] = []

    def call(self, number: int, *arguments: Any) -> int:
        if number == landlock.RESTRICT_SELF:
            if self._refuses:
                raise PermissionError
            self.restricted.append(arguments)
            return 0
        if arguments[0] is None:
            if not self._version:
                raise OSError(errno.ENOSYS, "none")
            return self._version
        rules = arguments[0]._obj
        self.rules = (rules.files, rules.network, rules.scopes)
        self.descriptor = os.open(os.devnull, os.O_RDONLY)
        return self.descriptor


@pytest.mark.parametrize(
    ("version", "rules"),
    [
        (1, (0x1FFF, 0, 0)),
        (2, (0x3FFF, 0, 0)),
        (3, (0x7FFF, 0, 0)),
        (4, (0x7FFF, 3, 0)),
        (5, (0xFFFF, 3, 0)),
        (7, (0xFFFF, 3, 3)),
    ],
)
def test_each_kernel_is_asked_for_all_that_it_can_refuse(
    version: int, rules: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(version)
    monkeypatch.setattr(syscalls, "call", kernel.call)
    assert landlock.refuse_everything() == version
    assert kernel.rules == rules
    assert kernel.restricted == [(kernel.descriptor, 0)]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kernel.descriptor)


def test_a_kernel_without_landlock_is_asked_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(0)
    monkeypatch.setattr(syscalls, "call", kernel.call)
    assert landlock.refuse_everything() == 0
    assert kernel.rules is None


def test_a_kernel_that_will_not_use_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(4, refuses=True)
    monkeypatch.setattr(syscalls, "call", kernel.call)
    with pytest.raises(PermissionError):
        landlock.refuse_everything()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kernel.descriptor)


def test_a_filter_is_handed_over_with_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Any, ...]] = []
    monkeypatch.setattr(syscalls, "prctl", lambda *arguments: given.append(arguments))
    program = seccomp.program_for(seccomp.ARCHITECTURES["x86_64"])
    seccomp.install(program)
    ((option, mode, pointer),) = given
    assert (option, mode) == (syscalls.PR_SET_SECCOMP, seccomp.FILTER_MODE)
    assert pointer._obj.length * 8 == len(program)


@pytest.mark.parametrize(
    ("protection", "says"),
    [
        (Protection(landlock=4, seccomp=True), ""),
        (Protection(landlock=0, seccomp=True), "no Landlock;"),
        (Protection(landlock=4, seccomp=False), "no filters of system calls;"),
        (Protection(landlock=0, seccomp=False), "no Landlock and no filters of system calls;"),
    ],
)
def test_what_is_missing_is_told(protection: Protection, says: str) -> None:
    missing = protection.missing()
    assert says in missing
    assert bool(missing) == bool(says)
