"""Mistakes in the options themselves, in one line: which option, what the rule is, what may have been meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import typer
from typer._click.exceptions import BadOptionUsage, BadParameter, MissingParameter, NoArgsIsHelpError, NoSuchOption

from uncrop.cli.exits import note

if TYPE_CHECKING:
    from typer import TyperException
    from typer._click.core import Parameter

# How pydantic, by which values are read, says what a value must be.
_RULES = (
    ("Input should be a valid integer", "must be a whole number"),
    ("Input should be a valid number", "must be a number"),
    ("Input should be", "must be"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
)
_UNKNOWN = re.compile(r"No such command '(.*)'\.?(?: Did you mean (.*)\?)?", re.DOTALL)
_TOO_MANY = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.DOTALL)


def tell_usage(error: TyperException) -> None:
    """Say what is wrong with how a command was called; a group of commands without one shows its help."""
    if isinstance(error, NoArgsIsHelpError):
        typer.echo(error.message, err=True)
        return
    context = getattr(error, "ctx", None)
    note(f"{sentence_of(error)}; {'uncrop' if context is None else context.command_path} --help tells more")


def sentence_of(error: TyperException) -> str:
    """Return what is wrong, in the words of the other errors."""
    if isinstance(error, MissingParameter):
        return f"{_name(error.param)} is missing"
    if isinstance(error, BadParameter):
        return f"{_name(error.param)} {_rule(error.message)}"
    if isinstance(error, NoSuchOption):
        meant = f"; did you mean {' or '.join(sorted(error.possibilities))}?" if error.possibilities else ""
        return f"{error.option_name} is no option{meant}"
    if isinstance(error, BadOptionUsage):
        return f"{error.option_name} {'needs a value' if 'requires' in error.message else 'takes no value'}"
    return _of_commands(error.message)


def _of_commands(message: str) -> str:
    if match := _UNKNOWN.fullmatch(message):
        meant = f"; did you mean {match[2].replace(chr(39), '')}?" if match[2] else ""
        return f"{match[1]} is no command{meant}"
    if match := _TOO_MANY.fullmatch(message):
        return f"{match[1]} is more than this takes"
    return {"Missing command.": "a command is missing"}.get(message, message)


def _rule(message: str) -> str:
    """Return the first rule that was broken, in our words."""
    text = message.splitlines()[0].partition(", unable")[0]
    for theirs, ours in _RULES:
        text = text.replace(theirs, ours)
    return text


def _name(parameter: Parameter | None) -> str:
    """Return an option as it is typed in full, or an argument by its name in the help."""
    if parameter is None:
        return "an option"
    if parameter.param_type_name == "option":
        return max(parameter.opts, key=len)
    return (parameter.metavar or parameter.name).upper()
