"""What emulators of providers with jobs have in common: jobs that are asked for, and their pictures on another port."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from uncrop.testing.emulator import Emulator, Refusal, Reply

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.outcomes import Outcome

KEPT_JOBS = 64
# A store of files that knows no key refuses a call that carries one, for two ways to be let in are one too many.
KEYS = frozenset({"api_token", "authorization", "cookie", "x-key"})


@dataclass(kw_only=True)
class PictureJob:
    """One job: its picture, and how many polls came.

    Attributes
    ----------
    picture
        The bytes of the file.
    suffix
        Of the file's name, without a dot: ``png``.
    """

    picture: bytes = field(repr=False)
    suffix: str = "png"
    polls: int = 0


J = TypeVar("J", bound=PictureJob)


class JobEmulator(Emulator, Generic[J]):
    """A provider that takes jobs here and keeps their pictures at ``files``.

    Parameters
    ----------
    api_key
        The only key that is accepted; any, when absent.
    clock
        Seconds since 1970, by which the addresses of pictures expire.
    host, port
        Where to listen; port 0 takes a free one. The pictures' port is always a free one.

    Attributes
    ----------
    files
        Where pictures lie, with a log and a script of its own. It refuses calls that carry a key.
    endless
        Whether jobs never end.
    EXPIRY, SIGNATURE
        What the address of a picture calls the second at which it expires, and what proves that it was given out.
    LIFE_S
        Seconds for which an address holds.
    """

    EXPIRY: ClassVar[str] = "Expires"
    SIGNATURE: ClassVar[str] = "Signature"
    LIFE_S: ClassVar[float] = 3600.0

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
        self.endless = False
        self._clock = clock
        self._lock = threading.Lock()
        self._secret = secrets.token_hex(16)
        self._jobs: OrderedDict[str, J] = OrderedDict()
        self._others = ExitStack()

    def __enter__(self) -> Self:
        """Start to listen on every port."""
        for other in self.others():
            self._others.enter_context(other)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening."""
        with self._others:
            super().__exit__(kind, error, traceback)

    def others(self) -> tuple[Emulator, ...]:
        """Return the servers beside this one."""
        return (self.files,)

    def keep(self, job: J) -> str:
        """Keep a job, and return its id; of more than 64 the oldest is forgotten."""
        name = secrets.token_hex(16)
        with self._lock:
            self._jobs[name] = job
            if len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)
        return name

    def find(self, name: str) -> J | None:
        """Return the job of an id, if there is one."""
        with self._lock:
            return self._jobs.get(name)

    def forget(self, name: str) -> J | None:
        """Drop a job that was ended, and return it, if there is one of this id."""
        with self._lock:
            return self._jobs.pop(name, None)

    def poll(self, name: str) -> tuple[J, int] | None:
        """Count a poll, and return the job and the number of its polls, which stays 1 where jobs are endless."""
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return None
            job.polls += 1
            return job, 1 if self.endless else job.polls

    def address_of(self, name: str) -> str:
        """Return a fresh address of a job's picture."""
        expires = str(int(self._clock() + self.LIFE_S))
        query = f"{self.EXPIRY}={expires}&{self.SIGNATURE}={self._sign(name, expires)}"
        return f"{self.files.origin}/results/{name}/sample.{self._jobs[name].suffix}?{query}"

    def picture_of(self, address: str) -> PictureJob:
        """Return the job whose picture lies at an address.

        Raises
        ------
        Refusal
        """
        url = urlsplit(address)
        query = parse_qs(url.query)
        _, folder, name, *_ = (*url.path.split("/"), "", "")
        if folder != "results":
            raise Refusal(404, "The specified resource does not exist.")
        expires = query.get(self.EXPIRY, ["0"])[0]
        if query.get(self.SIGNATURE, [""])[0] != self._sign(name, expires) or self._clock() >= int(expires):
            raise Refusal(403, "Signature not valid in the specified time frame")
        job = self.find(name)
        if job is None:
            raise Refusal(404, "The specified key does not exist.")
        return job

    def _sign(self, name: str, expires: str) -> str:
        return hashlib.sha256(f"{self._secret}:{name}:{expires}".encode()).hexdigest()


class Files(Emulator):
    """``GET /results/ID/sample.png`` with the expiry and the signature that the job's answer named."""

    def __init__(self, of: JobEmulator[J], *, host: str) -> None:
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
        if KEYS & set(call.headers):
            raise Refusal(400, "Only one authentication mechanism is allowed")
        if call.method != "GET":
            raise Refusal(404, "The specified resource does not exist.")
        job = self._of.picture_of(call.path)
        body = outcome.spoil(job.picture)
        return Reply(status=200, body=body, headers={"content-type": f"image/{job.suffix}"})

    def word(self, refusal: Refusal) -> Reply:
        """Say it in XML, as stores of files do."""
        body = f"<?xml version='1.0'?><Error><Message>{refusal.message}</Message></Error>".encode()
        return Reply(status=refusal.status, body=body, headers={"content-type": "application/xml"})
