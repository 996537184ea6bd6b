"""Our end of the process that is connected to a Ray cluster."""

from __future__ import annotations

import asyncio
import itertools
import pickle
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog

from uncrop.workers.ray.messages import LENGTH_BYTES, Begun, Cancel, Connected, Failed, Order, Told, to_frame

if TYPE_CHECKING:
    from uncrop.model import Progress
    from uncrop.workers.ray.messages import Node, Reply

# The link tells every two seconds that the cluster answers; a machine may be very busy.
SIGN_WITHIN_S = 10.0
ENDED_WITHIN_S = 5.0
LAST_LINES = 20  # of what the link has printed, for the log
READ_AHEAD = 1 << 20  # bytes
# The module search path is handed over, as to decoders: without it, another copy of uncrop might be found.
BOOT = "import sys; sys.path[:] = sys.argv[2:]; from uncrop.workers.ray.link_process import main; main(sys.argv[1])"
_log = structlog.stdlib.get_logger("uncrop.workers")


class ConnectionLost(Exception):
    """The link has ended, or the cluster does not answer any more; what becomes of the work is not known."""


def link_command(address: str) -> Sequence[str]:
    """Return the command that starts a link to a cluster."""
    folders = [str(Path(folder).absolute()) for folder in sys.path]
    return (sys.executable, "-I", "-c", BOOT, address, *folders)


@dataclass(slots=True)
class _Pending:
    """Who waits for an order, and whether the link has told how it ended."""

    outcome: asyncio.Future[Any]
    begun: Callable[[], None]
    progress: Progress | None
    ended: bool = False


class Connection:
    """A link to a cluster, from its start to its end.

    Attributes
    ----------
    lost
        Whether it is of no use any more.
    nodes
        Those that lived when the cluster answered last.
    """

    def __init__(self, process: asyncio.subprocess.Process, within_s: float, sign_within_s: float) -> None:
        self._process = process
        self._orders = cast("asyncio.StreamWriter", process.stdin)
        self._replies = cast("asyncio.StreamReader", process.stdout)
        self._lines = cast("asyncio.StreamReader", process.stderr)
        self._numbers = itertools.count()
        self._pending: dict[int, _Pending] = {}
        self._connected = asyncio.Event()
        self._printed: deque[str] = deque(maxlen=LAST_LINES)
        self._closing = False
        self.lost = False
        self.nodes: tuple[Node, ...] = ()
        self._printing = asyncio.create_task(self._keep_what_is_printed())
        self._listening = asyncio.create_task(self._listen(within_s, sign_within_s))

    @classmethod
    async def open(cls, command: Sequence[str], *, within_s: float, sign_within_s: float = SIGN_WITHIN_S) -> Connection:
        """Start a link, and wait until it is connected.

        Parameters
        ----------
        command
            Starts it.
        within_s
            Seconds in which it must be connected.
        sign_within_s
            Seconds in which it must tell again that the cluster answers.

        Raises
        ------
        ConnectionLost
            It was not connected in time, or ended before.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal reaches this process alone, which then ends the other.
            start_new_session=True,
            cwd="/",
            limit=READ_AHEAD,
        )
        connection = cls(process, within_s, sign_within_s)
        try:
            await connection.wait_until_connected()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def wait_until_connected(self) -> None:
        """Wait until the link tells that it is connected.

        Raises
        ------
        ConnectionLost
            It has ended, or was not in time.
        """
        connected = asyncio.create_task(self._connected.wait())
        try:
            await asyncio.wait((self._listening, connected), return_when=asyncio.FIRST_COMPLETED)
        finally:
            connected.cancel()
        if not self._connected.is_set():
            raise ConnectionLost

    async def carry_out(
        self, order: Order, *, begun: Callable[[], None] | None = None, progress: Progress | None = None
    ) -> Any:
        """Have an order carried out; its number is given here. Cancelling the caller ends the work on its node.

        Parameters
        ----------
        order
            What is to be done.
        begun
            Called when a node has begun.
        progress
            Told how far the work is; what it raises ends the work, and is raised.

        Raises
        ------
        UncropError
            The work's own refusals, ``InternalError`` where nodes or workers died of it.
        ConnectionLost
        """
        if self.lost:
            raise ConnectionLost
        number = next(self._numbers)
        pending = _Pending(asyncio.get_running_loop().create_future(), begun or (lambda: None), progress)
        self._pending[number] = pending
        try:
            self._orders.write(to_frame(replace(order, number=number)))
            with suppress(ConnectionError):  # the listener finds out as well
                await self._orders.drain()
            return await pending.outcome
        finally:
            del self._pending[number]
            if not pending.ended and not self.lost:
                self._orders.write(to_frame(Cancel(number=number)))

    async def close(self) -> None:
        """End the link, and what it has on the cluster."""
        self._closing = True
        self._orders.close()  # at the end of its orders it takes leave of the cluster
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 0 if self.lost else ENDED_WITHIN_S)
        finally:
            with suppress(ProcessLookupError):
                self._process.kill()
            # Both read on to the ends of their pipes, which are closed then.
            await asyncio.gather(self._process.wait(), self._listening, self._printing, return_exceptions=True)

    async def _listen(self, within_s: float, sign_within_s: float) -> None:
        """Hand out replies until there are no more, or none for so long that the cluster must be away."""
        why = "the link has ended"
        try:
            while True:
                head = await asyncio.wait_for(self._replies.readexactly(LENGTH_BYTES), within_s)
                within_s = sign_within_s
                content = await self._replies.readexactly(int.from_bytes(head, "big"))
                self._take(pickle.loads(content))  # noqa: S301 - from our own process
        except asyncio.IncompleteReadError:
            pass
        except TimeoutError:
            why = "the cluster does not answer"
            self._process.kill()  # what it has on the cluster ends with it
        finally:
            self._lose()
        if not self._closing:
            await self._printing
            _log.warning("the connection to the Ray cluster is lost", reason=why, printed=[*self._printed])

    def _take(self, reply: Reply) -> None:
        if isinstance(reply, Connected):
            self.nodes = reply.nodes
            self._connected.set()
            return
        pending = self._pending.get(reply.number)
        if pending is None or pending.outcome.done():
            return  # nobody waits any more
        if isinstance(reply, Begun):
            pending.begun()
        elif isinstance(reply, Told):
            try:
                if pending.progress is not None:
                    pending.progress(reply.fraction, reply.step)
            except Exception as error:  # noqa: BLE001 - raised where the picture is waited for
                pending.outcome.set_exception(error)
        else:
            pending.ended = True
            if isinstance(reply, Failed):
                if reply.reason:
                    _log.warning("a node of the Ray cluster made no picture", reason=reply.reason)
                pending.outcome.set_exception(reply.error)
            else:
                pending.outcome.set_result(reply.value)

    def _lose(self) -> None:
        self.lost = True
        for pending in self._pending.values():
            if not pending.outcome.done():
                pending.outcome.set_exception(ConnectionLost())

    async def _keep_what_is_printed(self) -> None:
        async for line in self._lines:
            self._printed.append(line.decode(errors="replace").rstrip())
