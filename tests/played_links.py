"""Links to a cluster that there is not: processes that answer as a test wants, by the seed of each order."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from uncrop.engine import Extension
from uncrop.errors import InvalidExtendParameters
from uncrop.workers.ray.messages import (
    Begun,
    Cancel,
    Connected,
    Done,
    Failed,
    Node,
    Order,
    Told,
    read_message,
    to_frame,
)

NODE = Node(id="a" * 56, name="here", cpus=2.0, memory=4_000_000_000)
# No array: loading NumPy would be most of what such a process takes.
PIXELS: Any = "pixels"
MADE = Extension(pixels=PIXELS, confidence=0.5, confidence_map=None)
MAKES, REFUSES, IGNORES, HANGS, ENDS, STUMBLES = range(6)
# What a link does at its start: is connected, is not, ends, or is connected and never says so again.
AT_ONCE, NEVER, NOT_AT_ALL, ENDS_THE_FIRST_TIME = "at once", "never", "not at all", "ends the first time"


def command(folder: Path, how: str = AT_ONCE) -> list[str]:
    """Return the command that starts one; ``folder`` is where it notes what it was told."""
    program = f"import sys; sys.path[:] = {sys.path!r}; from played_links import main; main()"
    return [sys.executable, "-c", program, str(folder), how]


def main() -> None:
    """Answer until there are no more orders."""
    folder, how = Path(sys.argv[1]), sys.argv[2]
    sys.stderr.write("a line for the log\n")
    sys.stderr.flush()
    if how == NOT_AT_ALL:
        sys.exit(1)
    if how == NEVER:
        threading.Event().wait()
    _tell(Connected(nodes=(NODE,)))
    with (folder / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    while (message := read_message(sys.stdin.buffer)) is not None:
        if isinstance(message, Cancel):
            (folder / "cancelled").write_text(str(message.number))
        else:
            _answer(message, folder, how)


def _answer(order: Order, folder: Path, how: str) -> None:
    seed = order.arguments.get("seed", MAKES)
    is_first = len((folder / "starts").read_text().splitlines()) == 1
    if seed == ENDS or (how == ENDS_THE_FIRST_TIME and is_first):
        os._exit(1)
    if seed == IGNORES:
        return
    _tell(Begun(number=order.number, node=NODE.id))
    if seed == HANGS:
        return
    _tell(Told(number=order.number, fraction=0.5, step="half"))
    if seed == REFUSES:
        _tell(Failed(number=order.number, error=InvalidExtendParameters("Too far", details={"extend_left": 4})))
    elif seed == STUMBLES:
        _tell(Failed(number=order.number, error=InvalidExtendParameters("Too far"), reason="at 10.0.0.1"))
    else:
        _tell(Done(number=order.number, value=MADE if order.work == "extend" else order))


def _tell(reply: Connected | Begun | Told | Done | Failed) -> None:
    sys.stdout.buffer.write(to_frame(reply))
    sys.stdout.buffer.flush()
