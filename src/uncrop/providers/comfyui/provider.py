"""The provider ``comfyui``: a frame and its mask go up, a graph is run on them, its picture is fetched. See the row."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Generator
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from uncrop.geometry.planner import choose_frame
from uncrop.model import Fill, PictureFacts
from uncrop.placement.frames import cut_canvas
from uncrop.providers.answers import read_object, read_text, unusable
from uncrop.providers.base import Provider
from uncrop.providers.comfyui.errors import body_of, is_about_graph, refuse_graph
from uncrop.providers.comfyui.facts import GRIDS, MEGAPIXEL, MEGAPIXELS
from uncrop.providers.comfyui.frames import draw_frame
from uncrop.providers.comfyui.graph import NEGATIVE_PROMPT, PHOTO, PROMPT, SEED, missing_of, read_graph
from uncrop.providers.comfyui.jobs import QueuedJob, await_end, picture_of
from uncrop.providers.comfyui.stock import MODELS, stock_graph
from uncrop.providers.conversation import Call, Part, ask, json_body
from uncrop.providers.error_reader import refused_poll
from uncrop.providers.jobs import fetch_file
from uncrop.providers.picture import picture_part, read_picture

if TYPE_CHECKING:
    from uncrop.errors import UncropError
    from uncrop.model import Frame, GeometryFacts, ProviderFacts, Task
    from uncrop.providers.base import ProviderSettings
    from uncrop.providers.comfyui.graph import Graph
    from uncrop.providers.conversation import Answer, Conversation, Examination, Step

FOLDER = "uncrop"
# Where uploads go, and ComfyUI's way to name a file there in an input. It empties the folder whenever it starts, so
# that nobody's photos pile up.
PLACE, PLACED = "temp", "[temp]"


class ComfyUI(Provider):
    """A ComfyUI server: an upload, a job that is asked for, and a download."""

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        own = settings.text("graph_file")
        name = settings.text("graph") or next(iter(MODELS))
        self.model = None if own else settings.text("model") or MODELS[name]
        self.graph: Graph = read_graph(own) if own else stock_graph(name, settings.text("model"))
        takes = {"prompt": PROMPT, "negative_prompt": NEGATIVE_PROMPT, "seed": SEED}
        fields = tuple(field for field in facts.fields if field.name not in takes or self.graph.has(takes[field.name]))
        # An own graph is taken for one of FLUX, whose grid suits the others as well.
        geometry = _geometry(facts.geometry, next(iter(MODELS)) if own else name, settings)
        super().__init__(replace(facts, geometry=geometry, fields=fields), settings)

    def converse(self, task: Task) -> Conversation:
        """Upload the frame, run the graph, ask for its end, and fetch the picture.

        Raises
        ------
        ProviderNotConfigured
            ComfyUI has not all that the graph needs, or refuses the graph.
        ProviderInvalidResponse
            An answer is not what ComfyUI's API sends, or no picture of the frame's shape.
        ProviderError
            The job failed, was interrupted, or is not known any more.
        """
        frame = choose_frame(task.job.placement, self.facts.geometry)
        uploaded = yield from ask(self.upload(task, frame))
        image = read_upload(uploaded)
        job = QueuedJob(id=new_job_id(), base_url=self.settings.base_url)
        answer = yield from ask(self.submit(task, image, job))
        if is_about_graph(answer):
            raise (yield from self._refusal(answer))
        job = replace(job, id=read_job_id(answer))
        entry = yield from await_end(job)
        place = picture_of(entry, self.graph.picture)
        file = yield from fetch_file(f"{self.settings.base_url}/view?{urlencode(place)}")
        pixels = yield from read_picture(file, frame.width, frame.height, task.job.header)
        facts = PictureFacts(provider=self.facts.name, request_id=job.id, model=self.model)
        return Fill(pixels=cut_canvas(pixels, frame), facts=facts)

    def examine(self) -> Examination:
        """Ask which nodes and models ComfyUI has, and tell which of the graph's are missing.

        Raises
        ------
        UncropError
            ComfyUI did not tell.
        """
        answer = yield self._look()
        return missing_of(self.graph, body_of(answer, refused_poll))

    def upload(self, task: Task, frame: Frame) -> Call:
        """Build ``POST /upload/image`` of the frame and its mask in one PNG.

        The file is named by what it holds, so that the same frame is stored once and is known again in ComfyUI's cache.
        It is sent once: a server that is not there is told at once, not after the patience that polls have.
        """
        data = draw_frame(task, frame)
        part = picture_part("image", data, "PNG")
        name = f"{hashlib.sha256(data).hexdigest()[:32]}.png"
        fields = {"type": PLACE, "subfolder": FOLDER}
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/upload/image",
            body=(replace(part, filename=name), *(Part(name=key, value=value) for key, value in fields.items())),
            holds_picture=False,
        )

    def submit(self, task: Task, image: str, job: QueuedJob) -> Call:
        """Build ``POST /prompt``: the graph with the image's name, the prompts and the seed in place."""
        values: dict[str, object] = {PHOTO: image, SEED: task.job.seed}
        request = task.job.request
        texts = {PROMPT: request.prompt, NEGATIVE_PROMPT: request.negative_prompt}
        values |= {title: text for title, text in texts.items() if text}
        body = {"prompt": self.graph.filled(values), "client_id": job.id, "prompt_id": job.id}
        return Call(
            method="POST",
            url=f"{self.settings.base_url}/prompt",
            body=json_body(body),
            holds_picture=False,
            on_cancel=job.cancelling,
        )

    def _refusal(self, answer: Answer) -> Generator[Step, object, UncropError]:
        """Look what ComfyUI lacks of the graph that it refuses."""
        looked = yield from ask(self._look())
        known = read_object(looked.body) if looked.status == HTTPStatus.OK else None
        return refuse_graph(answer, self.graph, () if known is None else missing_of(self.graph, known))

    def _look(self) -> Call:
        return Call(method="GET", url=f"{self.settings.base_url}/object_info", holds_picture=False)


def read_upload(answer: Answer) -> str:
    """Return what a graph calls an uploaded file; ComfyUI renames one whose name is taken.

    Raises
    ------
    UncropError
        It was refused, or the answer names no file.
    """
    body = body_of(answer)
    name, folder = (read_text(body, field, missing="names no uploaded file") for field in ("name", "subfolder"))
    return f"{folder}/{name} {PLACED}" if folder else f"{name} {PLACED}"


def read_job_id(answer: Answer) -> str:
    """Return the id of a job that was taken; a ComfyUI that takes no id of ours gives its own.

    Raises
    ------
    UncropError
        It was refused, or the answer names no job.
    """
    named = read_text(body_of(answer), "prompt_id", missing="names no job")
    try:
        return str(uuid.UUID(named))
    except ValueError as error:
        raise unusable("names no job") from error


def new_job_id() -> str:
    """Draw an id for a job, in the one form that ComfyUI takes."""
    return str(uuid.uuid4())


def _geometry(facts: GeometryFacts, name: str, settings: ProviderSettings) -> GeometryFacts:
    most = settings.values.get("max_megapixels", MEGAPIXELS[name])
    return replace(facts, grid=GRIDS[name], max_pixels=int(float(most) * MEGAPIXEL))
