"""What uncrop adds to a provider's call: CPU, time and memory, beside the same call sent directly, in one run.

usage: scripts/bench gateway [--requests N] [--concurrent N] [--litellm PROGRAM] [--only MAKER]

Three processes run on loopback: the emulators of both providers and the server. Each row sends the same photo first
straight to the emulator, then through the server. "CPU added" is the server process's own CPU time (user and system, of
all its threads) divided by the number of requests: body, decoding, finishing and encoding are all in it. The tiny photo
shows what is left without body and codecs. The next line is the peak memory of the server after concurrent uploads.

A second table has every remote maker, asked for the same photos by sides, on a server of its own: CPU added, and how
far the memory grew for one 10 MP photo. "files" are the bytes of the upload, of all calls, of all their answers, and of
the server's answer; what the memory grew by beyond them is divided by the pixels of the canvas.

Where LiteLLM can be had, its proxy is measured in the same run, before the same emulator: how many calls a second each
answers over 1 and over 8 connections, and the CPU that it takes for a call, the best of three tries, taken in turn.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx2
import litellm_proxy
from gateway_makers import print_detail, print_makers
from litellm_proxy import running_proxy

from uncrop.settings import load as load_settings
from uncrop.testing import pictures

UNCROP = str(Path(sys.executable).with_name("uncrop"))
TICKS = os.sysconf("SC_CLK_TCK")
ORGANIZATION = "org_benchmark"
CONNECTIONS = (1, 8)
TRIES = 3
# Connections are kept, as clients in earnest do; it is closed when the process ends.
CLIENT = httpx2.Client(timeout=60, limits=httpx2.Limits(max_connections=64, max_keepalive_connections=64))


@dataclass(frozen=True, kw_only=True)
class Process:
    """A server under measurement."""

    pid: int
    url: str

    def cpu_seconds(self) -> float:
        """CPU time of the process so far, all threads, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_megabytes(self) -> float:
        """Highest resident size so far, or since it was forgotten."""
        return self._megabytes("VmHWM")

    def resident_megabytes(self) -> float:
        """Resident size now."""
        return self._megabytes("VmRSS")

    def forget_peak(self) -> None:
        """Let the highest resident size be that of now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _megabytes(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError(f"the kernel does not tell {name}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    arguments: list[str], environment: dict[str, str], ready: str, *, program: str = UNCROP
) -> Iterator[Process]:
    port = free_port()
    command = [program, *arguments, "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}{ready}", process)
            yield Process(pid=process.pid, url=f"http://127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            answer = httpx2.get(url)
        except httpx2.TransportError:
            answer = None
        # 503: it is up, and still warming up.
        if answer is not None and answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not come up")


@dataclass(frozen=True, kw_only=True)
class Load:
    """One kind of call, as sent to the emulator and as sent to the server."""

    name: str
    provider: str
    photo: bytes
    fields: dict[str, str]
    mask: bytes | None = None

    def direct(self, url: str) -> httpx2.Response:
        """Send it straight to the emulator, as the provider's own client would."""
        files = {"image_file": ("photo.jpg", self.photo, "image/jpeg")}
        if self.provider == "clipdrop":
            return CLIENT.post(
                f"{url}/uncrop/v1", headers={"x-api-key": "key"}, data=self.fields, files=files, timeout=60
            )
        files = {"image": ("photo.jpg", self.photo, "image/jpeg"), "mask": ("mask.png", self.mask or b"", "image/png")}
        data = {"prompt": "continue", "model": "gpt-image-2", "size": self.fields["size"]}
        headers = {"Authorization": "Bearer key"}
        return CLIENT.post(f"{url}/v1/images/edits", headers=headers, data=data, files=files, timeout=60)

    def through(self, url: str, key: str) -> httpx2.Response:
        """Send it through the server."""
        return send_photo(key, url, {"provider": self.provider, **self.fields}, self.photo, mask=self.mask)


def loads() -> list[Load]:
    sides = {"extend_left": "256", "extend_right": "256"}
    small, large = pictures.photo_jpeg(1224, 816), pictures.photo_jpeg(3864, 2584)
    tiny = pictures.photo_jpeg(64, 64)
    return [
        Load(name="64x64, no body or codec to speak of", provider="clipdrop", photo=tiny, fields={"extend_left": "8"}),
        Load(name="1 MP JPEG", provider="clipdrop", photo=small, fields=sides),
        Load(name="10 MP JPEG", provider="clipdrop", photo=large, fields=sides),
        Load(
            name="64x64 JPEG and mask",
            provider="openai",
            photo=tiny,
            mask=pictures.mask_png(64, 64),
            fields={"size": "1024x1024"},
        ),
        Load(
            name="1 MP JPEG and mask",
            provider="openai",
            photo=pictures.photo_jpeg(1024, 1024),
            mask=pictures.mask_png(1024, 1024),
            fields={"size": "1024x1024"},
        ),
        Load(
            name="10 MP JPEG and mask",
            provider="openai",
            photo=pictures.photo_jpeg(3864, 2584),
            mask=pictures.mask_png(3864, 2584),
            fields={"size": "1536x1024"},
        ),
    ]


def timed(calls: int, send: Callable[[], httpx2.Response]) -> float:
    """Return the median milliseconds of a call."""
    took = []
    for _ in range(calls):
        started = time.perf_counter()
        answer = send()
        took.append((time.perf_counter() - started) * 1000)
        answer.raise_for_status()
    return statistics.median(took)


def measure(load: Load, emulator: Process, server: Process, key: str, calls: int) -> None:
    for _ in range(3):
        load.direct(emulator.url).raise_for_status()
        load.through(server.url, key).raise_for_status()
    direct = timed(calls, lambda: load.direct(emulator.url))
    before = server.cpu_seconds()
    through = timed(calls, lambda: load.through(server.url, key))
    cpu = (server.cpu_seconds() - before) / calls * 1000
    megabytes = len(load.photo) / 1e6
    print(f"{load.provider:<10}{load.name:<38}{megabytes:8.2f}{direct:11.1f}{through:11.1f}{cpu:12.1f}", flush=True)


def calls_a_second(connections: int, calls: int, send: Callable[[], httpx2.Response]) -> float:
    with ThreadPoolExecutor(connections) as pool:
        started = time.perf_counter()
        for answer in pool.map(lambda _: send(), range(calls)):
            answer.raise_for_status()
        return calls / (time.perf_counter() - started)


def compare(load: Load, sides: dict[str, tuple[Process, Callable[[], httpx2.Response]]], calls: int) -> None:
    """Print a line for each side: calls a second over so many connections, and CPU for each call over one."""
    best = {(name, connections): 0.0 for name in sides for connections in CONNECTIONS}
    cpu = dict.fromkeys(sides, float("inf"))
    for _ in range(TRIES):
        for connections in CONNECTIONS:
            for name, (process, send) in sides.items():
                send().raise_for_status()
                before, count = process.cpu_seconds(), max(calls, 2 * connections)
                rate = calls_a_second(connections, count, send)
                best[name, connections] = max(best[name, connections], rate)
                if connections == 1:
                    cpu[name] = min(cpu[name], (process.cpu_seconds() - before) / count * 1000)
    for name in sides:
        rates = "".join(f"{best[name, connections]:>14.1f}" for connections in CONNECTIONS)
        print(f"{name:<10}{load.name:<38}{rates}{cpu[name]:>14.1f}", flush=True)


def beside_the_peer(proxy: Process, server: Process, key: str, calls: int) -> None:
    heads = "".join(f"{f'{connections} conn./s':>14}" for connections in CONNECTIONS)
    print(f"\n{'gateway':<10}{'photo, best of ' + str(TRIES):<38}{heads}{'CPU ms a call':>14}")
    for load in loads():
        if load.provider == "openai":
            peer, own = partial(litellm_proxy.send, CLIENT, load, proxy.url), partial(load.through, server.url, key)
            compare(load, {"LiteLLM": (proxy, peer), "uncrop": (server, own)}, calls)


def compare_with_direct(arguments: argparse.Namespace, folder: str, base: dict[str, str], key: str) -> None:
    """Print the first table, the peer's, and the peak memory."""
    with ExitStack() as stack:
        clipdrop = stack.enter_context(running(["emulate", "clipdrop"], base, "/"))
        openai = stack.enter_context(running(["emulate", "openai"], base, "/"))
        environment = base | {
            "UNCROP_CLIPDROP_API_KEY": "key",
            "UNCROP_CLIPDROP_BASE_URL": clipdrop.url,
            "UNCROP_OPENAI_API_KEY": "key",
            "UNCROP_OPENAI_BASE_URL": f"{openai.url}/v1",
        }
        server = stack.enter_context(serving(environment))
        emulators = {"clipdrop": clipdrop, "openai": openai}
        print(f"{'provider':<10}{'photo':<38}{'MB':>8}{'direct ms':>11}{'uncrop ms':>11}{'CPU added ms':>12}")
        for load in loads():
            measure(load, emulators[load.provider], server, key, arguments.requests)
        if arguments.litellm is not None:
            peer = running_proxy(arguments.litellm, Path(folder), openai, base)
            beside_the_peer(stack.enter_context(peer), server, key, arguments.requests)
        before = server.peak_megabytes()
        large = next(load for load in loads() if load.name == "10 MP JPEG")
        with ThreadPoolExecutor(arguments.concurrent) as pool:
            answers = list(pool.map(lambda _: large.through(server.url, key), range(2 * arguments.concurrent)))
        done = sum(answer.status_code == 200 for answer in answers)
        print(
            f"\n{arguments.concurrent} concurrent 10 MP uploads, {done} of {len(answers)} done: "
            f"peak {server.peak_megabytes():.0f} MB (before: {before:.0f} MB)"
        )


def serving(environment: dict[str, str]) -> AbstractContextManager[Process]:
    return running(["serve"], environment, "/readyz")


def send_photo(
    key: str, url: str, fields: dict[str, str], photo: bytes, *, mask: bytes | None = None
) -> httpx2.Response:
    files = {"image_file": ("photo.jpg", photo, "image/jpeg")}
    if mask is not None:
        files["mask_file"] = ("mask.png", mask, "image/png")
    data = {"organization_id": ORGANIZATION, **fields}
    return CLIENT.post(f"{url}/v1/images/uncrop", headers={"X-API-Key": key}, data=data, files=files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--litellm", metavar="PROGRAM", help="LiteLLM's own command, where it is installed")
    parser.add_argument(
        "--only",
        metavar="MAKER",
        help="Measure by sides alone, and only this maker; all: every one; detail: what drawing it costs",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = {k: v for k, v in os.environ.items() if not k.startswith("UNCROP_")}
        base |= {"UNCROP_DATA_DIR": folder, "UNCROP_RATE_LIMIT_PER_MINUTE": "1000000"}
        Path(folder, "kernels").symlink_to(
            load_settings().kernel_cache
        )  # compiled by set-up; an empty folder takes a minute
        create = [UNCROP, "keys", "create", "--organization", ORGANIZATION]
        key = subprocess.run(create, env=base, check=True, capture_output=True, text=True).stdout.strip()
        if arguments.only is None:
            compare_with_direct(arguments, folder, base, key)
        only = None if arguments.only in {None, "all"} else arguments.only
        serve = lambda settings: serving(base | settings)  # noqa: E731
        send = partial(send_photo, key)
        if only != "detail":
            print_makers(serve, send, arguments.requests, only=only)
        if only in {None, "detail"}:
            print_detail(serve, send, max(1, arguments.requests // 4))


if __name__ == "__main__":
    main()
