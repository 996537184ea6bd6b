"""What ComfyUI takes: uploads, and graphs as ``execution.py`` checks them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from uncrop.testing.emulator import Refusal

if TYPE_CHECKING:
    from uncrop.testing.comfyui.nodes import NodeFacts, Spec
    from uncrop.testing.emulator import ReceivedCall

MAX_BODY = 100 * 1024 * 1024
PLACES = ("input", "temp", "output")
KINDS: Mapping[str, type] = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}
Fault: TypeAlias = "dict[str, Any]"


class BadGraph(Refusal):
    """A graph is refused: by one error, and by what is wrong with each node."""

    def __init__(
        self, kind: str, message: str, details: str = "", node_errors: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(400, message, code=kind)
        self.details = details
        self.node_errors = dict(node_errors or {})


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One file that came."""

    name: str
    folder: str
    place: str
    data: bytes
    overwrites: bool


@dataclass(frozen=True, kw_only=True)
class Order:
    """A graph that was taken, the id that it was to have, and the nodes that could not be run."""

    id: str
    graph: Mapping[str, Mapping[str, Any]]
    node_errors: Mapping[str, Any]


def read_upload(call: ReceivedCall) -> Upload:
    """Read ``POST /upload/image``.

    Raises
    ------
    Refusal
    """
    image, fields = call.files.get("image"), call.fields
    if call.malformed is not None or image is None or not image.filename:
        raise Refusal(400, "Bad Request")
    if len(image.data) > MAX_BODY:
        raise Refusal(413, "Request Entity Too Large")
    folder, place = fields.get("subfolder", ""), fields.get("type", "input")
    if place not in PLACES:
        raise Refusal(500, "Internal Server Error")
    if leads_out(folder) or leads_out(image.filename):
        raise Refusal(400, "Bad Request")
    overwrites = fields.get("overwrite") in {"true", "1"}
    return Upload(name=image.filename, folder=folder, place=place, data=image.data, overwrites=overwrites)


def leads_out(path: str) -> bool:
    """Tell whether a name or a folder leads out of the folder that it is meant for."""
    return path.startswith("/") or ".." in path.split("/")


def read_order(call: ReceivedCall, nodes: Mapping[str, NodeFacts], files: Collection[str]) -> Order:
    """Read ``POST /prompt``, and check the graph.

    Parameters
    ----------
    call
        What came.
    nodes
        What the server knows.
    files
        The files that a node may load, by the way in which graphs name them.

    Raises
    ------
    Refusal
    """
    body = call.json
    if body is None:
        raise Refusal(500, "Internal Server Error")
    if "prompt" not in body:
        raise BadGraph("no_prompt", "No prompt provided", "No prompt provided")
    name = body.get("prompt_id")
    if name is None:
        name = str(uuid.uuid4())
    if not _is_job_id(name):
        raise BadGraph("invalid_prompt_id", "prompt_id must be a valid UUID")
    graph = body["prompt"]
    return Order(id=name, graph=graph, node_errors=check_graph(graph, nodes, files))


def _is_job_id(name: object) -> bool:
    try:
        return isinstance(name, str) and str(uuid.UUID(name)) == name
    except ValueError:
        return False


def check_graph(graph: Any, nodes: Mapping[str, NodeFacts], files: Collection[str]) -> dict[str, Any]:
    """Return what is wrong with nodes that lead to an end, where another end can be reached all the same.

    Raises
    ------
    BadGraph
        No end of the graph can be reached.
    """
    if not isinstance(graph, Mapping):
        raise Refusal(500, "Internal Server Error")
    for name, node in graph.items():
        if not isinstance(node, Mapping) or node.get("class_type") not in nodes:
            raise BadGraph("missing_node_type", "Node not found. The custom node may not be installed.", f"#{name}")
    ends = [name for name, node in graph.items() if nodes[node["class_type"]].puts_out]
    if not ends:
        raise BadGraph("prompt_no_outputs", "Prompt has no outputs")
    node_errors: dict[str, Any] = {}
    for end in ends:
        for name in _before(graph, end):
            faults = _faults(graph, name, nodes, files)
            if faults:
                told = {"errors": faults, "dependent_outputs": [], "class_type": graph[name]["class_type"]}
                node_errors.setdefault(name, told)["dependent_outputs"].append(end)
    hindered = {end for told in node_errors.values() for end in told["dependent_outputs"]}
    if hindered == set(ends):
        raise BadGraph("prompt_outputs_failed_validation", "Prompt outputs failed validation", node_errors=node_errors)
    return node_errors


def _before(graph: Mapping[str, Any], end: str) -> list[str]:
    """Return a node and all that it is made of, each once."""
    found = [end]
    for name in found:  # grows on the way
        inputs = graph[name].get("inputs", {})
        links = (value[0] for value in inputs.values() if isinstance(value, list) and len(value) == 2)
        found += [link for link in dict.fromkeys(links) if link in graph and link not in found]
    return found


def _faults(graph: Mapping[str, Any], name: str, nodes: Mapping[str, NodeFacts], files: Collection[str]) -> list[Fault]:
    node = graph[name]
    facts, inputs = nodes[node["class_type"]], node.get("inputs", {})
    faults = []
    for field in (*facts.required, *(field for field in facts.optional if field in inputs)):
        spec = facts.spec(field)
        if spec is None or field not in inputs:
            faults.append(fault("required_input_missing", field))
        elif isinstance(inputs[field], list):
            faults += _link_faults(graph, inputs[field], field, spec, nodes)
        elif field == "image" and spec[0] == []:
            faults += [] if inputs[field] in files else [fault("custom_validation_failed", field)]
        else:
            faults += _value_faults(inputs[field], field, spec)
    return faults


def _link_faults(
    graph: Mapping[str, Any], link: list[Any], field: str, spec: Spec, nodes: Mapping[str, NodeFacts]
) -> list[Fault]:
    if len(link) != 2 or link[0] not in graph:
        return [fault("bad_linked_input", field)]
    outputs = nodes[graph[link[0]]["class_type"]].outputs
    if not 0 <= link[1] < len(outputs) or outputs[link[1]] != spec[0]:
        return [fault("return_type_mismatch", field)]
    return []


def _value_faults(value: Any, field: str, spec: Spec) -> list[Fault]:
    kind, *rest = spec
    options = rest[0] if rest else {}
    choices = kind if isinstance(kind, list) else options.get("options")
    if choices is not None:
        return [] if value in choices else [fault("value_not_in_list", field)]
    if kind not in KINDS:  # what only another node can give
        return [fault("return_type_mismatch", field)]
    try:
        converted = KINDS[kind](value)
    except (TypeError, ValueError):
        return [fault("invalid_input_type", field)]
    if "min" in options and converted < options["min"]:
        return [fault("value_smaller_than_min", field)]
    if "max" in options and converted > options["max"]:
        return [fault("value_bigger_than_max", field)]
    return []


def fault(kind: str, field: str) -> Fault:
    """Return one error of a node, in ComfyUI's words."""
    return {
        "type": kind,
        "message": kind.replace("_", " ").capitalize(),
        "details": field,
        "extra_info": {"input_name": field},
    }
