"""The process that is connected to a cluster: here a thread, with pipes; the stand-in for Ray works in threads too."""

from __future__ import annotations

import io
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from typing import Any

import pytest

from uncrop.errors import InternalError, InvalidImage, UncropError
from uncrop.workers.ray import link, node
from uncrop.workers.ray.connection import link_command
from uncrop.workers.ray.link import Link, leave_in_time
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

ANSWERED_WITHIN_S = 60


def order(number: int = 0, **values: Any) -> Order:
    return Order(**{"work": "extend", "arguments": {}, "cpus": 2, "memory": 300, "number": number, **values})


def next_about_an_order(replies: Any) -> Any:
    while isinstance(reply := read_message(replies), Connected):
        pass
    return reply


class Played:
    """A link at work, and the server's ends of its pipes."""

    def __init__(self, ray: Any, connect: Callable[[], None] = lambda: None) -> None:
        theirs, ours = os.pipe()
        self.orders = os.fdopen(ours, "wb", buffering=0)
        self.replies, answers = (os.fdopen(end, mode) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        self.left = threading.Event()
        self._ends = (os.fdopen(theirs, "rb"), answers)
        self._link = Link(ray, *self._ends, look_every_s=0.001)
        self._thread = threading.Thread(target=self._link.run, args=(connect, self.left.set))
        self._thread.start()

    def send(self, message: Order | Cancel) -> None:
        self.orders.write(to_frame(message))

    def next(self) -> Any:
        """Return the next reply about an order."""
        return next_about_an_order(self.replies)

    def end(self) -> None:
        self.orders.close()
        reading = threading.Thread(target=self._read_all)
        reading.start()
        self._thread.join(ANSWERED_WITHIN_S)
        assert not self._thread.is_alive()
        for end in self._ends:
            end.close()
        reading.join()

    def _read_all(self) -> None:
        while read_message(self.replies) is not None:
            pass
        self.replies.close()


@pytest.fixture
def played(ray_stand_in: Any) -> Iterator[Played]:
    link = Played(ray_stand_in)
    yield link
    link.end()
    assert link.left.is_set()


def working(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]) -> None:
    monkeypatch.setattr(node, "WORKS", {"extend": function})


def test_an_order_is_carried_out_and_its_steps_are_told(
    monkeypatch: pytest.MonkeyPatch, played: Played, ray_stand_in: Any
) -> None:
    def work(tell: Any, _deadline: float, *, seed: int) -> int:
        tell(0.5, "half")
        return seed + 1

    working(monkeypatch, work)
    played.send(order(7, arguments={"seed": 41}))
    assert [played.next() for _ in range(3)] == [
        Begun(number=7, node=ray_stand_in.HERE),
        Told(number=7, fraction=0.5, step="half"),
        Done(number=7, value=42),
    ]
    ((_, options),) = [call for call in ray_stand_in.calls if call[0] == "task"]
    assert options == {
        "num_cpus": 2,
        "memory": 300,
        "max_retries": 3,
        "num_returns": "streaming",
        "name": "uncrop extend",
    }


def test_an_order_for_a_node_is_carried_out_there_alone(
    monkeypatch: pytest.MonkeyPatch, played: Played, ray_stand_in: Any
) -> None:
    working(monkeypatch, lambda _tell, _deadline: None)
    played.send(order(node="b" * 56))
    assert isinstance(played.next(), Begun)
    assert played.next() == Done(number=0, value=None)
    strategy = ray_stand_in.calls[-1][1]["scheduling_strategy"]
    assert (strategy.node_id, strategy.soft) == ("b" * 56, False)


def refuse(*_arguments: object) -> None:
    raise InvalidImage("It is none", details={"why": "grey"})


def stumble(*_arguments: object) -> None:
    raise ZeroDivisionError("a secret")


@pytest.mark.parametrize(
    ("work", "kind", "says"),
    [
        (refuse, InvalidImage, "It is none"),
        (stumble, InternalError, "The engine failed on a node of the cluster: ZeroDivisionError"),
    ],
)
def test_what_a_node_raises_is_told(
    monkeypatch: pytest.MonkeyPatch, played: Played, work: Any, kind: type[UncropError], says: str
) -> None:
    working(monkeypatch, work)
    played.send(order(3))
    played.next()
    failed = played.next()
    assert isinstance(failed, Failed)
    assert (failed.number, type(failed.error), failed.error.system_message) == (3, kind, says)
    assert "secret" not in failed.error.system_message + failed.error.message
    if kind is InvalidImage:
        assert failed.error.details == {"why": "grey"}
    else:
        assert "a secret" in failed.reason


@pytest.mark.parametrize(
    ("died", "says"),
    [
        ("WorkerCrashedError", "The engine's worker on a node ended in the middle of its work"),
        ("NodeDiedError", "The engine's worker on a node ended in the middle of its work"),
        ("OutOfMemoryError", "The engine's worker on a node ended in the middle of its work"),
        ("RayError", "The cluster did not carry out the work: RayError"),
    ],
)
def test_what_befalls_a_node_is_told(
    monkeypatch: pytest.MonkeyPatch, played: Played, ray_stand_in: Any, died: str, says: str
) -> None:
    def die(*_arguments: object) -> None:
        raise getattr(ray_stand_in.exceptions, died)("at 10.0.0.1")

    working(monkeypatch, die)
    played.send(order())
    played.next()
    failed = played.next()
    assert type(failed.error) is InternalError
    assert failed.error.system_message == says
    assert "10.0.0.1" in failed.reason


def test_work_that_ends_without_a_result_is_a_fault(monkeypatch: pytest.MonkeyPatch, played: Played) -> None:
    monkeypatch.setattr(node, "carry_out", lambda *_arguments: iter(()))
    played.send(order())
    failed = played.next()
    assert failed.error.system_message == "A node ended its work without a result"


def test_who_cancels_has_the_worker_killed(monkeypatch: pytest.MonkeyPatch, played: Played, ray_stand_in: Any) -> None:
    ends, killed = threading.Event(), threading.Event()
    working(monkeypatch, lambda _tell, _deadline: ends.wait(ANSWERED_WITHIN_S))
    monkeypatch.setattr(ray_stand_in, "cancel", lambda _signs, *, force: killed.set() if force else None)
    played.send(order(1))
    assert played.next() == Begun(number=1, node=ray_stand_in.HERE)
    played.send(Cancel(number=99))  # it has ended long ago
    played.send(Cancel(number=1))
    assert killed.wait(ANSWERED_WITHIN_S)
    ends.set()


def test_at_the_end_of_its_orders_nothing_goes_on(monkeypatch: pytest.MonkeyPatch, ray_stand_in: Any) -> None:
    played, ends = Played(ray_stand_in), threading.Event()
    working(monkeypatch, lambda _tell, _deadline: ends.wait(ANSWERED_WITHIN_S))
    played.send(order(1))
    played.next()
    played.end()
    assert ("cancel", True) in ray_stand_in.calls
    ends.set()


def test_it_tells_again_and_again_which_nodes_live(played: Played) -> None:
    here = Node(id="a" * 56, name="here", cpus=2.0, memory=4_000_000_000)
    assert [read_message(played.replies) for _ in range(3)] == [Connected(nodes=(here,))] * 3


@pytest.mark.parametrize("what", ["another cluster", "no answer"])
def test_it_tells_nothing_while_its_cluster_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, ray_stand_in: Any, what: str
) -> None:
    looks: SimpleQueue[None] = SimpleQueue()

    def look() -> list[Any]:
        looks.put(None)
        if what == "no answer":
            raise ray_stand_in.exceptions.RayError("no answer")
        return [{**ray_stand_in.NODE, "NodeID": "b" * 56}, {**ray_stand_in.NODE, "Alive": False}]

    monkeypatch.setattr(ray_stand_in, "nodes", look)
    working(monkeypatch, lambda _tell, _deadline: [looks.get(timeout=ANSWERED_WITHIN_S) for _ in range(3)])
    played = Played(ray_stand_in)
    played.send(order())
    assert isinstance(read_message(played.replies), Begun)
    assert isinstance(read_message(played.replies), Done)
    played.end()


def test_a_server_that_has_gone_is_written_to_no_more(monkeypatch: pytest.MonkeyPatch, ray_stand_in: Any) -> None:
    class Gone(io.BytesIO):
        def write(self, _content: Any) -> int:
            raise BrokenPipeError

    theirs, ours = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "rb") as orders:
        Link(ray_stand_in, orders, Gone()).run(lambda: None, lambda: None)


# --- as a process ----------------------------------------------------------------------------------------------------


def installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def start(address: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(link_command(address), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")


@pytest.mark.usefixtures("ray_stand_in")
def test_the_process_works_and_ends_with_its_orders() -> None:
    with start("127.0.0.1:6379") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert isinstance(read_message(process.stdout), Connected)
        process.stdin.write(to_frame(order(work="describe", arguments={"cache": None})))
        process.stdin.flush()
        assert isinstance(next_about_an_order(process.stdout), Begun)
        # No version is known of what is not installed.
        assert isinstance(next_about_an_order(process.stdout), Done if installed("ray") else Failed)
        process.stdin.close()
        assert process.wait(ANSWERED_WITHIN_S) == 0


@pytest.mark.usefixtures("ray_stand_in")
def test_a_process_that_is_never_connected_ends_with_its_server() -> None:
    with start("hangs:1") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(ANSWERED_WITHIN_S) == 1


def test_it_leaves_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: SimpleQueue[int] = SimpleQueue()
    monkeypatch.setattr(link, "LEAVE_WITHIN_S", 0.001)
    monkeypatch.setattr(os, "_exit", codes.put)
    leave_in_time()
    assert codes.get(timeout=ANSWERED_WITHIN_S) == 1
