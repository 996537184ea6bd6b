"""What a request by sides to each remote maker costs the server: CPU for 1 and 10 MP, and memory beyond its files.

The makers' emulators run in this process and count the bytes of every call and of every answer, so that they can be
told from the pixels. Each maker gets a server of its own: memory that an earlier picture left behind would hide some
of what the next one takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias

import httpx2

from uncrop.testing import pictures
from uncrop.testing.emulators import emulated, emulator_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gateway import Process

    from uncrop.model import ProviderFacts
    from uncrop.testing import Emulator, Outcome, ReceivedCall
    from uncrop.testing.emulator import Reply

    Receive: TypeAlias = Callable[[ReceivedCall], tuple[Outcome, Reply]]
    Send: TypeAlias = Callable[[str, dict[str, str], bytes], httpx2.Response]
    Serve: TypeAlias = Callable[[dict[str, str]], AbstractContextManager[Process]]

SIDES = {"extend_left": "256", "extend_right": "256"}
WIDER = 512
SIZES = {"1 MP": (1224, 816), "10 MP": (3864, 2584)}
# The CPU times of few requests would lie within the system's ticks of 10 ms.
REQUESTS = {"1 MP": 1.0, "10 MP": 0.4}
ASKED = "asked: at most 60 ms for 1 MP, 200 ms for 10 MP, and 8 bytes a pixel"


@dataclass
class Tally:
    """Bytes of bodies that went to a maker and came from it."""

    bytes: int = 0

    def watch(self, emulator: Emulator) -> None:
        """Count what an emulator, and the servers beside it, get and send."""
        for each in (emulator, *getattr(emulator, "others", tuple)()):
            each.receive = partial(self._receive, each.receive)

    def _receive(self, receive: Receive, call: ReceivedCall) -> tuple[Outcome, Reply]:
        outcome, reply = receive(call)
        self.bytes += len(call.body) + sum(len(part.data) for part in call.parts) + len(reply.body)
        return outcome, reply


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one maker; CPU in milliseconds a request by the photo's size."""

    name: str
    cpu: dict[str, float]
    peak: float
    files: float
    pixels: int

    def __str__(self) -> str:
        """Return the line of the table."""
        milliseconds = "".join(f"{self.cpu[size]:>11.1f}" for size in SIZES)
        beyond = (self.peak - self.files) * 1e6 / self.pixels
        return f"{self.name:<12}{milliseconds}{self.peak:>14.0f}{self.files:>14.0f}{beyond:>18.1f}"


@contextmanager
def emulating(row: ProviderFacts) -> Iterator[tuple[dict[str, str], Tally]]:
    """Run a maker's emulator, and give the settings that lead there."""
    tally, emulator = Tally(), emulator_of(row)()
    emulator.keeps_calls = False
    tally.watch(emulator)
    with emulator:
        named = {setting.name: row.variable(setting) for setting in row.settings}
        values = {"base_url": emulator.url, "api_key": "key"}
        yield {named[name]: value for name, value in values.items() if name in named}, tally


@cache
def photo_of(size: tuple[int, int]) -> bytes:
    return pictures.photo_jpeg(*size)


def measure(name: str, tally: Tally, server: Process, send: Send, calls: int) -> Row:
    """Measure one maker on a server that has made nothing yet."""

    def make(size: tuple[int, int]) -> int:
        photo = photo_of(size)
        answer = send(server.url, {"provider": name, **SIDES}, photo)
        if answer.status_code != HTTPStatus.OK:
            raise RuntimeError(f"{name}: {answer.text}")
        return len(photo) + len(answer.content)

    # Whatever is loaded and compiled at the first picture is no picture's.
    make((640, 480))
    tally.bytes = 0
    server.forget_peak()
    before = server.resident_megabytes()
    width, height = SIZES["10 MP"]
    files = make((width, height)) + tally.bytes
    peak = server.peak_megabytes() - before
    cpu = {}
    for size, share in REQUESTS.items():
        count = max(1, round(calls * share))
        make(SIZES[size])
        started = server.cpu_seconds()
        for _ in range(count):
            make(SIZES[size])
        cpu[size] = (server.cpu_seconds() - started) / count * 1000
    return Row(name=name, cpu=cpu, peak=peak, files=files / 1e6, pixels=(width + WIDER) * height)


def print_makers(serve: Serve, send: Send, calls: int, *, only: str | None = None) -> None:
    """Print a line for each remote maker, or for one of them.

    Parameters
    ----------
    serve
        Runs a server with further settings, until the block is left.
    send
        Sends fields and a photo to the server at an address.
    calls
        How many requests a figure is the mean of, for the smaller photo.
    only
        The one maker to measure.
    """
    heads = "".join(f"{size + ', ms':>11}" for size in SIZES)
    print(f"\n{'by sides':<12}{heads}{'peak MB':>14}{'files MB':>14}{'bytes a pixel':>18}   ({ASKED})")
    for name, row in emulated().items():
        if only not in {None, name}:
            continue
        with emulating(row) as (settings, tally), serve(settings) as server:
            print(measure(name, tally, server, send, calls), flush=True)


def print_detail(serve: Serve, send: Send, calls: int) -> None:
    """Print what drawing detail costs with a 10 MP photo, of which this maker's smallest model makes 1.5 MP.

    Parameters
    ----------
    serve, send
        As for ``print_makers``.
    calls
        How many requests a figure is the mean of.
    """
    print(f"\n{'detail':<12}{'10 MP, ms':>11}   X-Detail")
    row = emulated()["openai"]
    model = {row.variable(next(each for each in row.settings if each.name == "model")): "gpt-image-1"}
    with emulating(row) as (settings, _), serve(settings | model) as server:
        for detail in ("off", "on"):
            fields = {"provider": row.name, "detail": detail, **SIDES}
            drawn = send(server.url, fields, photo_of(SIZES["10 MP"])).headers["X-Detail"]
            started = server.cpu_seconds()
            for _ in range(calls):
                send(server.url, fields, photo_of(SIZES["10 MP"]))
            print(f"{detail:<12}{(server.cpu_seconds() - started) / calls * 1000:>11.1f}   {drawn}", flush=True)
