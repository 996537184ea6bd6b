"""The insides of other packages that uncrop uses, a row each; ``unit/test_borrowed_insides.py`` looks after them."""

from __future__ import annotations

from dataclasses import dataclass

# How many numbers of its version the upper bound of a package keeps: with 2, version 1.10.3 is bounded by <1.11. Where
# the insides are only how a documented function works, the next major version is soon enough.
BOUNDS = {
    "aiosqlite": 2,
    "anyio": 1,
    "httptools": 2,
    "httpx2": 2,
    "limits": 2,
    "llvmlite": 2,
    "numba": 2,
    "pillow": 1,
    "python-multipart": 2,
    "sqlalchemy": 2,
    "starlette": 2,
    "typer": 2,
    "uvicorn": 2,
}


@dataclass(frozen=True)
class Borrowed:
    """An attribute of a module or a class.

    Attributes
    ----------
    package, where
        The distribution, and ``module:attribute.attribute``.
    need
        The arguments that a callable must take, ``self`` left out: ``"(headers, max_files=)"``; else its type's name.
    why
        What uncrop does with it.
    """

    package: str
    where: str
    need: str
    why: str

    def __str__(self) -> str:
        return self.where


_UVICORN = "uvicorn.protocols.http.httptools_impl"
_PROTOCOL = f"{_UVICORN}:HttpToolsProtocol"
_PARSER = "starlette.formparsers:MultiPartParser"
_BOUNDED = "server.protocol.BoundedProtocol extends it"
_FORM = "server.form._FormParser extends it"
_CACHE = "numba.core.caching:FunctionCache"
_LOCATOR = "numba.core.caching:UserProvidedCacheLocator"
_USAGE = "typer._click.exceptions"
_SENTENCE = "cli.usage_errors says it in one line"
BORROWED = [
    Borrowed("uvicorn", f"{_UVICORN}:STATUS_LINE", "dict", "refusals begin with it"),
    Borrowed("uvicorn", f"{_PROTOCOL}.__init__", "(config, server_state, app_state, _loop)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.connection_made", "(transport)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.connection_lost", "(exc)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.data_received", "(data)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_message_begin", "()", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_url", "(url)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_header", "(name, value)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_headers_complete", "()", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_body", "(body)", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_message_complete", "()", _BOUNDED),
    Borrowed("uvicorn", f"{_PROTOCOL}._unsupported_upgrade_warning", "()", "a head that asks for it is fed again"),
    Borrowed("uvicorn", f"{_PROTOCOL}.send_400_response", "(msg)", "it is replaced by an answer with the error body"),
    Borrowed("uvicorn", f"{_PROTOCOL}.pause_writing", "()", "clients that do not read are watched from there on"),
    Borrowed("uvicorn", f"{_PROTOCOL}.resume_writing", "()", "watching ends there"),
    Borrowed("uvicorn", f"{_PROTOCOL}.on_response_complete", "()", "and there"),
    Borrowed("uvicorn", f"{_PROTOCOL}.shutdown", "()", "lingering connections are closed with the others"),
    Borrowed("uvicorn", f"{_UVICORN}:RequestResponseCycle", "type", "its flags tell where a request stands"),
    Borrowed("uvicorn", "uvicorn.protocols.http.flow_control:FlowControl.resume_reading", "()", "lingering reads on"),
    Borrowed("uvicorn", "uvicorn:Server.serve", "(sockets)", "server.run.Server notes its event loop"),
    Borrowed("uvicorn", "uvicorn:Server.shutdown", "(sockets)", "server.run.Server refuses who waits first"),
    Borrowed("uvicorn", "uvicorn:Server.handle_exit", "(sig, frame)", "server.run.Server notes that it shall stop"),
    Borrowed("httptools", "httptools:HttpRequestParser.get_http_version", "()", "HTTP/1.0 needs no Host"),
    Borrowed("httptools", "httptools:HttpRequestParser.get_method", "()", "CONNECT is no upgrade"),
    Borrowed("httptools", "httptools:HttpRequestParser.should_upgrade", "()", "heads that ask for it are fed again"),
    Borrowed(
        "httptools",
        "httptools:HttpRequestParser.set_dangerous_leniencies",
        "(lenient_data_after_close=)",
        "a new parser is what uvicorn's was",
    ),
    Borrowed("httptools", "httptools:HttpParserInvalidMethodError", "type", "an unknown method is answered with 405"),
    Borrowed("starlette", f"{_PARSER}.__init__", "(headers, stream, max_files=, max_fields=, max_part_size=)", _FORM),
    Borrowed("starlette", f"{_PARSER}.parse", "()", _FORM),
    Borrowed("starlette", f"{_PARSER}.on_part_data", "(data, start, end)", "a text that is too long is named"),
    Borrowed("starlette", f"{_PARSER}.on_headers_finished", "()", "a part is what its name says"),
    Borrowed("starlette", f"{_PARSER}.on_part_end", "()", "a file in the place of a text is named"),
    Borrowed("starlette", f"{_PARSER}.on_end", "()", "a form without its end is refused"),
    Borrowed("starlette", f"{_PARSER}.spool_max_size", "int", "files stay in memory"),
    Borrowed("starlette", "starlette.formparsers:MultiPartException", "type", "its message is the technical text"),
    Borrowed("starlette", "starlette.responses:Response.__call__", "(scope, receive, send)", "large ones go in pieces"),
    Borrowed("python-multipart", "python_multipart.multipart:parse_options_header", "(value)", "reads Content-Type"),
    Borrowed("aiosqlite", "aiosqlite:Connection.__init__", "(connector, iter_chunk_size)", "store.sqlite extends it"),
    Borrowed("aiosqlite", "aiosqlite:Connection._execute", "(fn, *args)", "one visit to the thread a statement"),
    Borrowed("aiosqlite", "aiosqlite:Connection._conn", "property", "the driver's connection, within the thread"),
    Borrowed("aiosqlite", "aiosqlite:Connection.cursor", "()", "store.sqlite has a cursor of its own"),
    Borrowed("aiosqlite", "aiosqlite:Connection.in_transaction", "property", "tells whether a transaction is open"),
    Borrowed("aiosqlite", "aiosqlite:Connection.commit", "()", "nothing is committed where nothing is open"),
    Borrowed("aiosqlite", "aiosqlite:Connection.rollback", "()", "nothing is rolled back where nothing is open"),
    Borrowed("limits", "limits.aio.storage:MemoryStorage.__init__", "()", "admission.window extends it"),
    Borrowed("limits", "limits.aio.storage:MemoryStorage.STORAGE_SCHEME", "list", "a scheme of our own"),
    Borrowed("limits", "limits.aio.storage:MemoryStorage.acquire_entry", "(key, limit, expiry, amount)", "counts hits"),
    Borrowed("limits", "limits.aio.storage:MemoryStorage.get_moving_window", "(key, limit, expiry)", "tells of hits"),
    Borrowed("numba", f"{_CACHE}.__init__", "(py_func)", "kernels.KernelCache extends it"),
    Borrowed("numba", f"{_CACHE}.load_overload", "(sig, target_context)", "it is replaced"),
    Borrowed("numba", f"{_CACHE}._load_overload", "(sig, target_context)", "what is left of it"),
    Borrowed("numba", f"{_CACHE}.save_overload", "(sig, data)", "a folder that is full or read-only is no failure"),
    Borrowed("numba", f"{_CACHE}.cache_path", "property", "its disk must have room"),
    Borrowed("numba", f"{_CACHE}.flush", "()", "a damaged list of kernels begins anew"),
    Borrowed("numba", f"{_CACHE}._guard_against_spurious_io_errors", "()", "as Numba does"),
    Borrowed("numba", f"{_CACHE}._impl_class", "type", "kernels.Serializer takes its place"),
    Borrowed("numba", "numba.core.caching:CompileResultCacheImpl._locator_classes", "list", "ours comes first"),
    Borrowed("numba", f"{_LOCATOR}.__init__", "(py_func, py_file)", "kernels.GivenFolder extends it"),
    Borrowed("numba", f"{_LOCATOR}.from_function", "classmethod", "a read-only folder is not passed over"),
    Borrowed("numba", "numba.core.base:BaseContext.refresh", "()", "before what allocates is taken from the cache"),
    Borrowed("numba", "numba.core.codegen:get_host_cpu_features", "()", "a folder of kernels for each processor"),
    Borrowed("numba", "numba.core.codegen:ll.get_host_cpu_name", "()", "a folder of kernels for each processor"),
    Borrowed("numba", "numba:config.CPU_NAME", "object", "another processor than this one may be set"),
    Borrowed("numba", "numba:config.CPU_FEATURES", "object", "another processor than this one may be set"),
    Borrowed("numba", "numba.core.options:DefaultOptions._nrt", "Mapping", "kernels do not count references"),
    Borrowed("numba", "numba.core.options:DefaultOptions.forceinline", "Mapping", "kernels become part of others"),
    Borrowed("numba", "numba:config.CACHE_DIR", "str", "where compiled kernels are kept"),
    Borrowed("numba", "numba:config.NUMBA_NUM_THREADS", "int", "how many threads the engine takes"),
    Borrowed("numba", "numba.core.cgutils:get_or_insert_function", "(module, fnty, name)", "sums in engine.rows"),
    Borrowed("numba", "numba.core.base:BaseContext.make_array", "(typ)", "engine.rows reads arrays' pointers"),
    Borrowed("numba", "numba.core.base:BaseContext.get_dummy_value", "()", "engine.rows returns nothing"),
    Borrowed("llvmlite", "llvmlite.ir:IRBuilder.shuffle_vector", "(vector1, vector2, mask)", "engine.rows folds"),
    Borrowed("pillow", "PIL.WebPImagePlugin:WebPImageFile.__init__", "(fp)", "no other of Pillow's decoders is asked"),
    Borrowed("typer", "typer.core:TyperCommand.format_help", "(ctx, formatter)", "cli.rows_help fills it in"),
    Borrowed("typer", "typer.core:TyperCommand.shell_complete", "(ctx, incomplete)", "cli.rows_help shortens it"),
    Borrowed("typer", "typer.core:TyperArgument.display_type_rich", "(ctx)", "cli.rows_help says it in plain words"),
    Borrowed("typer", "typer.core:TyperGroup.resolve_command", "(ctx, args)", "cli.provider_keys has a default"),
    Borrowed("typer", "typer.core:TyperGroup.get_command", "(ctx, cmd_name)", "and tells its name from others"),
    Borrowed("typer", "typer._click.core:Parameter", "type", _SENTENCE),
    Borrowed("typer", f"{_USAGE}:BadOptionUsage", "type", _SENTENCE),
    Borrowed("typer", f"{_USAGE}:BadParameter", "type", _SENTENCE),
    Borrowed("typer", f"{_USAGE}:MissingParameter", "type", _SENTENCE),
    Borrowed("typer", f"{_USAGE}:NoArgsIsHelpError", "type", _SENTENCE),
    Borrowed("typer", f"{_USAGE}:NoSuchOption", "type", _SENTENCE),
    Borrowed("anyio", "anyio.to_process:run_sync", "(func, *args, cancellable=, limiter=)", "the engine's processes"),
    Borrowed("anyio", "anyio:BrokenWorkerProcess", "type", "a process of the engine died"),
]
