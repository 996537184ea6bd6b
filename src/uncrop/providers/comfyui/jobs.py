"""Jobs, each of which runs a graph: their place in the queue, their end in the history, and how they are given up."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.providers.answers import read_object, unusable
from uncrop.providers.comfyui.errors import body_of, lost_job, refuse_job
from uncrop.providers.conversation import Answer, Call, Wait, ask, json_body
from uncrop.providers.error_reader import refused_poll

if TYPE_CHECKING:
    from uncrop.providers.conversation import Step

# Seconds before each poll: a job that is known from the cache ends at once, others take seconds to minutes.
FIRST_WAIT_S, LONGEST_WAIT_S, LONGER = 0.25, 2.0, 1.5
# Names and folders of ComfyUI's own making; nothing that leads out of its folders, or is an address.
_FILE = re.compile(r"[\w .()\[\]-]{1,255}")
_FOLDER = re.compile(r"[\w ./()\[\]-]{0,255}")
_PLACES = frozenset({"input", "output", "temp"})


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedJob:
    """One job of a graph, by its id, at a server."""

    id: str
    base_url: str

    def history(self) -> Call:
        """Build the call that tells the job's end; its answer is empty until then."""
        return self._look(f"/history/{self.id}")

    def queue(self) -> Call:
        """Build the call that tells who waits and who runs."""
        return self._look("/queue")

    def cancelling(self) -> Generator[Call, Answer, None]:
        """Take the job out of the queue, and interrupt it where it runs.

        A ComfyUI that does not know how to interrupt one job interrupts whichever runs, so that it is asked first.
        """
        yield self._tell("/queue", {"delete": [self.id]})
        answer = yield Call(method="GET", url=f"{self.base_url}/queue", holds_picture=False)
        if self.id in _ids(read_object(answer.body) or {}, "queue_running"):
            yield self._tell("/interrupt", {"prompt_id": self.id})

    def _look(self, path: str) -> Call:
        return Call(
            method="GET",
            url=f"{self.base_url}{path}",
            kind="repeat",
            holds_picture=False,
            on_cancel=self.cancelling,
        )

    def _tell(self, path: str, body: Mapping[str, object]) -> Call:
        return Call(method="POST", url=f"{self.base_url}{path}", body=json_body(body), holds_picture=False)


def await_end(job: QueuedJob) -> Generator[Step, object, Mapping[str, object]]:
    """Look for a job until it has ended, and return its entry in the history.

    Raises
    ------
    UncropError
        It ended without success, is not known any more, or a poll was refused.
    """
    wait_s: float = FIRST_WAIT_S
    told: tuple[float | None, str] = (None, "submitted")
    while True:
        yield Wait(seconds=wait_s, fraction=told[0], step=told[1], on_cancel=job.cancelling)
        wait_s = min(wait_s * LONGER, LONGEST_WAIT_S)
        entry = yield from _entry(job)
        if entry is None:
            place = yield from _place(job)
            if place is not None:
                told = (0.0, f"place {place} in ComfyUI's queue" if place else "ComfyUI is at work")
                continue
            # It may have ended between the two polls.
            entry = yield from _entry(job)
            if entry is None:
                raise lost_job()
        return entry


def picture_of(entry: Mapping[str, object], node: str) -> dict[str, str]:
    """Return where the picture lies that a node has put out, as ``GET /view`` takes it.

    Raises
    ------
    ProviderInvalidResponse
        The entry names none, or no file of ComfyUI's own.
    """
    outputs = entry.get("outputs")
    output = outputs.get(node) if isinstance(outputs, Mapping) else None
    images = output.get("images") if isinstance(output, Mapping) else None
    image = images[0] if isinstance(images, list) and images else None
    if not isinstance(image, Mapping):
        raise unusable("names no picture")
    name, folder, place = (
        str(image.get(key, other)) for key, other in (("filename", ""), ("subfolder", ""), ("type", "output"))
    )
    if not _FILE.fullmatch(name) or not _FOLDER.fullmatch(folder) or ".." in name + folder or place not in _PLACES:
        raise unusable("names a picture that is no file of ComfyUI's")
    return {"filename": name, "subfolder": folder, "type": place}


def _entry(job: QueuedJob) -> Generator[Step, object, Mapping[str, object] | None]:
    """Return the job's entry in the history; ``None`` until it has ended."""
    answer = yield from ask(job.history())
    body = body_of(answer, refused_poll)
    if not body:
        return None
    entry = body.get(job.id)
    if not isinstance(entry, Mapping):
        raise unusable("tells of another job")
    status = entry.get("status")
    ended = status.get("status_str") if isinstance(status, Mapping) else None
    if ended == "error":
        raise refuse_job(answer, entry)
    if ended != "success" and status is not None:  # servers without a status keep what has ended alone
        raise unusable("tells a status that is not known")
    return entry


def _place(job: QueuedJob) -> Generator[Step, object, int | None]:
    """Return the job's place among those that wait, 0 where it runs; ``None`` where it is not in the queue."""
    answer = yield from ask(job.queue())
    body = body_of(answer, refused_poll)
    running, pending = (_ids(body, name) for name in ("queue_running", "queue_pending"))
    if job.id in running:
        return 0
    return pending.index(job.id) + 1 if job.id in pending else None


def _ids(body: Mapping[str, object], name: str) -> tuple[str, ...]:
    """Return the ids of a queue's jobs in the order of their turns; what is no job is left out."""
    items = body.get(name)
    jobs = [item for item in items if _is_job(item)] if isinstance(items, list) else []
    return tuple(item[1] for item in sorted(jobs, key=lambda item: item[0]))


def _is_job(item: object) -> bool:
    return isinstance(item, list) and len(item) > 1 and isinstance(item[0], int | float) and isinstance(item[1], str)
