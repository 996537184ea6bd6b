"""A PostgreSQL and a Redis for a benchmark, in folders of their own, and what processes have taken of the processor."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, of all that it has started, and of those of them that have ended."""
    return sum(map(_own, tree(pid)))


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    parents = {int(each.name): _parent(each) for each in Path("/proc").iterdir() if each.name.isdigit()}
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


def _fields(folder: Path) -> list[str]:
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["Z", *["0"] * 20]  # it has ended


def _parent(folder: Path) -> int:
    return int(_fields(folder)[1])


def _own(pid: int) -> float:
    return sum(int(ticks) for ticks in _fields(Path(f"/proc/{pid}"))[11:15]) / TICKS


@contextmanager
def postgresql() -> Iterator[tuple[str, int]]:
    """Start one that keeps what it commits; yields its address and the process that all its others descend from."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="uncrop-growth-"))
    shutil.chown(folder, user)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(data), *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, umask=0o077)

    try:
        run("initdb", "-U", "uncrop", "-A", "trust", "-E", "UTF8", "--locale=C")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\n")
        run("pg_ctl", "-w", "-s", "-l", str(folder / "log"), "start")
        try:
            pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
            yield f"postgresql+psycopg://uncrop@/postgres?host={folder}", pid
        finally:
            run("pg_ctl", "-w", "-s", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_server() -> Iterator[tuple[str, int]]:
    """Start one; yields its address and its process."""
    program = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if program is None:
        raise RuntimeError("Redis is not installed; on Debian: apt-get install redis-tools")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(["redis-server", *arguments], executable=program, stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"redis://127.0.0.1:{port}/0", process.pid
    finally:
        process.terminate()
        process.wait(30)
