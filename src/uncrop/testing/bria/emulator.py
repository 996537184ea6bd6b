"""Bria's image expansion on loopback: jobs on one port, their pictures on another."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from uncrop.imaging import arrays, codec
from uncrop.testing.bria.rules import read_order
from uncrop.testing.emulator import Emulator, Refusal, Reply
from uncrop.testing.repaint import paint_canvas

if TYPE_CHECKING:
    from types import TracebackType

    from uncrop.testing.bria.rules import Order
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

SUBMIT, STATUS = "/v2/image/edit/expand", "/v2/status/"
REPAINT = 4  # grey levels by which the whole picture is repainted
POLLS = 2  # how often a job is still in progress
KEPT_JOBS = 64
ADDRESS_LIFE_S = 3600.0
MODERATED = "The content did not pass content moderation"
# A prompt that holds one of these ends the job like this: its status, and the code and message of its error.
ENDINGS: Mapping[str, tuple[str, int | str, str]] = {
    "[failed]": ("ERROR", 500, "The image could not be processed"),
    "[invalid]": ("ERROR", "VALIDATION_ERROR", "A field is not valid"),
    "[unprocessable]": ("ERROR", 422, "The image cannot be expanded"),
    "[unknown]": ("UNKNOWN", 500, "An unexpected error occurred"),
}
# A prompt that holds one of these offends, where the flag is set; the last of them only once the picture is made.
OFFENDING = {
    "[moderated]": "prompt_content_moderation",
    "[input moderated]": "visual_input_content_moderation",
}
OFFENDING_PICTURE = ("[output moderated]", "visual_output_content_moderation")


@dataclass(kw_only=True)
class Job:
    """One job: how many polls came, how it ends, and its picture."""

    order: Order = field(repr=False)
    picture: bytes = field(repr=False)
    seed: int
    ending: tuple[str, int | str, str] | None = None
    polls: int = 0


class BriaEmulator(Emulator):
    """``POST /v2/image/edit/expand`` and ``GET /v2/status/ID``; pictures at ``files``.

    Parameters
    ----------
    api_key
        The only token that is accepted; any, when absent.
    clock
        Seconds since 1970, by which the addresses of pictures expire; asking for the job again gives a fresh one.
    host, port
        Where to listen; port 0 takes a free one. The pictures' port is always a free one.

    Attributes
    ----------
    files
        Where pictures lie, with a log and a script of its own. It refuses calls that carry a token.
    endless
        Whether jobs never end.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(api_key=api_key, host=host, port=port)
        self.files = Files(self, host=host)
        self._clock = clock
        self.endless = False
        self._lock = threading.Lock()
        self._secret = secrets.token_hex(16)
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def __enter__(self) -> Self:
        """Start to listen on both ports."""
        self.files.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self.files.__exit__(kind, error, traceback)

    @property
    def submits(self) -> list[ReceivedCall]:
        """The calls that cost money."""
        return [call for call in self.calls if call.method == "POST"]

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Take a job, or tell of one.

        Raises
        ------
        Refusal
        """
        token = call.headers.get("api_token")
        if not token:
            raise Refusal(401, "API token is missing")
        if self.api_key is not None and token != self.api_key:
            raise Refusal(403, "API token is not valid")
        if call.path == SUBMIT and call.method == "POST":
            return self._take(read_order(call), outcome)
        if call.path.startswith(STATUS) and call.method == "GET":
            return self._tell(call.path.removeprefix(STATUS))
        raise Refusal(404, "Not found")

    def word(self, refusal: Refusal) -> Reply:
        """Say ``{"error", "request_id"}``; about the token ``{"detail"}``."""
        if refusal.status in {401, 403}:
            return reply({"detail": refusal.message}, refusal.status)
        error = {"code": refusal.status, "message": refusal.message, "details": ""}
        return reply({"error": error, "request_id": new_id()}, refusal.status)

    def picture_of(self, name: str, expires: str, signature: str) -> bytes:
        """Return the picture of a finished job.

        Raises
        ------
        Refusal
        """
        if signature != self._signature(name, expires) or self._clock() >= int(expires):
            raise Refusal(403, "Request has expired")
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise Refusal(404, "The specified key does not exist.")
        return job.picture

    def _take(self, order: Order, outcome: Outcome) -> Reply:
        for words, flag in OFFENDING.items():
            if words in order.prompt and order.flags[flag]:
                raise Refusal(422, MODERATED)
        pixels = paint_canvas(
            order.photo, order.width, order.height, x=order.x, y=order.y, level=REPAINT + (order.seed or 0) % 3
        )
        if outcome.size is not None:
            pixels = arrays.to_8bit(codec.resize(pixels, *outcome.size))
        picture = codec.encode(pixels, "PNG")
        name = new_id()
        job = Job(
            order=order,
            picture=picture[: len(picture) // 2] if outcome.corrupt else picture,
            seed=secrets.randbelow(2**31) if order.seed is None else order.seed,
            ending=_ending(order),
        )
        with self._lock:
            self._jobs[name] = job
            if len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)
        if order.flags["sync"]:
            return self._sync(name, job)
        return reply({"request_id": name, "status_url": f"{self.origin}{STATUS}{name}"}, 202)

    def _sync(self, name: str, job: Job) -> Reply:
        if job.ending is None:
            return reply({"result": self._result(name, job), "request_id": name})
        status, code, message = job.ending
        raise Refusal(code if isinstance(code, int) else 422, f"{status}: {message}")

    def _tell(self, name: str) -> Reply:
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return reply({"status": "NOT_FOUND", "request_id": new_id()}, 404)
            job.polls += 1
            polls = job.polls
        # The id of the poll, not of the job.
        told: dict[str, Any] = {"request_id": new_id()}
        if self.endless or polls <= POLLS:
            return reply({**told, "status": "IN_PROGRESS"})
        if job.ending is not None:
            status, code, message = job.ending
            return reply({**told, "status": status, "error": {"code": code, "message": message, "details": ""}})
        return reply({**told, "status": "COMPLETED", "result": self._result(name, job)})

    def _result(self, name: str, job: Job) -> dict[str, str]:
        expires = str(int(self._clock() + ADDRESS_LIFE_S))
        prompt = job.order.prompt or "a wider view of the same scene"
        return {
            "image_url": f"{self.files.origin}/{name}.png?Expires={expires}&Signature={self._signature(name, expires)}",
            "seed": str(job.seed),
            "prompt": prompt,
            "refined_prompt": f"{prompt}, photograph",
        }

    def _signature(self, name: str, expires: str) -> str:
        return hashlib.sha256(f"{self._secret}:{name}:{expires}".encode()).hexdigest()


class Files(Emulator):
    """``GET /ID.png?Expires=…&Signature=…``."""

    def __init__(self, of: BriaEmulator, *, host: str) -> None:
        super().__init__(host=host)
        self._of = of

    def receive(self, call: ReceivedCall) -> tuple[Outcome, Reply]:
        """Log a call, where the whole emulator does, and decide how it ends."""
        self.keeps_calls = self._of.keeps_calls
        return super().receive(call)

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        """Hand out a picture.

        Raises
        ------
        Refusal
        """
        if {"api_token", "authorization", "cookie"} & set(call.headers):
            raise Refusal(400, "Only one auth mechanism allowed")
        url = urlsplit(call.path)
        query = parse_qs(url.query)
        name = url.path.removeprefix("/").removesuffix(".png")
        data = self._of.picture_of(name, query.get("Expires", ["0"])[0], query.get("Signature", [""])[0])
        return Reply(
            status=200,
            body=data[: len(data) // 2] if outcome.corrupt else data,
            headers={"content-type": "image/png"},
        )

    def word(self, refusal: Refusal) -> Reply:
        """Say it in XML, as stores of files do."""
        body = f"<?xml version='1.0'?><Error><Message>{refusal.message}</Message></Error>".encode()
        return Reply(status=refusal.status, body=body, headers={"content-type": "application/xml"})


def _ending(order: Order) -> tuple[str, int | str, str] | None:
    words, flag = OFFENDING_PICTURE
    if words in order.prompt and order.flags[flag]:
        return "ERROR", 422, MODERATED
    return next((ending for words, ending in ENDINGS.items() if words in order.prompt), None)


def new_id() -> str:
    """Draw an id as the real ones look."""
    return secrets.token_hex(16)


def reply(value: object, status: int = 200) -> Reply:
    """Answer in JSON."""
    return Reply(status=status, body=json.dumps(value).encode(), headers={"content-type": "application/json"})
