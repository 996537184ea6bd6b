"""A server in a process of its own, as people run it, and what it and its processes take of the machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from fixtures_server import PATH, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1_000_000
# With the fault that is seeded into the tests, if there is one.
RUN = (
    "-c",
    f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import runpy, seeded_faults; "  # noqa: ISC004
    "runpy.run_module('uncrop', run_name='__main__', alter_sys=True)",
)


class Watched:
    """A server in a process of its own, whose memory is looked at all the time."""

    def __init__(self, pid: int, url: str, key: str, organization: str) -> None:
        self._pid = pid
        self._client = httpx2.Client(
            base_url=url, headers={"X-API-Key": key}, timeout=1500, trust_env=False, limits=httpx2.Limits()
        )
        self._organization = organization
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()
        self._client.close()

    def extend(self, image: bytes, **fields: str) -> httpx2.Response:
        """Ask for a picture."""
        return self._client.post(
            PATH, data={"organization_id": self._organization, **fields}, files={"image_file": ("photo", image)}
        )

    def wait_until_ready(self) -> None:
        """Wait until it can do all that it ever will."""
        wait_until(lambda: self._client.get("/readyz").status_code == 200)

    def now(self) -> int:
        """Return the megabytes of the server and its processes, what they share counted once."""
        return sum(map(proportional_bytes, descendants(self._pid))) // MEGABYTE

    def own(self) -> int:
        """Return the megabytes of the server and its processes that are no file's.

        Of a library, a process counts a part that grows whenever a stranger's process ends which has it too: tests
        that ran on the same machine at the same time made a server seem to grow.
        """
        return sum(proportional_bytes(each, "Pss_Anon", "Pss_Shmem") for each in descendants(self._pid)) // MEGABYTE

    def handles(self) -> dict[str, int]:
        """Return how many processes, threads and open files it has."""
        processes = descendants(self._pid)
        return {
            "processes": len(processes),
            "threads": len(list(Path(f"/proc/{self._pid}/task").iterdir())),
            "files": len(list(Path(f"/proc/{self._pid}/fd").iterdir())),
        }

    def _look(self) -> None:
        while not self._over.wait(0.02):
            self.peak = max(self.peak, self.now())


def descendants(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    try:
        children = [
            child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(each for child in children for each in descendants(int(child)))]


def proportional_bytes(pid: int, *kinds: str) -> int:
    """Return a process's memory, of what it shares with others its part; all of it, or these lines of the kernel's."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", told, re.MULTILINE))
    return 1024 * sum(int(found.get(kind, 0)) for kind in kinds or ("Pss",))


@contextmanager
def watched(folder: Path, kernels: Path, settings: dict[str, str]) -> Iterator[Watched]:
    """Start such a server, with these settings."""
    (folder / "kernels").symlink_to(kernels)
    environment = {
        **os.environ,
        "UNCROP_DATA_DIR": str(folder),
        **settings,
    }
    command = [sys.executable, *RUN, "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=-1, stderr=-1) as server:
        try:
            assert server.stdout is not None
            assert server.stderr is not None
            while not (line := server.stderr.readline().decode()).startswith("uncrop: listening on"):
                assert line, "the server ended"
            shown = os.read(server.stdout.fileno(), 10_000).decode()
            threading.Thread(target=server.stderr.read, daemon=True).start()
            names = ("key", "organization")
            key, organization = (re.search(rf"^  {name} +(\S+)", shown, re.MULTILINE) for name in names)
            assert key is not None
            assert organization is not None
            seen = Watched(server.pid, line.split()[-1], key[1], organization[1])
            try:
                seen.wait_until_ready()
                yield seen
            finally:
                seen.close()
        finally:
            server.terminate()
