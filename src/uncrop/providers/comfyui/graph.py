"""Graphs of ComfyUI in its API format: read and checked at the start, filled in for each picture.

A graph says by the titles of its nodes where uncrop's values go. Titles can be set in ComfyUI's page, and its export
keeps them (``_meta.title``); the numbers of nodes change with every edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Node: TypeAlias = Mapping[str, object]
Nodes: TypeAlias = Mapping[str, Node]

PHOTO, PICTURE = "uncrop photo", "uncrop picture"
PROMPT, NEGATIVE_PROMPT, SEED = "uncrop prompt", "uncrop negative prompt", "uncrop seed"
NEEDED = (PHOTO, PICTURE)
# Which input of a node of each title is set: the first of these that the node has.
INPUTS: Mapping[str, tuple[str, ...]] = {
    PHOTO: ("image",),
    PROMPT: ("text", "prompt", "value"),
    NEGATIVE_PROMPT: ("text", "prompt", "value"),
    SEED: ("seed", "noise_seed", "value"),
}


class UnusableGraph(ValueError):
    """A text is no graph that pictures can be made with; the message follows the name of a setting."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """A checked graph.

    Attributes
    ----------
    nodes
        ``{id: {"class_type", "inputs", ...}}``, as ``POST /prompt`` takes it.
    titled
        The ids of the nodes of each title that means something here; titles without nodes are absent.
    """

    nodes: Nodes
    titled: Mapping[str, tuple[str, ...]]

    @property
    def picture(self) -> str:
        """The id of the node that puts the picture out."""
        return self.titled[PICTURE][0]

    def has(self, title: str) -> bool:
        """Tell whether the graph takes a value."""
        return title in self.titled

    def filled(self, values: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Return the nodes with values in place; those of titles that the graph does not have are left out.

        Parameters
        ----------
        values
            By title.
        """
        made = {name: {**node, "inputs": dict(inputs_of(node))} for name, node in self.nodes.items()}
        for title, value in values.items():
            for name in self.titled.get(title, ()):
                made[name]["inputs"] = {**inputs_of(made[name]), _input_for(title, made[name]): value}
        return made


def read_graph(text: str) -> Graph:
    """Read a graph.

    Raises
    ------
    UnusableGraph
        It is none, or lacks a node that must be there.
    """
    try:
        nodes = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableGraph("is not JSON") from error
    if isinstance(nodes, dict) and isinstance(nodes.get("nodes"), list):
        raise UnusableGraph("is a workflow as ComfyUI's page keeps it; export it in the API format")
    if not isinstance(nodes, dict) or not nodes:
        raise UnusableGraph("is not a graph in ComfyUI's API format")
    for name, node in nodes.items():
        _check_node(name, node, nodes)
    return Graph(nodes=nodes, titled=_titled(nodes))


def check_graph(text: str) -> str | None:
    """Tell what is wrong with a graph's text; ``None`` where nothing is."""
    try:
        read_graph(text)
    except UnusableGraph as error:
        return str(error)
    return None


def class_of(node: Node) -> str:
    """Return the class of a checked node."""
    return str(node["class_type"])


def inputs_of(node: Node) -> Mapping[str, object]:
    """Return the inputs of a checked node: values, and links ``[id, slot]`` to other nodes."""
    inputs = node["inputs"]
    return inputs if isinstance(inputs, Mapping) else {}


def is_link(value: object) -> bool:
    """Tell whether an input comes from another node."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int


def _check_node(name: str, node: object, nodes: Mapping[str, object]) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
        raise UnusableGraph(f"has a node without a class_type: {name}")
    if not isinstance(node.get("inputs"), dict):
        raise UnusableGraph(f"has a node without inputs: {name}")
    for value in inputs_of(node).values():
        if is_link(value) and isinstance(value, list) and value[0] not in nodes:
            raise UnusableGraph(f"has a node that reads from one that is not there: {name} from {value[0]}")


def _titled(nodes: Nodes) -> dict[str, tuple[str, ...]]:
    titles = {name: _title(node) for name, node in nodes.items()}
    titled = {
        title: found
        for title in (*INPUTS, PICTURE)
        if (found := tuple(name for name, each in titles.items() if each == title))
    }
    missing = [title for title in NEEDED if title not in titled]
    if missing:
        raise UnusableGraph(f"has no node with the title {' and none with '.join(repr(title) for title in missing)}")
    if len(titled[PICTURE]) > 1:
        raise UnusableGraph(f"has several nodes with the title {PICTURE!r}")
    for title, names in titled.items():
        _check_inputs(title, [nodes[name] for name in names])
    return titled


def _check_inputs(title: str, found: list[Node]) -> None:
    wanted = INPUTS.get(title, ())
    if wanted and not all(any(name in inputs_of(node) for name in wanted) for node in found):
        raise UnusableGraph(f"has a node with the title {title!r} that has no input {' or '.join(wanted)}")


def _input_for(title: str, node: Node) -> str:
    return next(name for name in INPUTS[title] if name in inputs_of(node))


def _title(node: Node) -> str:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, Mapping) else None
    return " ".join(title.lower().split()) if isinstance(title, str) else ""


def missing_of(graph: Graph, known: Mapping[str, object]) -> tuple[str, ...]:
    """Compare a graph with the nodes and the models that a server has.

    Nothing of what the server says is repeated: all names are the graph's own.

    Parameters
    ----------
    graph
        What is to be run.
    known
        The answer of ``GET /object_info``.

    Returns
    -------
    tuple
        What is missing, a line for each, without repetition; empty where all is there.
    """
    lines = (line for name, node in graph.nodes.items() for line in _lacking(graph, name, node, known))
    return tuple(dict.fromkeys(lines))


def _lacking(graph: Graph, name: str, node: Node, known: Mapping[str, object]) -> Iterator[str]:
    kind = class_of(node)
    info = known.get(kind)
    if not isinstance(info, Mapping):
        yield f"the node {kind}"
        return
    wanted = info.get("input")
    wanted = wanted if isinstance(wanted, Mapping) else {}
    required, optional = (
        part if isinstance(part := wanted.get(key), Mapping) else {} for key in ("required", "optional")
    )
    given = inputs_of(node)
    if not required.keys() <= given.keys():
        yield f"an input of {kind}, which this graph does not give"
    for field, value in given.items():
        choices = _choices(required.get(field, optional.get(field)))
        is_photo = name in graph.titled[PHOTO] and field == _input_for(PHOTO, node)
        if isinstance(value, str) and choices is not None and value not in choices and not is_photo:
            yield f"{_file_name(value)} for {field} of {kind}"


def _file_name(value: str) -> str:
    """Return a file's name without its folders: callers are told what is missing, not where it lies."""
    return value.replace("\\", "/").rpartition("/")[2]


def _choices(spec: object) -> list[object] | None:
    """Return what an input may be, in either way that ComfyUI says it; ``None`` where it is no choice."""
    first, *rest = spec if isinstance(spec, list) and spec else (None,)
    if isinstance(first, list):
        return first
    options = rest[0].get("options") if first == "COMBO" and rest and isinstance(rest[0], Mapping) else None
    return options if isinstance(options, list) else None
