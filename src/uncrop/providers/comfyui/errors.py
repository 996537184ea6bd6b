"""What the refusals of ComfyUI mean beside what all makers say: of a graph, and of a job that failed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import ProviderError, ProviderNotConfigured, ProviderRejectedRequest
from uncrop.providers.answers import read_object
from uncrop.providers.comfyui.graph import class_of
from uncrop.providers.comfyui.vocabulary import FAILED, INTERRUPTED, OUT_OF_MEMORY, VOCABULARY
from uncrop.providers.conversation import Answer
from uncrop.providers.error_reader import error_in, object_in, refused
from uncrop.providers.refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.errors import UncropError
    from uncrop.providers.comfyui.graph import Graph
    from uncrop.providers.vocabulary import Vocabulary

# What is said of a graph as a whole, and of one node. No other word of ComfyUI's is passed on.
GRAPH_REFUSED = frozenset(
    {
        "invalid_prompt",
        "invalid_prompt_id",
        "missing_node_type",
        "no_prompt",
        "prompt_no_outputs",
        "prompt_outputs_failed_validation",
    }
)
NODE_REFUSED = frozenset(
    {
        "bad_linked_input",
        "custom_validation_failed",
        "dependency_cycle",
        "exception_during_inner_validation",
        "exception_during_validation",
        "invalid_input_type",
        "required_input_missing",
        "return_type_mismatch",
        "value_bigger_than_max",
        "value_not_in_list",
        "value_smaller_than_min",
    }
)
TEXTS: Mapping[str, str] = {
    INTERRUPTED: "The job was interrupted in ComfyUI",
    FAILED: "A node of the graph failed in ComfyUI",
    OUT_OF_MEMORY: "ComfyUI ran out of memory; a lower max_megapixels makes the frame smaller",
}


def body_of(answer: Answer, refuse: Callable[[Answer, Vocabulary], UncropError] = refused) -> Mapping[str, object]:
    """Read an answer's JSON object.

    Raises
    ------
    UncropError
        As ``refuse`` makes it of another status than 200.
    ProviderInvalidResponse
        It is no JSON object.
    """
    if answer.status != HTTPStatus.OK:
        raise refuse(answer, VOCABULARY)
    return object_in(answer, VOCABULARY)


def is_about_graph(answer: Answer) -> bool:
    """Tell whether an answer to ``POST /prompt`` refuses the graph, so that it is worth to look what is missing."""
    return answer.status == HTTPStatus.BAD_REQUEST and _kind_of(answer) in GRAPH_REFUSED


def refuse_graph(answer: Answer, graph: Graph, missing: tuple[str, ...]) -> UncropError:
    """Turn an answer that refuses the graph into an error for the operator, whose graph it is.

    Parameters
    ----------
    answer
        One that ``is_about_graph``.
    graph
        What was to be run.
    missing
        What of it ComfyUI does not have, as ``missing_of`` found.
    """
    if missing:
        text = f"ComfyUI does not have {'; '.join(missing)}"
    else:
        nodes = "; ".join(_refused_nodes(answer, graph))
        text = f"ComfyUI refuses the graph{f': {nodes}' if nodes else ''}"
    details = {"provider_status": answer.status, "provider_code": _kind_of(answer)}
    return ProviderNotConfigured(details=details, system_message=text)


def refuse_job(answer: Answer, entry: Mapping[str, object]) -> UncropError:
    """Turn the history's entry of a job that ended without success into an error.

    What the node that failed says is read as any maker's error is: some nodes call makers themselves.
    """
    code, words = _ending(entry)
    if code == FAILED:
        told = error_in(Answer(status=HTTPStatus.OK, body=json.dumps({"error": words}).encode()), VOCABULARY)
        if told is not None and not isinstance(told, ProviderRejectedRequest):
            return told
    error = refuse(answer, error=ProviderError, code=code)
    error.system_message = TEXTS[code]
    return error


def lost_job() -> UncropError:
    """Return the error of a job that ComfyUI knows no more: it was started anew, or its queue was cleared."""
    return ProviderError(system_message="ComfyUI does not know the job any more; it was cleared or started anew")


def _kind_of(answer: Answer) -> str:
    error = (read_object(answer.body) or {}).get("error")
    kind = error.get("type") if isinstance(error, Mapping) else None
    return kind if isinstance(kind, str) else ""


def _refused_nodes(answer: Answer, graph: Graph) -> Iterator[str]:
    found = (read_object(answer.body) or {}).get("node_errors")
    for name, told in found.items() if isinstance(found, Mapping) else ():
        errors = told.get("errors") if isinstance(told, Mapping) else None
        kinds = [each.get("type") for each in errors if isinstance(each, Mapping)] if isinstance(errors, list) else []
        known = sorted({kind for kind in kinds if isinstance(kind, str) and kind in NODE_REFUSED})
        if name in graph.nodes and known:
            yield f"{class_of(graph.nodes[name])}: {', '.join(known)}"


def _ending(entry: Mapping[str, object]) -> tuple[str, list[str]]:
    """Return how a job ended, and what the node that failed says, if one did."""
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, Mapping) else None
    for message in messages if isinstance(messages, list) else ():
        event, data = message if isinstance(message, list) and len(message) == 2 else ("", None)
        if event == INTERRUPTED:
            return INTERRUPTED, []
        if event == FAILED and isinstance(data, Mapping):
            kind, words = (str(data.get(name, "")) for name in ("exception_type", "exception_message"))
            return (OUT_OF_MEMORY if "OutOfMemory" in kind else FAILED), [kind, words]
    return FAILED, []
