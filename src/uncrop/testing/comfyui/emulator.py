"""ComfyUI's server on loopback: uploads, a queue of graphs that are really run, their history, and pictures."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from uncrop.errors import InvalidRequest
from uncrop.testing.comfyui.files import StoredFiles
from uncrop.testing.comfyui.nodes import known_nodes
from uncrop.testing.comfyui.painting import run
from uncrop.testing.comfyui.rules import BadGraph, read_order, read_upload
from uncrop.testing.emulator import AS_REAL, Emulator, Refusal, Reply, json_reply
from uncrop.testing.repaint import picture_file

if TYPE_CHECKING:
    from uncrop.testing.comfyui.rules import Order
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

KEPT_JOBS = 64
API = frozenset({"history", "interrupt", "object_info", "prompt", "queue", "upload"})
# A job waits until it was asked for so often, and then works until it was; one that is known works no more.
WAITS, WORKS = 1, 3
SUCCESS, ERROR, INTERRUPTED = "execution_success", "execution_error", "execution_interrupted"
# A prompt that holds one of these ends the job like this: with this message, and this exception.
ENDINGS: Mapping[str, tuple[str, str]] = {
    "[failed]": (ERROR, "RuntimeError"),
    "[out of memory]": (ERROR, "torch.OutOfMemoryError"),
    "[interrupted]": (INTERRUPTED, ""),
}
LOST, NO_PICTURE = "[lost]", "[no picture]"


@dataclass(kw_only=True)
class JobState:
    """One job.

    Attributes
    ----------
    ending
        The message that ends it, and the exception.
    polls
        How often it was asked for.
    cached
        The nodes that need not run again.
    """

    number: int
    order: Order = field(repr=False)
    outputs: Mapping[str, Any]
    ending: tuple[str, str]
    cached: Sequence[str] = ()
    polls: int = 0


class ComfyUIEmulator(Emulator):
    """All that is documented in ``rules.py``, each route below ``/api`` too.

    Parameters
    ----------
    api_key
        Not used: ComfyUI knows no keys.
    without
        Nodes and models that it does not have.
    crowded
        Uploads are renamed, as if their names were taken.
    host, port
        Where to listen; port 0 takes a free one.

    Attributes
    ----------
    files
        The log and the script of the calls that fetch pictures, which are kept apart from the others.
    endless
        Whether jobs never end.
    cancelled
        The ids of jobs that were taken out of the queue or interrupted.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        without: Sequence[str] = (),
        crowded: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.files = Views(self)
        self.endless = False
        self.cancelled: list[str] = []
        self.nodes = known_nodes(without)
        self._stored = StoredFiles(crowded=crowded)
        self._jobs: OrderedDict[str, JobState] = OrderedDict()
        self._cache: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._number = 0
        self._lock = threading.Lock()

    @property
    def submits(self) -> list[ReceivedCall]:
        """The calls that ask for a picture."""
        return [call for call in self.calls if call.method == "POST" and _path(call) == "/prompt"]

    def receive(self, call: ReceivedCall) -> tuple[Outcome, Reply]:
        """Log a call, those to no route of the API apart with those that fetch pictures, and decide how it ends."""
        if _path(call).split("/")[1] in API:
            return super().receive(call)
        outcome = self.files.take(call)
        return outcome, self._reply(call, outcome)

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Answer as ComfyUI does.

        Raises
        ------
        Refusal
        """
        path, _, name = _path(call)[1:].partition("/")
        gets: dict[str, Callable[[], Reply]] = {
            "view": lambda: self._view(call, outcome),
            "history": lambda: self._history(name),
            "queue": self._queue,
            "object_info": lambda: self._object_info(name),
        }
        posts: dict[str, Callable[[], Reply]] = {
            "upload": lambda: self._upload(call),
            "prompt": lambda: self._take(read_order(call, self.nodes, self._stored.loadable()), outcome),
            "queue": lambda: self._delete(call),
            "interrupt": lambda: self._interrupt(call),
        }
        routes = {"GET": gets, "POST": posts}.get(call.method, {})
        takes_name = {("GET", "history"), ("GET", "object_info"), ("POST", "upload")}
        if (
            path not in routes
            or (name and (call.method, path) not in takes_name)
            or (path == "upload" and name != "image")
        ):
            raise Refusal(405 if path in {*gets, *posts} and not name else 404, "Not Found")
        return routes[path]()

    def word(self, refusal: Refusal) -> Reply:
        """Say it in text, as the framework does, or what is wrong with a graph in JSON."""
        if isinstance(refusal, BadGraph):
            error: dict[str, Any] = {
                "type": refusal.code,
                "message": refusal.message,
                "details": refusal.details,
                "extra_info": {},
            }
            return json_reply({"error": error, "node_errors": refusal.node_errors}, 400)
        text = f"{refusal.status}: {refusal.message}".encode()
        return Reply(status=refusal.status, body=text, headers={"content-type": "text/plain; charset=utf-8"})

    def _upload(self, call: ReceivedCall) -> Reply:
        upload = read_upload(call)
        name = self._stored.take(upload)
        return json_reply({"name": name, "subfolder": upload.folder, "type": upload.place})

    def _take(self, order: Order, outcome: Outcome) -> Reply:
        texts = " ".join(str(node["inputs"].get("text", "")) for node in order.graph.values())
        ending = next((ending for words, ending in ENDINGS.items() if words in texts), (SUCCESS, ""))
        try:
            known, outputs = self._outputs(order, outcome)
        except InvalidRequest:
            known, outputs, ending = False, {}, (ERROR, "PIL.UnidentifiedImageError")
        with self._lock:
            self._number += 1
            state = JobState(
                number=self._number,
                order=order,
                outputs={} if NO_PICTURE in texts or ending[0] != SUCCESS else outputs,
                ending=ending,
                cached=tuple(order.graph) if known else (),
            )
            if LOST not in texts:
                self._jobs[order.id] = state
            if len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)
        return json_reply({"prompt_id": order.id, "number": state.number, "node_errors": order.node_errors})

    def _outputs(self, order: Order, outcome: Outcome) -> tuple[bool, Mapping[str, Any]]:
        """Run a graph, or know it from the cache; and return which, and what its ends have put out."""
        bare = {
            name: {"class_type": node["class_type"], "inputs": node["inputs"]} for name, node in order.graph.items()
        }
        signature = json.dumps(bare, sort_keys=True)
        as_real = (outcome.size, outcome.corrupt, outcome.another) == (AS_REAL.size, AS_REAL.corrupt, AS_REAL.another)
        with self._lock:
            known = self._cache.get(signature) if as_real else None
        if known is not None:
            return True, known
        hindered = {end for told in order.node_errors.values() for end in told["dependent_outputs"]}
        ends = [name for name, node in bare.items() if self.nodes[node["class_type"]].puts_out and name not in hindered]
        outputs = {}
        for end, pixels in run(bare, self._stored.loadable(), ends).items():
            saves = bare[end]["class_type"] == "SaveImage"
            prefix = bare[end]["inputs"]["filename_prefix"] if saves else f"ComfyUI_temp_{order.id[:5]}"
            place = "output" if saves else "temp"
            with self._lock:
                self._number += 1
                file = f"{prefix}_{self._number:05}_.png"
            self._stored.put(place, "", file, picture_file(pixels, "PNG", outcome))
            outputs[end] = {"images": [{"filename": file, "subfolder": "", "type": place}]}
        if as_real:
            with self._lock:
                self._cache[signature] = outputs
                if len(self._cache) > KEPT_JOBS:
                    self._cache.popitem(last=False)
        return False, outputs

    def _history(self, name: str) -> Reply:
        with self._lock:
            state = self._jobs.get(name)
            if state is None:
                return json_reply({})
            state.polls += 1
            if not self._has_ended(state):
                return json_reply({})
        event, exception = state.ending
        about = {"prompt_id": name, "timestamp": 0}
        told = {"exception_type": exception, "exception_message": "", "traceback": []} if exception else {}
        entry = {
            "prompt": _item(state),
            "outputs": state.outputs,
            "status": {
                "status_str": "success" if event == SUCCESS else "error",
                "completed": event == SUCCESS,
                "messages": [
                    ["execution_start", about],
                    ["execution_cached", {"nodes": list(state.cached), **about}],
                    [event, {**about, **told}],
                ],
            },
            "meta": {},
        }
        return json_reply({name: entry})

    def _queue(self) -> Reply:
        with self._lock:
            left = [state for state in self._jobs.values() if not self._has_ended(state)]
            running = [_item(state) for state in left if self._works(state)]
            pending = [_item(state) for state in left if not self._works(state)]
        return json_reply({"queue_running": running, "queue_pending": pending})

    def _delete(self, call: ReceivedCall) -> Reply:
        for name in (call.json or {}).get("delete", []):
            with self._lock:
                state = self._jobs.get(name)
                if state is not None and not self._has_ended(state) and not self._works(state):
                    del self._jobs[name]
                    self.cancelled.append(name)
        return Reply(status=200, body=b"", headers={})

    def _interrupt(self, call: ReceivedCall) -> Reply:
        """Interrupt the job that is named, if it is at work; without a name whatever is."""
        name = (call.json or {}).get("prompt_id")
        with self._lock:
            for known, state in self._jobs.items():
                if self._works(state) and not self._has_ended(state) and name in {None, known}:
                    state.ending, state.outputs, state.polls = (INTERRUPTED, ""), {}, WORKS + 1
                    self.cancelled.append(known)
        return Reply(status=200, body=b"", headers={})

    def _object_info(self, name: str) -> Reply:
        told = {kind: facts.told(kind) for kind, facts in self.nodes.items() if name in {"", kind}}
        return json_reply(told)

    def _view(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        data = self._stored.view(dict(parse_qsl(urlsplit(call.path).query, keep_blank_values=True)))
        return Reply(status=200, body=outcome.spoil(data), headers={"content-type": "image/png"})

    def _has_ended(self, state: JobState) -> bool:
        if self.endless and state.ending[0] != INTERRUPTED:
            return False
        return state.polls > (WAITS if state.cached else WORKS)

    def _works(self, state: JobState) -> bool:
        return state.polls > WAITS


class Views:
    """The calls that fetch pictures from an emulator: a log and a script of their own, at the same address."""

    def __init__(self, of: ComfyUIEmulator) -> None:
        self.calls: list[ReceivedCall] = []
        self._of = of
        self._script: deque[Outcome] = deque()

    @property
    def origin(self) -> str:
        """``http://host:port``."""
        return self._of.origin

    def script(self, *outcomes: Outcome) -> None:
        """Let the next calls end like this, as ``Emulator.script`` does."""
        self._script.extend(outcomes)

    def take(self, call: ReceivedCall) -> Outcome:
        """Log a call, where the whole emulator does, and return how it ends."""
        if self._of.keeps_calls:
            self.calls.append(call)
        return self._script.popleft() if self._script else AS_REAL


def _path(call: ReceivedCall) -> str:
    return urlsplit(call.path).path.removeprefix("/api")


def _item(state: JobState) -> list[Any]:
    """Return a job as the queue tells it."""
    return [state.number, state.order.id, state.order.graph, {}, []]
