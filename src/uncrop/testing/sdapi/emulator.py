"""A Stable Diffusion web UI on loopback: one picture at a time, one interrupt for all, one dialect of three."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from uncrop.testing.emulator import Emulator, Refusal, Reply, json_reply
from uncrop.testing.repaint import picture_file
from uncrop.testing.sdapi.dialects import DIALECTS
from uncrop.testing.sdapi.paint import half_painted, paint
from uncrop.testing.sdapi.rules import read_order

if TYPE_CHECKING:
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome
    from uncrop.testing.sdapi.dialects import DialectName
    from uncrop.testing.sdapi.rules import Order

IMG2IMG, PROGRESS, INTERRUPT, TASK = (
    "/sdapi/v1/img2img",
    "/sdapi/v1/progress",
    "/sdapi/v1/interrupt",
    "/internal/progress",
)
METHODS = {IMG2IMG: "POST", PROGRESS: "GET", INTERRUPT: "POST", TASK: "POST"}
MEMORY_PIXELS = 4_194_304
HALF_WAY = 0.5
CHECKPOINT = "inpainting.safetensors [0123456789]"


@dataclass(kw_only=True)
class Work:
    """What is being painted."""

    task_id: str | None
    steps: int
    ended: threading.Event = field(default_factory=threading.Event)
    interrupted: bool = False


class StableDiffusionEmulator(Emulator):
    """``POST /sdapi/v1/img2img`` and what goes with it.

    Parameters
    ----------
    api_key
        ``user:password`` as in ``--api-auth``; whoever comes is let in, when absent.
    dialect
        ``a1111``, ``forge`` or ``sdnext``.
    api
        Whether it was started with ``--api``.
    memory_pixels
        Largest picture that the GPU's memory is enough for.
    host, port
        Where to listen; port 0 takes a free one.

    Attributes
    ----------
    holds_work
        A picture that is begun stands half-way until ``release``, or an interrupt.
    """

    dialects = tuple(DIALECTS)

    def __init__(
        self,
        *,
        api_key: str | None = None,
        dialect: DialectName = "a1111",
        api: bool = True,
        memory_pixels: int = MEMORY_PIXELS,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.dialect = DIALECTS[dialect]
        self.api = api
        self.holds_work = False
        self._memory_pixels = memory_pixels
        self._turn = threading.Lock()
        self._work: Work | None = None
        self._begun = threading.Event()

    @property
    def submits(self) -> list[ReceivedCall]:
        """The calls that ask for a picture."""
        return [call for call in self.calls if call.path == IMG2IMG]

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Paint, tell of it, or end it.

        Raises
        ------
        Refusal
        """
        path = urlsplit(call.path).path
        if path not in METHODS or (not self.api and path != TASK):
            raise Refusal(404, "Not Found")
        if call.method != METHODS[path]:
            raise Refusal(405, "Method Not Allowed")
        if path != TASK and not (path == PROGRESS and self.dialect.progress_is_open):
            self._check_user(call)
        if path == IMG2IMG:
            return self._paint(read_order(call, self.dialect, self._memory_pixels), outcome)
        if path == INTERRUPT:
            return self._interrupt()
        return self._tell_task(call) if path == TASK else self._tell()

    def word(self, refusal: Refusal) -> Reply:
        """Say it in the dialect's words; what FastAPI refuses by itself is the same in all."""
        if refusal.status == 422 and refusal.param is not None:
            problem = {"type": "type_error", "loc": ["body", refusal.param], "msg": refusal.message}
            return json_reply({"detail": [problem]}, 422)
        if refusal.status == 500 and self.dialect is DIALECTS["forge"] and refusal.code != "HTTPException":
            # Forge does not word its exceptions.
            return Reply(status=500, body=b"Internal Server Error", headers={"content-type": "text/plain"})
        headers = {"www-authenticate": "Basic"} if refusal.status == 401 else {}
        return json_reply(self.dialect.word(refusal), refusal.status, **headers)

    def wait_for_work(self, timeout_s: float = 30) -> None:
        """Wait until a picture is begun.

        Raises
        ------
        TimeoutError
        """
        if not self._begun.wait(timeout_s):
            raise TimeoutError(f"no picture was begun within {timeout_s} s")

    def release(self) -> None:
        """Let the picture that stands half-way be finished."""
        work = self._work
        if work is not None:
            work.ended.set()

    def _check_user(self, call: ReceivedCall) -> None:
        if self.api_key is None:
            return
        scheme, _, credentials = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            raise Refusal(401, "Not authenticated")
        try:
            known = base64.b64decode(credentials, validate=True) == self.api_key.encode()
        except ValueError:
            raise Refusal(401, "Invalid authentication credentials") from None
        if not known:
            raise Refusal(401, "Incorrect username or password", code="HTTPException")

    def _paint(self, order: Order, outcome: Outcome) -> Reply:
        fields = order.fields
        seed = secrets.randbelow(2**32) if fields["seed"] == -1 else fields["seed"]
        work = Work(task_id=fields["force_task_id"] if self.dialect.names_tasks else None, steps=fields["steps"])
        with self._turn:
            self._work = work
            self._begun.set()
            try:
                if self.holds_work:
                    self.wait(work.ended)
            finally:
                self._begun.clear()
                self._work = None
        pixels = (half_painted if work.interrupted else paint)(order, seed)
        image = base64.b64encode(picture_file(pixels, "PNG", outcome)).decode()
        images = [image] * (fields["batch_size"] * fields["n_iter"]) if fields["send_images"] else []
        # A checkpoint that is unknown is not refused: the one that is loaded is used.
        info = {"seed": seed, "all_seeds": [seed], "sd_model_name": CHECKPOINT, "index_of_first_image": 0}
        return json_reply({"images": images, "parameters": self._echo(fields), "info": json.dumps(info)})

    def _echo(self, fields: Any) -> dict[str, Any]:
        left_out = {} if fields["include_init_images"] else {"init_images": None, "mask": None}
        return {**fields, **left_out}

    def _tell(self) -> Reply:
        work = self._work
        state = {
            "job_count": 0 if work is None else 1,
            "sampling_step": 0 if work is None else work.steps // 2,
            "sampling_steps": 0 if work is None else work.steps,
        }
        told = {"progress": 0 if work is None else HALF_WAY, "eta_relative": 0, "state": state, "textinfo": None}
        # The field for the task is there, and empty: the name was copied when it was empty.
        mine = {"current_image": None, "current_task": None} if self.dialect.names_tasks else {"id": "0123456789abcde"}
        return json_reply({**told, **mine})

    def _tell_task(self, call: ReceivedCall) -> Reply:
        work, asked = self._work, (call.json or {}).get("id_task")
        is_active = work is not None and asked is not None and work.task_id == asked
        return json_reply({"active": is_active, "queued": False, "completed": False, "id_live_preview": -1})

    def _interrupt(self) -> Reply:
        work = self._work
        if work is not None:
            work.interrupted = True
            work.ended.set()
        status = self.dialect.interrupt_status
        return json_reply({}, status) if status == 200 else Reply(status=status, body=b"", headers={})
