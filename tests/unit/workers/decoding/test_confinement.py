"""What a decoder's process can do, found out from inside, and the same without confinement, to see that it acts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import decoder_probes
from fixtures_server import wait_until
from uncrop.errors import InvalidImage, ServerBusy
from uncrop.geometry.sides import placement_of_sides
from uncrop.imaging import codec
from uncrop.imaging.cost import Cost
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg.kept import read_own
from uncrop.model import Sides
from uncrop.testing.pictures import photo_jpeg, photo_png
from uncrop.workers.decoding import landlock, seccomp
from uncrop.workers.decoding.sandboxed import SandboxedDecoder
from uncrop.workers.decoding.starting import BOOT, start_fork_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uncrop.model import OpenedFile

PICTURE = open_file(photo_png(40, 30))
JPEG = open_file(photo_jpeg(40, 30))


def asking(probe: str, picture: OpenedFile = PICTURE) -> OpenedFile:
    return replace(picture, header=replace(picture.header, mode=probe))


def decoder_of(*, confined: bool, cost: Callable[[OpenedFile], Cost] | None = None) -> SandboxedDecoder:
    start = partial(start_fork_server, None, boot=decoder_probes.BOOT.format(confined=confined))
    return SandboxedDecoder(start) if cost is None else SandboxedDecoder(start, cost=cost)


@pytest.fixture(scope="module")
def confined() -> Iterator[SandboxedDecoder]:
    with decoder_of(confined=True, cost=lambda _file: Cost(peak_bytes=1_000_000, pixel_bytes=0, cpu_s=1)) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def free() -> Iterator[SandboxedDecoder]:
    with decoder_of(confined=False) as decoder:
        yield decoder


def found(decoder: SandboxedDecoder, probe: str) -> dict[str, Any]:
    with pytest.raises(InvalidImage, match="probed") as caught:
        decoder.photo(asking(probe))
    return dict(caught.value.details or {})


@pytest.mark.parametrize("probe", ["files", "network", "processes", "memory"])
def test_a_decoder_can_do_nothing_else(confined: SandboxedDecoder, free: SandboxedDecoder, probe: str) -> None:
    refused, allowed = found(confined, probe), found(free, probe)
    if not confined.protection().seccomp or not confined.protection().landlock:
        pytest.skip("this kernel cannot enforce all of it")  # what it can is tested below
    assert "done" not in refused.values()
    # Without confinement, the same probe does nearly all of it: it would notice.
    assert [name for name, outcome in allowed.items() if outcome != "done"] in ([], ["files"])


def test_a_decoder_finds_nothing_of_the_server(confined: SandboxedDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three descriptors: the file, the room for pixels, and the way back.
    assert found(confined, "environment") == {"variables": "", "open": 3, "server": False}
    monkeypatch.setenv("UNCROP_KEY_PEPPER", "canary")
    with decoder_of(confined=True) as other:
        assert "canary" not in str(found(other, "environment"))
        assert b"canary" not in Path(f"/proc/{pid_of(other)}/environ").read_bytes()


@pytest.mark.parametrize(
    ("probe", "says"),
    [
        ("crash", "by signal 11"),
        ("spin", "beyond its limit of processor time"),
        ("starve", "more memory than its header tells"),
        ("leave", "with code 7 and without an answer"),
    ],
)
def test_a_death_costs_its_own_picture(confined: SandboxedDecoder, probe: str, says: str) -> None:
    neighbour: list[np.ndarray[Any, Any]] = []
    thread = threading.Thread(target=lambda: neighbour.append(confined.photo(PICTURE)))
    thread.start()
    with pytest.raises(InvalidImage) as caught:
        confined.photo(asking(probe))
    thread.join()
    assert says in caught.value.system_message
    expected = codec.decode(PICTURE)
    assert (neighbour[0] == expected).all()
    assert (confined.photo(PICTURE) == expected).all()


@pytest.mark.parametrize(
    ("probe", "says"),
    [("crash", "by signal 11"), ("spin", "processor time"), ("starve", "more memory"), ("leave", "7")],
)
def test_a_death_over_coefficients_costs_its_own_picture_nothing_but_them(
    confined: SandboxedDecoder, probe: str, says: str
) -> None:
    with pytest.raises(InvalidImage, match="within the limits") as caught:
        confined.coefficients(asking(probe, JPEG))
    assert says in caught.value.system_message
    photo = codec.decode(JPEG)
    picture, placement = (
        np.pad(photo, ((0, 0), (0, 16), (0, 0)), mode="edge"),
        placement_of_sides(40, 30, Sides(right=16)),
    )
    for file, is_kept in ((asking(probe, JPEG), False), (JPEG, True)):
        kept = codec.encode_kept(file, photo, picture, placement, reads_own=confined.coefficients)
        assert (kept is not None) == is_kept


def test_coefficients_are_read_where_nothing_confines(free: SandboxedDecoder) -> None:
    assert (free.coefficients(JPEG).levels == read_own(JPEG).levels).all()


def test_one_that_was_killed_is_tried_once_more() -> None:
    with decoder_of(confined=True, cost=lambda _file: Cost(peak_bytes=1_000_000, pixel_bytes=0, cpu_s=600)) as decoder:
        failures: list[BaseException] = []

        def decode() -> None:
            try:
                decoder.photo(asking("spin"))
            except InvalidImage as error:
                failures.append(error)

        decoder.warm_up()
        thread = threading.Thread(target=decode)
        thread.start()
        for death in (1, 2):
            os.kill(busy_child_of(pid_of(decoder)), signal.SIGKILL)
            wait_until(lambda death=death: decoder.deaths == death)
        thread.join()
        assert "by signal 9" in str(failures[0].system_message)  # type: ignore[attr-defined]
        assert decoder.photo(PICTURE).shape == (30, 40, 3)


def test_the_next_one_is_there_before_its_file() -> None:
    with decoder_of(confined=True) as decoder:
        first = spare_of(pid_of(decoder))
        assert (decoder.photo(PICTURE) == codec.decode(PICTURE)).all()
        wait_until(lambda: first not in children_of(pid_of(decoder)))
        assert spare_of(pid_of(decoder)) != first  # each decodes one file


def test_one_that_is_killed_while_it_waits_is_not_missed() -> None:
    with decoder_of(confined=True) as decoder:
        for _ in range(3):
            os.kill(spare_of(pid_of(decoder)), signal.SIGKILL)
            # Whether or not the one that starts them knows it already.
            assert (decoder.photo(PICTURE) == codec.decode(PICTURE)).all()


def test_the_one_that_starts_them_is_replaced(confined: SandboxedDecoder) -> None:
    confined.warm_up()
    first = pid_of(confined)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not confined.is_ready)
    assert (confined.photo(PICTURE) == codec.decode(PICTURE)).all()
    assert pid_of(confined) != first
    assert confined.is_ready


def test_where_none_can_be_started_the_server_is_busy() -> None:
    with SandboxedDecoder(partial(start_fork_server, None, boot="raise SystemExit(1)")) as decoder:
        with pytest.raises(ServerBusy):
            decoder.photo(PICTURE)
        assert not decoder.is_ready


def test_none_is_left_when_the_server_is_killed() -> None:
    """The process that starts decoders ends with its socket, even when nobody closes it."""
    decoder = decoder_of(confined=True)
    decoder.warm_up()
    process = decoder._server._started
    assert process is not None
    process.control.close()
    assert process.process.wait(60) == 0
    decoder.close()


ENDS_AFTER_IT = BOOT + "; import os, signal; os.kill(os.getpid(), signal.SIGCHLD)"


def test_a_process_that_ends_after_the_one_that_started_it_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    decoder = SandboxedDecoder(partial(start_fork_server, None, boot=ENDS_AFTER_IT))
    decoder.warm_up()
    process = decoder._server._started
    assert process is not None
    process.control.close()
    assert process.process.wait(60) == 0
    decoder.close()
    assert capfd.readouterr().err == ""


# --- each layer on its own -------------------------------------------------------------------------------------------

BUSY_TICKS = 20
GAIN_NOTHING = "syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1); "
LAYERS = {
    "landlock": ("landlock.refuse_everything()", "open('/etc/passwd')"),
    "seccomp": ("seccomp.install(seccomp.prepared())", "os.fork() or os._exit(0)"),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_refuses_by_itself(layer: str) -> None:
    available = landlock.version() if layer == "landlock" else seccomp.prepared()
    if not available:
        pytest.skip(f"this kernel has no {layer}")
    confine, act = LAYERS[layer]
    load = "import os\nfrom uncrop.workers.decoding import landlock, seccomp, syscalls\n"
    judge = f"\ntry: {act}\nexcept PermissionError: os._exit(3)\nos._exit(0)"
    for given, code in ((GAIN_NOTHING + confine, 3), ("", 0)):
        assert subprocess.run([sys.executable, "-c", load + given + judge], check=False).returncode == code


def test_filters_fit_their_processors() -> None:
    for architecture in seccomp.ARCHITECTURES.values():
        program = seccomp.program_for(architecture)
        # Each instruction takes eight bytes, and a jump goes over 255 of them at most.
        assert len(program) == 8 * (len(seccomp.NEEDED) + 11)
        assert len(set(architecture.numbers.values())) == len(seccomp.NEEDED) < 255


def pid_of(decoder: SandboxedDecoder) -> int:
    decoder.warm_up()
    started = decoder._server._started
    assert started is not None
    return started.process.pid


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def spare_of(pid: int) -> int:
    """Wait for the process that waits for a job."""
    found: list[int] = []

    def is_there() -> bool:
        # It holds the socket for its job and nothing else; one that works or has ended holds another number of files.
        found[:] = [child for child in children_of(pid) if len(files_of(child)) == 1]
        return len(found) == 1

    wait_until(is_there)
    return found[0]


def files_of(pid: int) -> list[Path]:
    """Return the files that a process holds open; none where it has ended."""
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def busy_child_of(pid: int) -> int:
    """Wait for a process's child that works, and return it."""
    busy: list[int] = []

    def is_there() -> bool:
        busy[:] = [child for child in children_of(pid) if ticks_of(child) >= BUSY_TICKS]
        return bool(busy)

    wait_until(is_there)
    return busy[0]


def ticks_of(pid: int) -> int:
    """Return the processor time of a process, in hundredths of a second; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
