"""What uncrop uses of other packages beyond their documented interface, attribute by attribute.

An upgrade that takes one of these away, or changes how it is called, fails here with a sentence that says which one,
and what it is needed for. Until somebody has looked, the upper bound in ``pyproject.toml`` keeps such a release away
from those who install uncrop.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import re
import signal
import sqlite3
import sys
import threading
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httptools
import httpx2
import pytest
import typer.core
import uvicorn
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from borrowed import BORROWED, BOUNDS, Borrowed
from uncrop.store.sqlite import BriskCursor, open_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src" / "uncrop").rglob("*.py"))

# Classes that are made to be extended, as their documentation says; nothing private of theirs is touched.
MADE_TO_BE_EXTENDED = {
    "prometheus_client.registry.Collector",
    "pydantic_settings.BaseSettings",
    "pydantic_settings.PydanticBaseSettingsSource",
    "sqlalchemy.types.TypeDecorator",
}


# --- each is there, as it is needed ----------------------------------------------------------------------------------


def find(where: str) -> Any:
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name) if inspect.isclass(found) else getattr(found, name)
    return found


def can_be_called(function: Any, need: str) -> bool:
    """Tell whether a function takes the arguments of ``need``: names by place, ``*args``, ``name=`` by name."""
    by_place: list[str] = []
    by_name: dict[str, str] = {}
    for name in (part.strip() for part in need.strip("()").split(",")):
        if name.endswith("="):
            by_name[name[:-1]] = ""
        elif name:
            by_place.append(name)
    try:
        signature = inspect.signature(function)
        signature.bind(*([None] if "self" in signature.parameters else []), *by_place, **by_name)
    except TypeError:
        return False
    except ValueError:
        return callable(function)  # compiled code that does not tell
    names = [name for name in signature.parameters if name != "self"]
    return all(name.startswith("*") or name in names for name in by_place)


@pytest.mark.parametrize("borrowed", BORROWED, ids=str)
def test_it_is_there_as_it_is_needed(borrowed: Borrowed) -> None:
    told = f"{borrowed.package} {version(borrowed.package)}: {borrowed.where}"
    try:
        found = find(borrowed.where)
    except (ImportError, AttributeError):
        pytest.fail(f"{told} is gone. uncrop needs it: {borrowed.why}")
    if borrowed.need.startswith("("):
        assert can_be_called(found, borrowed.need), f"{told} no longer takes {borrowed.need}. uncrop: {borrowed.why}"
    else:
        kinds = {kind.__name__ for kind in type(found).__mro__}
        assert borrowed.need in kinds, f"{told} is no {borrowed.need} any more. uncrop: {borrowed.why}"


def test_what_is_missing_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"uvicorn .*: uvicorn:Server._gone is gone. uncrop needs it: to"):
        test_it_is_there_as_it_is_needed(Borrowed("uvicorn", "uvicorn:Server._gone", "()", "to test"))
    assert can_be_called(HttpToolsProtocol.on_header, "(name, value)")
    for changed in ("(name)", "(name, value, more)", "(key, value)", "(name, value, extra=)"):
        assert not can_be_called(HttpToolsProtocol.on_header, changed), changed


@pytest.mark.parametrize("package", sorted(BOUNDS))
def test_it_has_an_upper_bound_at_the_next_release_that_may_differ(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    bounds = {canonicalize_name(wanted.name): wanted.specifier for wanted in map(Requirement, lines)}
    kept = Version(version(package)).release[: BOUNDS[package]]
    assert package in bounds, f"{package} is borrowed from, but pyproject.toml does not name it"
    limits = [part.version for part in bounds[package] if part.operator == "<"]
    expected = ".".join(map(str, (*kept[:-1], kept[-1] + 1)))
    assert limits == [expected], f"pyproject.toml must bound {package} by <{expected}: its insides are borrowed"


def test_the_list_and_the_bounds_name_the_same_packages() -> None:
    # Of these two, what is borrowed is not an attribute but what they do, which the tests below look at.
    assert {borrowed.package for borrowed in BORROWED} | {"httpx2", "sqlalchemy"} == set(BOUNDS)


# --- nothing else is borrowed ----------------------------------------------------------------------------------------


DOCUMENTED = {"_asdict", "_exit", "_fields", "_make", "_replace"}  # in spite of their names
STANDARD = {*sys.stdlib_module_names, "uncrop"}


def foreign_names(tree: ast.Module) -> dict[str, str]:
    """Return what a module has from other packages, by the name that it has here."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name.partition(".")[0]: each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    names = {name: path for name, path in names.items() if path.partition(".")[0] not in STANDARD}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(node.value, ast.Name):
            names |= {node.target.id: names[node.value.id]} if node.value.id in names else {}
    return names


def full_name(base: ast.expr, names: dict[str, str]) -> str | None:
    dotted = ast.unparse(base).partition("[")[0]
    first, _, rest = dotted.partition(".")
    return None if first not in names else f"{names[first]}.{rest}".rstrip(".")


def attributes_of_others(tree: ast.Module) -> Iterator[str]:
    """Yield the attributes that a module uses although neither it nor a documented interface has them."""
    names = foreign_names(tree)
    yield from (f"{path}" for path in names.values() if "._" in path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
            owner = ast.unparse(node.value)
            if owner not in {"self", "cls"} and node.attr not in DOCUMENTED:
                yield node.attr
        elif isinstance(node, ast.ClassDef):
            bases = {path for base in node.bases if (path := full_name(base, names)) is not None}
            if bases - MADE_TO_BE_EXTENDED:
                yield from inherited(node)


def inherited(made: ast.ClassDef) -> Iterator[str]:
    """Yield the attributes that a class takes or replaces of its base."""
    attributes = [node for node in ast.walk(made) if isinstance(node, ast.Attribute)]
    of_self = [node for node in attributes if ast.unparse(node.value) == "self"]
    of_super = {node.attr for node in attributes if ast.unparse(node.value) == "super()"}
    own = {node.attr for node in of_self if isinstance(node.ctx, ast.Store)}
    for node in made.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            own |= {ast.unparse(target) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])}
    yield from of_super - {"__init__"}
    yield from {node.attr for node in of_self} - own


def test_every_attribute_that_is_borrowed_is_named_here() -> None:
    named = {borrowed.where.rpartition(".")[2] for borrowed in BORROWED} | IN_INSTANCES
    named |= {borrowed.where.replace(":", ".") for borrowed in BORROWED}  # as imports name what private modules hold
    found = {
        (attribute, path.relative_to(ROOT).as_posix())
        for path in SOURCES
        for attribute in attributes_of_others(ast.parse(path.read_text()))
    }
    assert {"_execute", "cycle", "_current_part", "_load_overload"} <= {attribute for attribute, _ in found}
    unnamed = {(attribute, path) for attribute, path in found if attribute not in named}
    assert unnamed == set(), "these insides of other packages are used, but not named in tests/borrowed.py"


# --- what instances have, and what happens ---------------------------------------------------------------------------

# Of instances, which the tests below make.
IN_INSTANCES = {
    *("cycle", "flow", "headers", "loop", "parser", "server_state", "timeout_keep_alive_task", "transport", "url"),
    *(
        "_captured_signals",
        "config",
        "force_exit",
        "should_exit",
        "_current_part",
        "_files_to_close_on_error",
        "max_part_size",
    ),
    *("_cache", "_thread", "params"),
    *("connections", "pipeline"),
    *("body", "raw_headers", "scope", "status_code"),
}


class Recorder(asyncio.Transport):
    """A connection that keeps what is written."""

    written = b""

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """Stay open."""


class Probe(HttpToolsProtocol):
    """Notes what is being handled when uvicorn refuses a request."""

    refused: BaseException | None = None

    def send_400_response(self, msg: str) -> None:
        self.refused = sys.exception()


async def answer(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def connected() -> tuple[Probe, Recorder]:
    config = uvicorn.Config(answer, log_config=None)
    config.load()
    protocol, transport = Probe(config, ServerState(), {}), Recorder()
    protocol.connection_made(transport)
    return protocol, transport


async def test_uvicorns_protocol_keeps_its_notes_where_ours_reads_them() -> None:
    protocol, transport = connected()
    assert protocol.timeout_keep_alive_task is None
    assert protocol.cycle is None
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1\r\n\r\n")
    assert protocol.headers == [(b"host", b"a.example"), (b"content-length", b"1")]
    assert protocol.url == b"/"
    assert protocol.scope["method"] == "POST"
    assert protocol.parser.get_http_version() == "1.1"
    assert protocol.loop is asyncio.get_running_loop()
    assert protocol.transport is transport
    assert protocol.server_state.default_headers == []
    assert protocol.connections == {protocol}
    assert len(protocol.pipeline) == 0
    assert (protocol.flow.read_paused, protocol.flow.write_paused) == (False, False)
    cycle = protocol.cycle
    assert (cycle.more_body, cycle.keep_alive, cycle.disconnected) == (True, True, False)
    assert (cycle.response_started, cycle.response_complete) == (False, False)
    assert isinstance(cycle.message_event, asyncio.Event)
    protocol.data_received(b"x")
    assert cycle.more_body is False
    # What the request's task writes to is looked up anew at every write, so that it can be replaced before.
    cycle.transport = replaced = Recorder()
    await asyncio.gather(*protocol.tasks)
    assert (transport.written, replaced.written[:12]) == (b"", b"HTTP/1.1 204")
    assert (cycle.response_started, cycle.response_complete) == (True, True)
    assert isinstance(protocol.timeout_keep_alive_task, asyncio.TimerHandle)
    protocol.connection_lost(None)


async def test_uvicorn_refuses_while_the_parsers_error_is_being_handled() -> None:
    class Raising(Probe):
        def on_url(self, url: bytes) -> None:
            raise KeyError

    protocol, _ = connected()
    protocol.data_received(b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert isinstance(protocol.refused, httptools.HttpParserInvalidMethodError)
    raising = Raising(protocol.config, ServerState(), {})
    raising.connection_made(Recorder())
    raising.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert isinstance(raising.refused, httptools.HttpParserError)


async def test_uvicorn_warns_of_an_upgrade_while_the_parser_tells_where_its_head_ends() -> None:
    ends: list[Any] = []

    class Noting(Probe):
        def _unsupported_upgrade_warning(self) -> None:
            ends.append(sys.exception())

        def on_message_complete(self) -> None:
            """Have no request to complete: the parser tells of the end before the body."""

    config = uvicorn.Config(answer, ws="none", log_config=None)
    config.load()
    protocol = Noting(config, ServerState(), {})
    protocol.connection_made(Recorder())
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n"
    protocol.data_received(memoryview(head + b"x"))  # type: ignore[arg-type]
    assert isinstance(ends[0], httptools.HttpParserUpgrade)
    assert ends[0].args == (len(head),)
    await asyncio.gather(*protocol.tasks)


def test_uvicorns_server_notes_signals_that_ours_forgets() -> None:
    server = uvicorn.Server(uvicorn.Config(answer, log_config=None))
    assert server.should_exit is False
    assert (server.server_state.tasks, server.server_state.connections) == (set(), set())
    assert server.config.app is answer
    server.handle_exit(signal.SIGTERM, None)
    assert server._captured_signals == [signal.SIGTERM]
    assert server.should_exit is True


async def test_starlettes_parser_keeps_its_notes_where_ours_reads_them() -> None:
    seen: list[tuple[str, bool, int]] = []

    class Parser(MultiPartParser):
        def on_headers_finished(self) -> None:
            assert self._current_part.content_disposition is not None
            assert self._current_part.content_disposition.startswith(b"form-data; name=")
            super().on_headers_finished()

        def on_part_data(self, data: bytes, start: int, end: int) -> None:
            part = self._current_part
            seen.append((part.field_name, part.file is not None, len(part.data)))
            super().on_part_data(data, start, end)

    async def stream() -> Any:
        for name in ('name="text"', 'name="file"; filename="a"'):
            yield f"--b\r\nContent-Disposition: form-data; {name}\r\n\r\nx\r\n".encode()
        yield b"--b--\r\n"

    parser = Parser(Headers({"Content-Type": "multipart/form-data; boundary=b"}), stream(), max_part_size=9)
    assert parser.max_part_size == 9
    await parser.parse()
    assert seen == [("text", False, 0), ("file", True, 0)]
    for file in parser._files_to_close_on_error:
        file.close()
    assert len(parser._files_to_close_on_error) == 1


def test_starlettes_response_has_what_ours_sends() -> None:
    response = Response(b"x", status_code=418, headers={"A": "b"})
    assert (response.status_code, response.body) == (418, b"x")
    assert set(response.raw_headers) == {(b"a", b"b"), (b"content-length", b"1")}


async def test_starlettes_router_tells_which_route_it_took_and_need_not_redirect() -> None:
    async def page(_request: Any) -> Response:
        return Response()

    app = Starlette(routes=[route := Route("/here", page)])
    assert app.router.redirect_slashes is True
    app.router.redirect_slashes = False
    routes = []
    for method, path in (("GET", "/here"), ("POST", "/here"), ("GET", "/here/")):
        scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
        statuses: list[int] = []

        async def send(message: Any, statuses: list[int] = statuses) -> None:
            statuses.append(message.get("status", 0))

        await app(scope, None, send)  # type: ignore[arg-type]
        routes.append((scope.get("route"), statuses[0]))
    assert routes == [(route, 200), (route, 405), (None, 404)]


async def test_aiosqlite_works_in_a_thread_that_ends_with_its_connection() -> None:
    connection = await open_sqlite(":memory:")
    thread = connection._thread
    assert isinstance(thread, threading.Thread)
    assert thread.daemon
    assert await connection._execute(threading.current_thread) is thread
    assert isinstance(connection._conn, sqlite3.Connection)
    await connection.close()
    thread.join(60)
    assert not thread.is_alive()


def test_sqlalchemy_asks_nothing_of_a_cursor_that_ours_does_not_have() -> None:
    from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_cursor

    # One statement at a time, all rows at once: the rest of a cursor is never asked for.
    never = {"executemany", "setinputsizes", "callproc", "nextset", "fetchone", "fetchmany"}
    asked = set(re.findall(r"self\._cursor\.(\w+)", inspect.getsource(AsyncAdapt_dbapi_cursor)))
    asked |= set(re.findall(r"\bcursor\.(\w+)", inspect.getsource(AsyncAdapt_dbapi_cursor)))
    ours = {*dir(BriskCursor), *vars(BriskCursor(None))}  # type: ignore[arg-type]
    assert {"execute", "fetchall", "description", "close"} <= asked, "SQLAlchemy's cursor works in another way now"
    assert asked - ours - never == set(), "SQLAlchemy asks store.sqlite.BriskCursor for something that it lacks"


def test_typers_command_has_its_parameters_where_their_help_is_filled_in() -> None:
    assert typer.core.TyperCommand("a").params == []


def test_numba_looks_for_compiled_kernels_where_ours_are_put() -> None:
    from numba import njit
    from numba.core.caching import FunctionCache

    compiled = njit(find)
    assert "_cache" in vars(compiled)
    compiled.enable_caching()
    assert type(compiled._cache) is FunctionCache
    assert {"load_overload", "save_overload", "flush", "cache_path"} <= set(dir(compiled._cache))


async def test_httpx2_tells_before_the_first_byte_of_a_request_goes_out() -> None:
    received = b""
    events: list[tuple[str, bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal received
        received = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def note(event: str, _info: Any) -> None:
        events.append((event, received))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server, httpx2.AsyncClient() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await client.post(url, content=b"", extensions={"trace": note})
    names = [event for event, _ in events]
    started = [index for index, name in enumerate(names) if name.endswith("send_request_headers.started")]
    assert len(started) == 1, f"httpx2 no longer tells when a request begins to be sent: {names}"
    assert any(name.endswith("connect_tcp.complete") for name in names[: started[0]])
    assert events[started[0]][1] == b""
    assert received.startswith(b"POST / HTTP/1.1\r\n")
