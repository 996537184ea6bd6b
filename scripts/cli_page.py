"""Writes docs/reference/cli.md: every command with its options, as its help tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.main import get_command

from uncrop.cli import app
from uncrop.cli.rows_help import filled
from uncrop.providers.registry import load_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
`./uncrop` from a clone prepares `.venv` when it is missing or out of date, then runs the command line; installed as a
package the command is `uncrop`. `uncrop COMMAND --help` tells the same as this page, as wide as the terminal.

```sh
./uncrop extend examples/raccoon.jpg --aspect 16:9 --output wide.jpg
```

Several photos go into a folder: `./uncrop extend *.jpg --aspect 16:9 --output-dir wide`. `-` is standard input or
output: `./uncrop extend - --zoom-out 20 --output - < photo.jpg > zoomed.jpg`.

**Output.** `extend` prints one line a picture: file, size, provider, seed, confidence, seconds; with `--json` an object
a picture, each in a line of its own, with the API's names. All else goes to stderr: a bar while it works, if that is a
terminal; where a side was extended further than can be trusted, how far it can be (`uncrop: confident up to left 120`);
and what went wrong, in one line that names the option, the file and the rule. Of several photos, one that fails leaves
the others alone. `--dry-run` makes nothing and prints what it would take: for `--provider all` of everyone, for `auto`
of those that would be asked in turn; it exits as the picture's own command would.

**Files.** A file that exists is replaced with `--force` alone, and keeps its mode; a symbolic link's target is written.
A photo is never replaced by its own picture. A picture appears whole, under its name, or not at all; one that has no
place in the end, as on a full disk, is kept in the system's folder for temporary files, and a line says where.

**Ctrl-C** ends a run within a moment, with exit code 130, and leaves nothing half-written.

| exit code | meaning |
|---|---|
| 0 | done |
| 2 | wrong use |
| 3 | refused: a bad photo, a limit |
| 4 | busy, or a rate or usage limit |
| 5 | the provider failed |
| 130 | interrupted |

**Colours** are for terminals, unless `NO_COLOR` is set. **Completion** of commands, options and values, in bash, zsh
and fish: `uncrop --install-completion`, from the shell that shall have it.
"""


def cli_page(note: str) -> str:
    """Return docs/reference/cli.md."""
    lines = ["# Command line", "", note, "", *HEAD.splitlines()]
    for path, command in _commands(get_command(app), "uncrop"):
        usage = " ".join([path, *(piece for each in command.params for piece in _argument(each))])
        lines += ["", f"## `{usage}`", "", *_paragraphs(command.help or "")]
        options = [row for each in command.params if (row := _row(each))]
        lines += ["", "| option | what it does |", "|---|---|", *options] if options else []
    return "\n".join(lines) + "\n"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield every command with its name in full, groups left out."""
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from _commands(child, f"{path} {name}")


def _argument(parameter: Any) -> list[str]:
    """Return an argument as the usage names it."""
    if parameter.param_type_name != "argument":
        return []
    name = (parameter.metavar or parameter.name).upper() + ("..." if parameter.nargs == -1 else "")
    return [name if parameter.required else f"[{name}]"]


def _row(parameter: Any) -> str:
    """Return a line of the table of options; empty for `--help`, which all have."""
    if parameter.name == "help":
        return ""
    is_option = parameter.param_type_name == "option"
    name = ", ".join(f"`{each}`" for each in sorted(parameter.opts, key=len, reverse=True)) if is_option else ""
    name = name or f"`{(parameter.metavar or parameter.name).upper()}`"
    text = filled(parameter.help or "", list(load_rows(()).values())).replace("|", "\\|")
    default = parameter.default
    shown = is_option and default not in {None, False, ""} and not callable(default)
    return f"| {name} | {text}{f' Default: `{default}`.' if shown else ''} |"


def _paragraphs(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]
