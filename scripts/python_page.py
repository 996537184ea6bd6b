"""The reference page of the public Python names, from their signatures and docstrings."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = ("uncrop", "uncrop.client")
# Has a page of its own, and a field for every setting of every provider.
ELSEWHERE = {"Settings": "See [settings.md](settings.md)."}
LINE = 110  # characters of a signature, above which each parameter gets a line of its own


def python_page(note: str) -> str:
    """Return docs/reference/python.md."""
    lines = [
        "# Python",
        "",
        note,
        "",
        "What programs may import. Errors of `uncrop` are in [errors.md](errors.md).",
        "",
    ]
    for name in MODULES:
        module = import_module(name)
        lines += [f"## `{name}`", ""]
        for public in sorted(module.__all__):
            if not public.startswith("_"):
                lines += _entry(public, getattr(module, public))
    return "\n".join(lines).rstrip() + "\n"


def _entry(name: str, value: Any) -> Iterator[str]:
    if name in ELSEWHERE:
        yield from (f"### `{name}`", "", ELSEWHERE[name], "")
        return
    yield from (f"### `{name}`", "", *_block(name, value))
    if inspect.isclass(value):
        for method, function in sorted(vars(value).items()):
            if not method.startswith("_") and inspect.isfunction(function):
                yield from (f"#### `{name}.{method}`", "", *_block(method, function))


def _block(name: str, value: Any) -> Iterator[str]:
    """Yield the signature and the docstring as one block of text."""
    yield from ("```text", *_signature(name, value), "", *(inspect.getdoc(value) or "").splitlines(), "```", "")


def _signature(name: str, value: Any) -> list[str]:
    """Return a call as it is written, without ``self``."""
    try:
        signature = inspect.signature(value)
    except (ValueError, TypeError):  # a dictionary's type has none
        return [name]
    parameters = [_parameter(each) for each in signature.parameters.values() if each.name != "self"]
    if keywords := [n for n, each in enumerate(signature.parameters.values()) if each.kind is each.KEYWORD_ONLY]:
        parameters.insert(len(parameters) - len(signature.parameters) + keywords[0], "*")
    returned = "" if inspect.isclass(value) else f" -> {signature.return_annotation}"
    start = "async " if inspect.iscoroutinefunction(value) else ""
    whole = f"{start}{name}({', '.join(parameters)}){returned}"
    if len(whole) <= LINE:
        return [whole]
    return [f"{start}{name}(", *(f"    {parameter}," for parameter in parameters), f"){returned}"]


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
    text = f"{stars}{parameter.name}: {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    shown = repr(parameter.default)
    # A default without a name of its own would be told by its place in memory.
    return f"{text} = {'…' if shown.startswith('<') else shown}"
