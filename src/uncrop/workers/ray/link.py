"""The process that is connected to a Ray cluster for a server: orders come in on one pipe, replies go out on another.

It ends when its server does, and Ray then ends all that it has on the nodes.
"""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

from uncrop.errors import InternalError, UncropError
from uncrop.workers.ray import node
from uncrop.workers.ray.messages import (
    Begun,
    Cancel,
    Connected,
    Done,
    Failed,
    Node,
    Order,
    Reply,
    Told,
    read_message,
    to_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# A worker of Ray or a whole node may die of something else than its picture; nothing is billed.
RETRIES = 3
LOOK_EVERY_S = 2.0
# A cluster that is gone may keep Ray from ending by itself.
LEAVE_WITHIN_S = 3.0
MAX_REASON = 500  # characters
WORKER_DIED = "The engine's worker on a node ended in the middle of its work"


class Link:
    """Carries out orders on the cluster that Ray is connected to.

    Parameters
    ----------
    ray
        The module.
    orders, replies
        Where orders come from and replies go to.
    look_every_s
        Seconds between two looks whether the cluster answers.
    """

    def __init__(self, ray: Any, orders: BinaryIO, replies: BinaryIO, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._ray = ray
        self._orders = orders
        self._replies = replies
        self._look_every_s = look_every_s
        # Written by one thread, so that no reply stands within another and the loop never waits for a pipe.
        self._unsent: SimpleQueue[Reply | None] = SimpleQueue()
        self._running: dict[int, asyncio.Task[None]] = {}
        self._left = threading.Event()

    def run(self, connect: Callable[[], None], leave: Callable[[], None]) -> None:
        """Connect, and work until no more orders can come.

        Parameters
        ----------
        connect
            Connects Ray; may take for ever.
        leave
            Called when the server has gone; should end this process if that does not end by itself.
        """
        unread: SimpleQueue[Order | Cancel | None] = SimpleQueue()
        reader = threading.Thread(target=self._read, args=(unread, leave), name="orders", daemon=True)
        writer = threading.Thread(target=self._write, name="replies", daemon=True)
        reader.start()
        writer.start()
        connect()
        looker = threading.Thread(target=self._look, name="looks", daemon=True)
        looker.start()
        asyncio.run(self._work(unread))
        self._unsent.put(None)
        writer.join()

    def _read(self, unread: SimpleQueue[Order | Cancel | None], leave: Callable[[], None]) -> None:
        while (message := read_message(self._orders)) is not None:
            unread.put(message)
        self._left.set()
        unread.put(None)
        leave()

    def _write(self) -> None:
        while (reply := self._unsent.get()) is not None:
            try:
                self._replies.write(to_frame(reply))
                self._replies.flush()
            except BrokenPipeError:  # the server has gone
                return

    def _look(self) -> None:
        """Tell again and again that the cluster answers and that this machine belongs to it."""
        here = self._ray.get_runtime_context().get_node_id()
        while True:
            try:
                nodes = self._nodes()
            except Exception:  # noqa: BLE001 - it does not answer, and the server notices that nothing is told
                traceback.print_exc()
                nodes = ()
            # After a cluster was started anew at the same address, this connection is of no use any more.
            if any(each.id == here for each in nodes):
                self._unsent.put(Connected(nodes=nodes))
            if self._left.wait(self._look_every_s):
                return

    def _nodes(self) -> tuple[Node, ...]:
        return tuple(
            Node(
                id=each["NodeID"],
                name=each["NodeManagerHostname"],
                cpus=each["Resources"].get("CPU", 0.0),
                memory=int(each["Resources"].get("memory", 0)),
            )
            for each in self._ray.nodes()
            if each["Alive"]
        )

    async def _work(self, unread: SimpleQueue[Order | Cancel | None]) -> None:
        while (message := await asyncio.to_thread(unread.get)) is not None:
            if isinstance(message, Cancel):
                if message.number in self._running:
                    self._running[message.number].cancel()
            else:
                self._running[message.number] = asyncio.create_task(self._carry_out(message))
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _carry_out(self, order: Order) -> None:
        try:
            self._unsent.put(Done(number=order.number, value=await self._value(order)))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            self._unsent.put(
                Failed(number=order.number, error=self._in_our_words(error), reason=repr(error)[:MAX_REASON])
            )
        finally:
            del self._running[order.number]

    async def _value(self, order: Order) -> Any:
        """Have a node carry out an order. What it tells is asked for at once: what lies on a node is lost with it."""
        signs = self._submit(order)
        try:
            async for reference in signs:
                sign = await reference
                if isinstance(sign, node.End):
                    return sign.value
                if isinstance(sign, node.Start):
                    self._unsent.put(Begun(number=order.number, node=sign.node))
                else:
                    self._unsent.put(Told(number=order.number, fraction=sign.fraction, step=sign.name))
        except asyncio.CancelledError:
            # By force: it ends the worker at once, while Ray's own exception would wait for the end of a kernel.
            self._ray.cancel(signs, force=True)
            raise
        raise InternalError(system_message="A node ended its work without a result")

    def _submit(self, order: Order) -> Any:
        task = self._ray.remote(node.carry_out).options(
            num_cpus=order.cpus,
            memory=order.memory,
            max_retries=RETRIES,
            num_returns="streaming",
            name=f"uncrop {order.work}",
            **({} if order.node is None else {"scheduling_strategy": self._only_on(order.node)}),
        )
        return task.remote(order.work, order.seconds_left, dict(order.arguments))

    def _only_on(self, node_id: str) -> Any:
        strategies = self._ray.util.scheduling_strategies
        return strategies.NodeAffinitySchedulingStrategy(node_id=node_id, soft=False)

    def _in_our_words(self, error: Exception) -> UncropError:
        """Return what became of an order; nothing internal is told."""
        errors = self._ray.exceptions
        if isinstance(error, errors.RayTaskError):
            cause = error.cause
            if isinstance(cause, UncropError):
                return cause
            return InternalError(system_message=f"The engine failed on a node of the cluster: {type(cause).__name__}")
        if isinstance(error, UncropError):
            return error
        if isinstance(error, errors.WorkerCrashedError | errors.NodeDiedError | errors.OutOfMemoryError):
            return InternalError(system_message=WORKER_DIED)
        return InternalError(system_message=f"The cluster did not carry out the work: {type(error).__name__}")


def leave_in_time() -> None:
    """End this process, whatever it still waits for, unless it ends by itself soon."""
    ending = threading.Timer(LEAVE_WITHIN_S, os._exit, (1,))
    ending.daemon = True
    ending.start()
