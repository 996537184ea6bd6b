"""What a batch adds to the engine: throughput beside the engine alone, overhead a photo, resuming, memory.

Photos are of noise-free gradients with texture, made here. The engine alone works on the same photos, in as many
processes as the batch has, in the same run. All other figures are of photos whose maker takes no time: a stand-in for
CLIPDROP on loopback that answers at once. Each figure is of this machine at the moment: the load is told.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from uncrop import settings as configuration
from uncrop.bootstrap import open_service
from uncrop.model import Sides, UncropRequest
from uncrop.service.pictures import Work
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg, photo_png

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEGAPIXEL = (1152, 868)
ADDED = 128  # pixels on the left


def uncrop(environment: Mapping[str, str], *arguments: str) -> tuple[float, int, str]:
    """Run a command; return seconds, the most memory that its process took in MB, and what it said.

    Its seconds of processor time, which a busy machine changes less, are printed to standard error.
    """
    started = time.perf_counter()
    program = (
        "import resource, sys\n"
        "from uncrop.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print('most', used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=dict(environment), capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - started
    most = re.findall(r"^most (\d+) ([\d.]+)$", done.stderr, re.MULTILINE)
    if done.returncode not in {0, 5} or not most:
        raise SystemExit(f"uncrop {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    print(f"{seconds:.1f} s, {float(most[-1][1]):.1f} s of processor time: uncrop {arguments[0]}", file=sys.stderr)
    return seconds, int(most[-1][0]) // 1024, done.stdout


def load() -> str:
    """Return the machine's load, and how many cores there are."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def environment_of(folder: Path, **more: str) -> dict[str, str]:
    """Return an environment with a fresh data folder that has this machine's kernels."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    (data / "kernels").symlink_to(configuration.load().kernel_cache)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")}
    return {**clean, "UNCROP_DATA_DIR": str(data), **more}


async def engine_alone(images: Sequence[bytes]) -> float:
    """Extend photos by the service without queue, rows or files; return seconds, warm."""
    with tempfile.TemporaryDirectory() as data:
        configured = configuration.load(data_dir=Path(data), _env_file=None)
        (Path(data) / "kernels").symlink_to(configuration.load().kernel_cache)
        async with open_service(configured, serves=False) as service:
            turns = anyio.Semaphore(max(configured.jobs_at_once, configured.engine_workers + 1))

            async def make(image: bytes) -> None:
                async with turns:
                    request = UncropRequest(provider="local", image=image, sides=Sides(left=ADDED))
                    await service.pictures.make(request, Work())

            await make(images[0])
            started = time.perf_counter()
            async with anyio.create_task_group() as group:
                for image in images:
                    group.start_soon(make, image)
            return time.perf_counter() - started


def throughput(folder: Path, count: int) -> dict[str, Any]:
    """Compare a batch by the local engine with the engine alone, in turns."""
    source = folder / "in"
    source.mkdir()
    photos = [source / f"{number:04}.jpg" for number in range(count)]
    for number, path in enumerate(photos):
        path.write_bytes(photo_jpeg(MEGAPIXEL[0] + number % 7, MEGAPIXEL[1]))
    half = len(photos) // 2
    alone = anyio.run(engine_alone, [path.read_bytes() for path in photos[:half]])
    seconds, memory, _ = uncrop(
        environment_of(folder), "batch", str(source), "--output-dir", str(folder / "out"), "--left", str(ADDED)
    )
    idle, _, _ = uncrop(
        environment_of(folder), "batch", str(source), "--output-dir", str(folder / "out"), "--left", str(ADDED)
    )
    alone += anyio.run(engine_alone, [path.read_bytes() for path in photos[half:]])
    return {
        "photos": count,
        "engine_alone_s": round(alone, 1),
        "batch_s": round(seconds, 1),
        "start_and_plan_s": round(idle, 1),
        "of_the_engine_per_cent": round(100 * alone / (seconds - idle), 1),
        "batch_mb": memory,
        "load": load(),
    }


def billed(folder: Path, count: int) -> dict[str, Any]:
    """Measure what a photo takes whose maker takes no time, what resuming takes, and the memory."""
    source, table = folder / "photo.png", folder / "photos.csv"
    source.write_bytes(photo_png(64, 48))
    table.write_text("source,output\n" + "".join(f"photo.png,{number}.png\n" for number in range(count)))
    with ClipdropEmulator(api_key="key") as emulator:
        emulator.keeps_calls = False
        environment = environment_of(folder, UNCROP_CLIPDROP_API_KEY="key", UNCROP_CLIPDROP_BASE_URL=emulator.url)
        command = ("batch", str(table), "--output-dir", str(folder / "out"), "--left", "8", "--provider", "clipdrop")
        seconds, memory, _ = uncrop(environment, *command, "--jobs", "16")
        resumed, resumed_memory, told = uncrop(environment, *command, "--json")
    return {
        "photos": count,
        "ms_a_photo": round(1000 * seconds / count, 1),
        "resume_s": round(resumed, 2),
        "batch_mb": memory,
        "resume_mb": resumed_memory,
        "done": json.loads(told)["done"],
        "load": load(),
    }


def resume(folder: Path, count: int) -> dict[str, Any]:
    """Measure resuming a batch of so many photos of which nothing is left to do: their pictures are there.

    First as skipped photos, then as photos that the batch has made.
    """
    source, out = folder / "in", folder / "out"
    source.mkdir()
    out.mkdir()
    for number in range(count):
        (source / f"{number:06}.jpg").touch()
        (out / f"{number:06}.jpg").touch()
    environment = environment_of(folder)
    command = ("batch", str(source), "--output-dir", str(out), "--left", "8", "--json")
    first, _, _ = uncrop(environment, *command)
    again, _, told = uncrop(environment, *command)
    with closing(sqlite3.connect(folder / "data" / "uncrop.db")) as database, database:
        database.execute(
            "UPDATE batch_photos SET state = 'done', error = NULL, attempt = 1, provider = 'local', width = 8,"
            " height = 8, seed = 1, calls = 0, usd_micro = 0, sha256 = hex(zeroblob(32)), bytes = 1, milliseconds = 1"
        )
    finished, memory, told_of_finished = uncrop(environment, *command)
    return {
        "photos": count,
        "first_s": round(first, 2),
        "resume_skipped_s": round(again, 2),
        "skipped": json.loads(told)["skipped"],
        "resume_s": round(finished, 2),
        "resume_mb": memory,
        "done": json.loads(told_of_finished)["done"],
        "load": load(),
    }


def main() -> None:
    """Print what was measured, a JSON object a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[], help="throughput, billed, resume; all by default")
    parser.add_argument("--photos", type=int, default=200, help="of one megapixel, by the local engine")
    parser.add_argument("--billed", type=int, default=1000, help="by a maker that takes no time")
    parser.add_argument("--resumed", type=int, default=10_000, help="of which nothing is left to do")
    options = parser.parse_args()
    parts = {
        "throughput": lambda folder: throughput(folder, options.photos),
        "billed": lambda folder: billed(folder, options.billed),
        "resume": lambda folder: resume(folder, options.resumed),
    }
    for name in options.parts or parts:
        with tempfile.TemporaryDirectory(prefix="uncrop-") as folder:
            print(json.dumps({"part": name, **parts[name](Path(folder))}), flush=True)


if __name__ == "__main__":
    main()
