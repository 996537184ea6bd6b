"""Reads a Dockerfile, as far as ours goes: stages of instructions, shell form and JSON form."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KNOWN = frozenset(
    {"COPY", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "WORKDIR"},
)


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """A line of a Dockerfile: its word, the options before its arguments, and the rest."""

    word: str
    options: dict[str, str]
    rest: str

    def words(self) -> list[str]:
        """Return the arguments one by one, of either form."""
        return [str(word) for word in json.loads(self.rest)] if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The instructions from one FROM to the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, word: str) -> Instruction | None:
        """Return the instruction of a word that counts, which is the last one."""
        return next((each for each in reversed(self.instructions) if each.word == word), None)


def read(path: Path) -> list[Stage]:
    """Return the stages of a Dockerfile.

    Raises
    ------
    ValueError
        It holds an instruction that this reader does not know.
    """
    stages: list[Stage] = []
    for instruction in _instructions(path.read_text()):
        if instruction.word not in KNOWN:
            raise ValueError(f"{path.name}: {instruction.word} is not known here")
        if instruction.word == "FROM":
            base, _, name = instruction.rest.partition(" AS ")
            stages.append(Stage(base=base.strip(), name=name.strip()))
        else:
            stages[-1].instructions.append(instruction)
    return stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        word, _, rest = line.partition(" ")
        options: dict[str, str] = {}
        while found := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
            options[found[1]] = found[2]
            rest = rest[found.end() :]
        yield Instruction(word=word, options=options, rest=rest.strip())
