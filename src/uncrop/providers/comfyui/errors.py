"""What the refusals of ComfyUI mean: those of a call, those of a graph, and how a job can end without a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from uncrop.errors import (
    ProviderError,
    ProviderInvalidResponse,
    ProviderNotConfigured,
    UncropError,
)
from uncrop.providers.answers import is_page, read_object, unusable
from uncrop.providers.comfyui.graph import class_of
from uncrop.providers.refusal import BY_STATUS, refuse, refuse_poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.providers.comfyui.graph import Graph
    from uncrop.providers.conversation import Answer

PAGE = ": the address may not be that of ComfyUI's server"
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
INTERRUPTED, FAILED, OUT_OF_MEMORY = "execution_interrupted", "execution_error", "out_of_memory"
TEXTS: Mapping[str, str] = {
    INTERRUPTED: "The job was interrupted in ComfyUI",
    FAILED: "A node of the graph failed in ComfyUI",
    OUT_OF_MEMORY: "ComfyUI ran out of memory; a lower max_megapixels makes the frame smaller",
}


def refuse_call(answer: Answer) -> UncropError:
    """Turn an answer whose status is not 200 into an error; a page says nothing about the request."""
    if not is_page(answer):
        return refuse(answer)
    return _with_page(refuse(answer, error=BY_STATUS.get(answer.status) or _of_page(answer.status)))


def refuse_polled(answer: Answer) -> UncropError:
    """Turn an answer to a poll whose status is not 200 into an error."""
    error = refuse_poll(answer)
    return _with_page(error) if is_page(answer) else error


def read_body(answer: Answer, refused: Callable[[Answer], UncropError]) -> Mapping[str, object]:
    """Read an answer's JSON object.

    Raises
    ------
    UncropError
        As ``refused`` makes it of another status than 200.
    ProviderInvalidResponse
        It is no JSON object.
    """
    if answer.status != HTTPStatus.OK:
        raise refused(answer)
    body = read_object(answer.body)
    if body is None:
        raise unusable(f"is a web page{PAGE}" if is_page(answer) else "is no JSON object")
    return body


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
        refused = "; ".join(_refused_nodes(answer, graph))
        text = f"ComfyUI refuses the graph{f': {refused}' if refused else ''}"
    details = {"provider_status": answer.status, "provider_code": _kind_of(answer)}
    return ProviderNotConfigured(details=details, system_message=text)


def refuse_job(answer: Answer, entry: Mapping[str, object]) -> UncropError:
    """Turn the history's entry of a job that ended without success into an error."""
    code = _ending(entry)
    error = refuse(answer, error=ProviderError, code=code)
    error.system_message = TEXTS[code]
    return error


def lost_job() -> UncropError:
    """Return the error of a job that ComfyUI knows no more: it was started anew, or its queue was cleared."""
    return ProviderError(system_message="ComfyUI does not know the job any more; it was cleared or started anew")


def _with_page(error: UncropError) -> UncropError:
    error.system_message += f" and a web page{PAGE}"
    return error


def _of_page(status: int) -> type[UncropError]:
    return ProviderError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ProviderInvalidResponse


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


def _ending(entry: Mapping[str, object]) -> str:
    status = entry.get("status")
    messages = status.get("messages") if isinstance(status, Mapping) else None
    for message in messages if isinstance(messages, list) else ():
        event, data = message if isinstance(message, list) and len(message) == 2 else ("", None)
        if event == INTERRUPTED:
            return INTERRUPTED
        if event == FAILED and isinstance(data, Mapping) and "OutOfMemory" in str(data.get("exception_type")):
            return OUT_OF_MEMORY
    return FAILED
