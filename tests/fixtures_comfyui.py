"""ComfyUI's answers, and conversations held with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from uncrop import errors
from uncrop.geometry.planner import choose_frame
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import Sides, Task, UncropRequest
from uncrop.providers.comfyui.facts import FACTS
from uncrop.providers.comfyui.provider import ComfyUI
from uncrop.providers.conversation import Answer, Call, Part, Raw, Step
from uncrop.testing.pictures import photo, photo_jpeg
from uncrop.testing.workbench import make_settings, make_task, talk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uncrop.model import Fill

CANARY = "canary-7f3a"
REFUSED = "ComfyUI refuses the graph"
PAGE = "a web page: the address may not be that of ComfyUI's server"
BASE = "http://comfy.test:8188"
RUN = "0f0e0d0c-0b0a-4908-8706-050403020100"
OWN = json.dumps(
    {
        "3": {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": "uncrop photo"}},
        "5": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "uncrop picture"}},
    }
)


def comfyui(**values: str | float | None) -> ComfyUI:
    return ComfyUI(FACTS, make_settings(FACTS, base_url=BASE, **values))


def task(image: bytes | None = None, *, of: ComfyUI | None = None, **wishes: Any) -> Task:
    data = photo_jpeg(640, 512) if image is None else image
    wishes = wishes if wishes.keys() & {"mask", "sides"} else {"sides": Sides(left=24, down=5), **wishes}
    return make_task(UncropRequest(provider="", image=data, **wishes), (of or comfyui()).facts)


def says(body: object, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(body).encode())


def page(status: int) -> Answer:
    return Answer(status=status, headers={"content-type": "text/html"}, body=b"<html>canary-7f3a")


UPLOADED = says({"name": "ab (1).png", "subfolder": "uncrop", "type": "temp"})
TAKEN = says({"prompt_id": RUN, "number": 3, "node_errors": {}})
NOT_YET = says({})
IMAGE = {"filename": "ComfyUI_temp_abcde_00001_.png", "subfolder": "", "type": "temp"}


def ended(outputs: object = None, status: object = ...) -> Answer:
    told = {"status_str": "success", "completed": True, "messages": []} if status is ... else status
    outputs = {"picture": {"images": [IMAGE]}} if outputs is None else outputs
    return says({RUN: {"prompt": [], "outputs": outputs, "status": told}})


def failed(*messages: object) -> Answer:
    return ended({}, {"status_str": "error", "completed": False, "messages": list(messages)})


def queue(running: Iterable[object] = (), pending: Iterable[object] = ()) -> Answer:
    return says({"queue_running": list(running), "queue_pending": list(pending)})


def item(number: int, name: str = RUN) -> list[object]:
    return [number, name, {}, {}, []]


def picture(width: int = 672, height: int = 528) -> Answer:
    return Answer(status=200, body=codec.encode(photo(width, height), "PNG"))


def held(*answers: Answer, of: ComfyUI | None = None, task_: Task | None = None) -> tuple[list[Step], Fill]:
    """Hold the conversation: the upload, the submit, a pause, and then what else is given."""
    first, rest = list(answers[:2]), list(answers[2:])
    return talk(of or comfyui(), task_ or task(of=of), *first, *([None, *rest] if rest else []))


def refused(*answers: Answer) -> errors.UncropError:
    with pytest.raises(errors.UncropError) as found:
        held(*answers)
    assert CANARY not in f"{found.value.message} {found.value.system_message} {found.value.details}"
    return found.value


def parts_of(call: Call) -> dict[str, Part]:
    assert isinstance(call.body, tuple)
    return {part.name: part for part in call.body}


def body_of(call: Call) -> dict[str, Any]:
    assert isinstance(call.body, Raw)
    parsed: dict[str, Any] = json.loads(call.body.data)
    return parsed


def uploaded(task_: Task, of: ComfyUI | None = None) -> np.ndarray:
    of = of or comfyui()
    call = of.upload(task_, choose_frame(task_.job.placement, of.facts.geometry))
    data = parts_of(call)["image"].value
    assert isinstance(data, bytes)
    return codec.decode(open_file(data))


def everything() -> Answer:
    return says({node["class_type"]: {} for node in comfyui().graph.nodes.values()})
